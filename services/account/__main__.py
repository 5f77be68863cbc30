"""Wiring: `python -m services.account` serves AccountService and OAuthService."""

from collections.abc import Sequence
from contextlib import AsyncExitStack

from chassis.database import Pool
from chassis.housekeeping import repeat, repeat_work
from chassis.idempotency import Writes
from chassis.process import run_services
from chassis.rpc import Service
from chassis.settings import Settings, load_settings, refuse
from services.account.accounts import Accounts
from services.account.authorizing import Authorizing
from services.account.confirmation_store import forget_confirmations
from services.account.confirming import Confirming
from services.account.mail_server import MailServer
from services.account.mailing import Mailing, Sender
from services.account.oauth import OAuth
from services.account.oauth_store import delete_expired_codes
from services.account.password_store import delete_spent_attempts
from services.account.passwords import Passwords
from services.account.servicer import AccountServicer, OAuthServicer, account_service, oauth_service
from services.account.session_servicer import SessionServicer, session_service
from services.account.sessions import Sessions
from services.account.signing_in import SigningIn
from services.account.signing_up import SigningUp


async def build(settings: Settings, pool: Pool, stack: AsyncExitStack) -> Sequence[Service]:
    """Return what this process serves."""
    passwords = Passwords()
    stack.callback(passwords.close)
    writes = Writes(pool, settings.derive("idempotency"))
    signing_up = SigningUp(passwords, is_open=settings.registrations_open, confirms_email=settings.confirm_email)
    signing_in = SigningIn(pool, passwords)
    oauth = OAuth(pool, signing_in, allows_passwords=settings.password_grant)
    await stack.enter_async_context(repeat("codes.forget", delete_expired_codes, pool))
    await stack.enter_async_context(repeat("attempts.forget", delete_spent_attempts, pool))
    await stack.enter_async_context(repeat("confirmations.forget", forget_confirmations, pool))
    if settings.confirm_email:
        url, address = _require_mail(settings)
        mailing = Mailing(pool, MailServer(url), Sender(settings.title, address, settings.base_url()))
        await stack.enter_async_context(repeat_work("confirmations.send", mailing.send_due, pool))
    return [
        account_service(AccountServicer(writes, signing_up, Accounts(pool), Confirming(pool))),
        oauth_service(OAuthServicer(oauth, Authorizing(pool, signing_in))),
        session_service(SessionServicer(writes, Sessions(pool, signing_in, passwords))),
    ]


def _require_mail(settings: Settings) -> tuple[str, str]:
    try:
        return settings.require_mail()
    except ValueError as error:
        refuse(str(error))


def main() -> None:
    """Run the process."""
    run_services({"account": build}, load_settings())


if __name__ == "__main__":
    main()
