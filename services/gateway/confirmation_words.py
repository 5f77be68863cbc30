"""What a member reads who confirms an e-mail address: in Japanese and English."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Words:
    """The sentences of the page in one language."""

    title: str
    asks: str
    confirm: str
    done_title: str
    done: str
    unknown_title: str
    unknown: str
    back: str


WORDS: Mapping[Literal["ja", "en"], Words] = {
    "en": Words(
        title="Confirm your e-mail address",
        asks="Press the button to confirm that the address which our mail has reached is yours.",
        confirm="Confirm",
        done_title="Confirmed",
        done="Thank you. You can close this page and go on in the app.",
        unknown_title="This link is not good",
        unknown="It is incomplete, too old, or a newer mail has replaced it. The app in which you have signed up can have it sent again.",
        back="Back to the start",
    ),
    "ja": Words(
        title="メールアドレスの確認",
        asks="メールが届いたアドレスがご本人のものであることを確認するため、ボタンを押してください。",
        confirm="確認する",
        done_title="確認しました",
        done="ありがとうございます。このページを閉じて、アプリに戻ってください。",
        unknown_title="このリンクは使えません",
        unknown="リンクが途中で切れているか、期限が切れているか、新しいメールに置き換えられています。登録したアプリからもう一度送信できます。",
        back="はじめに戻る",
    ),
}
