"""Becoming a member, and waiting for the mail that confirms it where the operator asks for that."""

import msgspec
from starlette.responses import Response

from chassis.errors import AlreadyExists, InvalidField, PermissionDenied
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.forms import Form
from services.gateway.browser.languages import mark
from services.gateway.browser.sessions import HOME, open_session
from services.gateway.browser.visit import Visit
from services.gateway.limiting import CONFIRMATIONS, SIGN_UPS
from services.gateway.parameters import LongText, NoParameters
from services.gateway.signing_up import FieldFault, RefusedSignUp, SignUp, check_sign_up

SENTENCES = {
    ("username", "ERR_BLANK"): mark("Please choose a name."),
    ("username", "ERR_TOO_LONG"): mark("A name has at most 30 characters."),
    ("username", "ERR_INVALID"): mark("A name has only small letters from a to z, digits and underscores."),
    ("username", "ERR_TAKEN"): mark("Somebody else has this name already."),
    ("email", "ERR_BLANK"): mark("Please enter your e-mail address."),
    ("email", "ERR_TOO_LONG"): mark("An e-mail address has at most 254 characters."),
    ("email", "ERR_INVALID"): mark("This is not an e-mail address."),
    ("email", "ERR_TAKEN"): mark("Somebody has signed up with this address already."),
    ("password", "ERR_BLANK"): mark("Please choose a password."),
    ("password", "ERR_TOO_SHORT"): mark("A password has at least 8 characters."),
    ("password", "ERR_TOO_LONG"): mark("A password has at most 128 characters."),
    ("display_name", "ERR_INVALID"): mark("A display name has 1 to 60 characters in one line."),
    ("agreement", "ERR_ACCEPTED"): mark("Please agree to be kind."),
}
CLOSED = mark("This network does not take new members at the moment.")
OTHERWISE = mark("This is not possible.")


class NewMember(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-up form."""

    username: LongText = ""
    email: LongText = ""
    password: LongText = ""
    display_name: LongText = ""
    agreement: bool = False

    def as_sign_up(self, locale: str) -> SignUp:
        """Return it as apps send it."""
        return SignUp(
            username=self.username.strip().lower(),
            email=self.email.strip(),
            password=self.password,
            agreement=self.agreement,
            locale=locale,
            display_name=self.display_name,
        )


async def get_sign_up(visit: Visit[NoParameters]) -> Response:
    """Show an empty form."""
    if visit.viewer_id:
        return visit.go(HOME)
    return await _form(visit, Form())


async def post_sign_up(visit: Visit[NewMember]) -> Response:
    """Make a member, who is signed in at once."""
    if not visit.gateway.settings.registrations_open:
        raise PermissionDenied(CLOSED)
    form = visit.params.as_sign_up(visit.taste.language)
    try:
        check_sign_up(form)
        await visit.gateway.clients.create_account(
            handle=form.username,
            email=form.email,
            password=form.password,
            locale=form.locale,
            display_name=form.display_name,
            app_id=0,
        )
    except (InvalidField, AlreadyExists) as error:
        faults = {
            field: visit.say(SENTENCES.get((field, fault.error), OTHERWISE)) for field, fault in _faults(error).items()
        }
        typed = {name: getattr(visit.params, name) for name in NewMember.__struct_fields__ if name != "password"}
        return await _form(visit, Form(typed, faults))
    return await open_session(visit, form.username, form.password, HOME)


def _faults(error: InvalidField | AlreadyExists) -> dict[str, FieldFault]:
    if isinstance(error, RefusedSignUp):
        return dict(error.faults)
    field = error.metadata["field"]
    named = "username" if field == "handle" else field
    if isinstance(error, AlreadyExists):
        taken = [named, error.metadata["also"]] if "also" in error.metadata else [named]
        return {name: FieldFault("ERR_TAKEN", "") for name in taken}
    return {named: FieldFault("ERR_INVALID", "")}


async def _form(visit: Visit[NoParameters] | Visit[NewMember], form: Form) -> Response:
    return await visit.page("sign_up.html", form.code, form=form, is_open=visit.gateway.settings.registrations_open)


async def get_confirmation(visit: Visit[NoParameters]) -> Response:
    """Say that a mail is on its way."""
    if not visit.caller.awaits_confirmation:
        return visit.go(HOME)
    return await visit.page("sign_up_confirmation.html", is_sent=False)


async def post_confirmation(visit: Visit[NoParameters]) -> Response:
    """Have the mail sent again."""
    await visit.gateway.clients.resend_confirmation(visit.viewer_id, "")
    return await visit.page("sign_up_confirmation.html", is_sent=True)


def _confirmation(method: str, handler: object) -> Page:
    return Page(
        method=method,
        path="/sign-up/confirmation",
        handler=handler,  # type: ignore[arg-type]  # of a visit without parameters
        audience=Audience.UNCONFIRMED,
        limits=(CONFIRMATIONS,) if method == "POST" else (),
    )


PAGES = (
    Page(method="GET", path="/sign-up", handler=get_sign_up, audience=Audience.ANYBODY),
    Page(
        method="POST",
        path="/sign-up",
        handler=post_sign_up,
        audience=Audience.ANYBODY,
        params=NewMember,
        limits=(SIGN_UPS,),
    ),
    _confirmation("GET", get_confirmation),
    _confirmation("POST", post_confirmation),
)
