"""The mail with which a member confirms an address; pure. Its form is that of RFC 5322, plain text in the member's language."""

from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime, make_msgid
from urllib.parse import urlencode

_SUBJECT: Mapping[str, str] = {
    "en": "Confirm your e-mail address for {title}",
    "ja": "{title} メールアドレスの確認",
}
_TEXT: Mapping[str, str] = {
    "en": (
        "Hello @{handle},\n\nsomebody, most likely you, has signed up at {title} with this address. To confirm that it is yours,"
        " open this page and press the button on it:\n\n{link}\n\nThe link is good for 48 hours. If several of these mails have"
        " come, the newest counts.\n\nIf it was not you, do nothing: the account is then deleted after seven days.\n"
    ),
    "ja": (
        "@{handle} さん\n\nこのメールアドレスで {title} への登録がありました。ご本人であることを確認するため、次のページを開いて"
        "ボタンを押してください。\n\n{link}\n\nリンクは48時間有効です。同じメールが何通か届いている場合は、いちばん新しいものを"
        "お使いください。\n\nお心当たりがない場合は、何もする必要はありません。アカウントは7日後に削除されます。\n"
    ),
}


def confirmation_link(base_url: str, token: str, locale: str) -> str:
    """Return the address of the page on which an address is confirmed."""
    return f"{base_url}/auth/confirm?{urlencode({'token': token, 'lang': locale})}"


def make_confirmation_mail(
    *, title: str, sender: str, recipient: str, handle: str, locale: str, link: str
) -> EmailMessage:
    """Return the mail. Raises ValueError where the recipient's address cannot stand in a header."""
    message = EmailMessage(SMTP)
    words = {"title": title, "handle": handle, "link": link}
    message["From"] = Address(title, *_split(sender))
    message["To"] = Address("", *_split(recipient))
    message["Subject"] = _SUBJECT[locale].format(**words)
    message["Date"] = format_datetime(localtime())
    message["Message-ID"] = make_msgid(domain=_split(sender)[1])
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nothing that answers by itself should answer
    message.set_content(_TEXT[locale].format(**words), cte="base64" if locale == "ja" else "quoted-printable")
    return message


def _split(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    return local, domain
