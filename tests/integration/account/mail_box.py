"""A mail server of the test's own, over a real socket: it keeps what it takes, and can refuse."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial

from aiosmtpd.smtp import SMTP, Envelope, Session

_LINK = re.compile(r"https?://\S+/auth/confirm\?token=([A-Za-z0-9_-]+)&lang=(\w+)")


@dataclass
class MailBox:
    """What has arrived, and how the server answers."""

    url: str = ""
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refusal: str = ""
    """What is said instead of taking a mail, such as `451 later`."""
    refused: set[str] = field(default_factory=set)
    """Recipients that are unknown."""
    attempts: int = 0
    hold: asyncio.Event | None = None
    """Where there is one, a mail is taken only once it is set."""

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.attempts += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.refusal:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.recipients.extend(envelope.rcpt_tos)
        return "250 OK"

    async def wait(self, count: int, seconds: float = 20) -> None:
        """Wait for so many mails."""
        async with asyncio.timeout(seconds):
            while len(self.mails) < count:
                await asyncio.sleep(0.02)

    def token(self, index: int = -1) -> str:
        """Return the token of the link in a mail."""
        found = _LINK.search(self.mails[index].get_content())
        assert found is not None, self.mails[index].get_content()
        return found[1]


@asynccontextmanager
async def open_mail_box(address: str = "127.0.0.1") -> AsyncIterator[MailBox]:
    """Serve SMTP, without TLS, on a free port of the loopback until the block ends."""
    box = MailBox()
    server = await asyncio.get_running_loop().create_server(
        partial(SMTP, box, enable_SMTPUTF8=True, hostname="mail.example"), address, 0
    )
    box.url = f"smtp://{address}:{server.sockets[0].getsockname()[1]}"
    try:
        yield box
    finally:
        server.close()
