"""Use case: become a member."""

from chassis.errors import AlreadyExists, Conflict, PermissionDenied
from chassis.idempotency import Write
from services.account import confirmation_store, store
from services.account.domain import Account, SignUp, check_sign_up
from services.account.passwords import Passwords


class SigningUp:
    """Signs members up, while the network takes new ones."""

    def __init__(self, passwords: Passwords, *, is_open: bool, confirms_email: bool = False) -> None:
        """`confirms_email`: new members wait until they have shown that mail reaches them."""
        self._passwords = passwords
        self._is_open = is_open
        self._confirms_email = confirms_email

    async def sign_up(
        self, write: Write, handle: str, email: str, password: str, locale: str, display_name: str
    ) -> Account:
        """Make a member and return their account.

        Raises PermissionDenied while nobody can sign up, InvalidField for a field that is wrong, AlreadyExists where the handle
        or the e-mail address is taken, or `also` the other: of those who want one handle at once, exactly one gets it.
        """
        if not self._is_open:
            raise PermissionDenied("This network does not take new members at the moment.")
        form = check_sign_up(handle, email, password, locale, display_name)
        password_hash = await self._passwords.hash(form.password)
        conn = await write.begin()
        account = await store.insert_account(conn, form, password_hash, is_confirmed=not self._confirms_email)
        if account is not None:
            if self._confirms_email:
                await confirmation_store.insert_confirmation(conn, account.id)
            return account
        handle_taken, email_taken = await store.find_taken(conn, form.profile.handle, form.email_key)
        raise _taken(form, handle_taken, email_taken)


def _taken(form: SignUp, handle_taken: bool, email_taken: bool) -> AlreadyExists | Conflict:
    sentences = {}
    if handle_taken:
        sentences["handle"] = f"The handle {form.profile.handle} is taken."
    if email_taken:
        sentences["email"] = "There is an account with this e-mail address already."
    if not sentences:
        return Conflict("A concurrent change got in the way; please try again.")  # who had it is gone since
    also = {"also": "email"} if len(sentences) > 1 else {}
    return AlreadyExists(" ".join(sentences.values()), field=next(iter(sentences)), **also)
