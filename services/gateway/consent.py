"""What a member reads who is asked to let an app in: in Japanese and English, and what each scope means in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Language = Literal["ja", "en"]
MAX_ACCEPTED = 20


@dataclass(frozen=True)
class Words:
    """The sentences of the sign-in pages in one language."""

    title: str
    asks: str
    """With {app}."""
    may: str
    website: str
    login: str
    password: str
    approve: str
    deny: str
    goes_to: str
    """With {place}."""
    login_missing: str
    password_missing: str
    decision_missing: str
    wrong: str
    too_many: str
    """With {minutes}."""
    code_title: str
    code_shown: str
    """With {app}."""
    code_once: str
    denied_title: str
    denied: str
    """With {app}."""
    refused_title: str
    refused: str
    elsewhere: str
    back: str
    scopes: Mapping[str, str]
    """Scope → what it lets an app do."""


_READ_EN = {
    "accounts": "accounts and profiles",
    "blocks": "whom you block",
    "bookmarks": "your bookmarks",
    "favourites": "your favourites",
    "filters": "your filters",
    "follows": "your friends and friend requests",
    "lists": "your lists",
    "mutes": "whom you mute",
    "notifications": "your notifications",
    "search": "what a search finds",
    "statuses": "your home timeline, statuses and blog entries",
}
_WRITE_EN = {
    "accounts": "Change your profile and settings",
    "blocks": "Block and unblock",
    "bookmarks": "Add and remove bookmarks",
    "conversations": "Mute and delete conversations",
    "favourites": "Add and remove favourites",
    "filters": "Change your filters",
    "follows": "Ask for friendship, answer requests and end friendships",
    "lists": "Change your lists",
    "media": "Upload pictures",
    "mutes": "Mute and unmute",
    "notifications": "Clear your notifications",
    "reports": "Report others",
    "statuses": "Post and delete statuses and blog entries",
}
_READ_JA = {
    "accounts": "アカウントとプロフィール",
    "blocks": "ブロックしている相手",
    "bookmarks": "ブックマーク",
    "favourites": "お気に入り",
    "filters": "フィルター",
    "follows": "友だちと友だち申請",
    "lists": "リスト",
    "mutes": "ミュートしている相手",
    "notifications": "通知",
    "search": "検索結果",
    "statuses": "ホームタイムライン、つぶやき、日記",
}
_WRITE_JA = {
    "accounts": "プロフィールと設定の変更",
    "blocks": "ブロックとその解除",
    "bookmarks": "ブックマークの追加と削除",
    "conversations": "会話のミュートと削除",
    "favourites": "お気に入りの追加と削除",
    "filters": "フィルターの変更",
    "follows": "友だち申請、申請への返事、友だちの解除",
    "lists": "リストの変更",
    "media": "画像のアップロード",
    "mutes": "ミュートとその解除",
    "notifications": "通知の消去",
    "reports": "通報",
    "statuses": "つぶやきと日記の投稿と削除",
}

WORDS: Mapping[Language, Words] = {
    "en": Words(
        title="Sign in",
        asks="{app} asks to act for you",
        may="If you approve, it may:",
        website="Its website, as it says itself:",
        login="Handle or e-mail address",
        password="Password",  # noqa: S106 - the label of a field
        approve="Approve",
        deny="Deny",
        goes_to="Afterwards you are sent to {place}.",
        login_missing="Please say who you are.",
        password_missing="Please enter your password.",  # noqa: S106 - a sentence
        decision_missing="Please approve or deny.",
        wrong="The name and the password do not belong together.",
        too_many="There were too many attempts. Please try again in {minutes} min.",
        code_title="Your code",
        code_shown="Copy this code into {app}:",
        code_once="It is good for one minute and for one use. Give it to nobody else.",
        denied_title="Denied",
        denied="{app} was not let in. You can close this page.",
        refused_title="This app cannot be let in",
        refused="Its request is not right, so that nothing was asked of you. What it is about, for whoever makes the app:",
        elsewhere="This form was sent from another site. Please start again in the app.",
        back="Back to the start",
        scopes={
            "read": "See everything that you see",
            "write": "Post, change and delete everything for you",
            "follow": "See and change your friendships, blocks and mutes",
            "push": "Get your notifications sent",
            "profile": "See who you are",
            **{f"read:{noun}": f"See {what}" for noun, what in _READ_EN.items()},
            **{f"write:{noun}": what for noun, what in _WRITE_EN.items()},
        },
    ),
    "ja": Words(
        title="ログイン",
        asks="{app} があなたのアカウントの利用を求めています",
        may="許可すると、このアプリは次のことができます。",
        website="アプリが示しているウェブサイト:",
        login="ユーザー名またはメールアドレス",
        password="パスワード",  # noqa: S106 - the label of a field
        approve="許可する",
        deny="拒否する",
        goes_to="そのあと {place} に移動します。",
        login_missing="ユーザー名またはメールアドレスを入力してください。",
        password_missing="パスワードを入力してください。",  # noqa: S106 - a sentence
        decision_missing="許可するか拒否するかを選んでください。",
        wrong="ユーザー名またはパスワードが違います。",
        too_many="試行回数が多すぎます。{minutes}分後にもう一度お試しください。",
        code_title="認証コード",
        code_shown="このコードを {app} に貼り付けてください。",
        code_once="1分以内に1回だけ使えます。ほかの人に教えないでください。",
        denied_title="拒否しました",
        denied="{app} は許可されませんでした。このページは閉じてかまいません。",
        refused_title="このアプリは許可できません",
        refused="アプリからの要求に誤りがあるため、処理を中止しました。アプリの開発者向けの詳細:",
        elsewhere="このフォームは別のサイトから送信されました。アプリからやり直してください。",
        back="はじめに戻る",
        scopes={
            "read": "あなたが見られるすべてのものを見る",
            "write": "あなたに代わって投稿、変更、削除をする",
            "follow": "友だち、ブロック、ミュートを見る・変更する",
            "push": "通知を受け取る",
            "profile": "あなたが誰かを知る",
            **{f"read:{noun}": f"{what}を見る" for noun, what in _READ_JA.items()},
            **{f"write:{noun}": what for noun, what in _WRITE_JA.items()},
        },
    ),
}


def choose_language(wanted: str, accept_language: str) -> Language:
    """Return the language of a page: the one that is wanted, or else the one that the browser likes best (RFC 9110 12.5.4)."""
    accepted = [_rank(part) for part in accept_language.split(",")[:MAX_ACCEPTED]]
    by_rank = [tag for _, tag in sorted(accepted, key=lambda each: each[0], reverse=True)]
    for tag in (wanted, *by_rank):
        match tag.strip().lower().partition("-")[0]:
            case "ja":
                return "ja"
            case "en":
                return "en"
    return "en"


def meanings(scopes: Sequence[str], language: Language) -> list[str]:
    """Return what scopes let an app do, in words; those that another one holds are not said twice."""
    said = WORDS[language].scopes
    wide = [scope for scope in scopes if ":" not in scope]
    narrow = [scope for scope in scopes if ":" in scope and scope.partition(":")[0] not in wide]
    return [said[scope] for scope in (*wide, *narrow) if scope in said]


def _rank(part: str) -> tuple[float, str]:
    tag, _, quality = part.partition(";q=")
    try:
        return (float(quality or 1), tag)
    except ValueError:
        return (0, tag)
