"""The mail server that takes our mails, over SMTP (RFC 5321) by aiosmtplib.

That library waits in the event loop and can be told to stop, where the standard library's would hold a thread for as long as a
server that drips bytes likes.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

CONNECT_SECONDS = 10
SEND_SECONDS = 20
"""How long one command of the protocol may take."""
QUIT_SECONDS = 2

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class MailServer:
    """Where mails are handed in. The URL holds a password: it is never logged."""

    def __init__(self, url: str) -> None:
        """Take `smtp://user:password@host:port` or `smtps://…`.

        Over smtp:// what goes to another machine is encrypted where the server can (STARTTLS), and a password goes to no other
        machine in the clear. Certificates are checked.
        """
        parts = urlsplit(url)
        is_tls = parts.scheme == "smtps"
        self._host = parts.hostname or ""
        self._port = parts.port or (465 if is_tls else 587 if parts.username else 25)
        self._user = unquote(parts.username or "") or None
        self._password = unquote(parts.password or "") or None
        self._is_tls = is_tls
        self._start_tls = self._needs_tls()

    def _needs_tls(self) -> bool | None:
        """Tell whether STARTTLS has to be; None: where it is offered."""
        if self._is_tls or self._host in _LOOPBACK:
            return False
        return True if self._user else None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["MailConnection"]:
        """Lend a connection. Raises OSError or aiosmtplib.SMTPException where there is none."""
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._is_tls,
            start_tls=self._start_tls,
            timeout=CONNECT_SECONDS,
        )
        try:
            await client.connect()
            yield MailConnection(client)
            with suppress(aiosmtplib.SMTPException, OSError):  # all that matters is done
                await client.quit(timeout=QUIT_SECONDS)
        finally:
            client.close()


class MailConnection:
    """A connection that mails are handed in over, one after the other."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client

    async def send(self, message: EmailMessage) -> None:
        """Hand a mail in; once this returns the server answers for it. Raises OSError or aiosmtplib.SMTPException."""
        await self._client.send_message(message, timeout=SEND_SECONDS)
