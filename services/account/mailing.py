"""Use case: send the mails that are due. What PostgreSQL says is to be sent is sent, twice rather than never."""

import asyncio
import secrets
from dataclasses import dataclass
from email.message import EmailMessage

import structlog
from aiosmtplib import SMTPException, SMTPResponseException, SMTPServerDisconnected, SMTPTimeoutError

from chassis.database import Pool, connection
from services.account import confirmation_store as store
from services.account.confirmation_mail import confirmation_link, make_confirmation_mail
from services.account.confirmation_store import Recipient
from services.account.domain import secret_hash
from services.account.mail_server import MailConnection, MailServer

log = structlog.get_logger(__name__)

BATCH = 20
"""So many mails go over one connection; it takes less time than the lease on them."""
BATCH_SECONDS = 240
TOKEN_BYTES = 32


@dataclass(frozen=True)
class Sender:
    """Who the mails come from."""

    title: str
    address: str
    base_url: str


class Mailing:
    """Sends confirmations. No connection to PostgreSQL is held while a mail server is waited for."""

    def __init__(self, pool: Pool, server: MailServer, sender: Sender) -> None:
        self._pool = pool
        self._server = server
        self._sender = sender

    async def send_due(self) -> int:
        """Try up to 20 mails that are due; return how many. What fails is noted, and tried again later.

        The token of a link is made here and goes into the mail alone; its hash is committed before the mail goes out.
        """
        tokens = {secret_hash(token): token for token in (secrets.token_urlsafe(TOKEN_BYTES) for _ in range(BATCH))}
        async with connection(self._pool) as conn:
            claimed = await store.claim_due(conn, list(tokens))
        if not claimed:
            return 0
        waiting = dict.fromkeys(token_hash for _, token_hash in claimed)
        try:
            async with asyncio.timeout(BATCH_SECONDS), self._server.connect() as server:
                for recipient, token_hash in claimed:
                    await self._send(server, recipient, token_hash, tokens[token_hash])
                    del waiting[token_hash]
        except (SMTPException, OSError) as error:  # a TimeoutError is an OSError
            log.warning("mail server not reached", error=_describe(error), waiting=len(waiting))
            for token_hash in waiting:
                await self._note_failure(token_hash, error)
        return len(claimed)

    async def _send(self, server: MailConnection, recipient: Recipient, token_hash: bytes, token: str) -> None:
        """Send one mail; what is wrong with it alone does not keep the others from being sent."""
        try:
            await server.send(self._write(recipient, token))
        except (SMTPServerDisconnected, SMTPTimeoutError, TimeoutError):
            raise
        except Exception as error:  # whatever an address has made of the mail
            log.warning("mail not sent", account_id=recipient.account_id, error=_describe(error))
            await self._note_failure(token_hash, error)
            return
        async with connection(self._pool) as conn:
            await store.note_sent(conn, token_hash)

    def _write(self, recipient: Recipient, token: str) -> EmailMessage:
        return make_confirmation_mail(
            title=self._sender.title,
            sender=self._sender.address,
            recipient=recipient.email,
            handle=recipient.handle,
            locale=recipient.locale,
            link=confirmation_link(self._sender.base_url, token, recipient.locale),
        )

    async def _note_failure(self, token_hash: bytes, error: Exception) -> None:
        async with connection(self._pool) as conn:
            await store.note_failure(conn, token_hash, f"{type(error).__name__}: {error}")


def _describe(error: Exception) -> str:
    """Return what may be logged of a failure: its kind and the server's code, no words, which repeat addresses."""
    code = f" {error.code}" if isinstance(error, SMTPResponseException) else ""
    return f"{type(error).__name__}{code}"
