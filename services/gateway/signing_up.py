"""Sign-up: what is wrong with a form, all at once, in the words that clients show beside each field."""

import re
from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from chassis.errors import AlreadyExists, InvalidField, KodamaError
from services.gateway.errors import api_error, error_response, field_name
from services.gateway.parameters import ShortText

MIN_PASSWORD_BYTES = 8
MAX_PASSWORD_BYTES = 128
MAX_EMAIL_LENGTH = 254

_USERNAME = re.compile(r"[a-z0-9_]{1,30}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class SignUp(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-up form. Nothing is required here, so that everything that is missing can be told at once."""

    username: ShortText = ""
    email: ShortText = ""
    password: ShortText = ""
    agreement: bool = False
    locale: ShortText = ""
    display_name: ShortText = ""


class FieldFault(msgspec.Struct):
    """What is wrong with one field."""

    error: str
    description: str


class SignUpErrorBody(msgspec.Struct, kw_only=True):
    """What a client reads of a sign-up that failed."""

    error: str
    error_description: str
    details: dict[str, list[FieldFault]]


class RefusedSignUp(InvalidField):
    """The form has faults, field by field."""

    def __init__(self, faults: Mapping[str, FieldFault]) -> None:
        field, fault = next(iter(faults.items()))
        super().__init__(field, f"{field} {fault.description}")
        self.faults = faults


def check_sign_up(form: SignUp) -> None:
    """Raise RefusedSignUp with every fault that can be seen without asking anybody."""
    faults = {
        field: fault
        for field, fault in (
            ("username", _username_fault(form.username)),
            ("email", _email_fault(form.email)),
            ("password", _password_fault(form.password)),
            ("agreement", None if form.agreement else FieldFault("ERR_ACCEPTED", "must be accepted")),
        )
        if fault is not None
    }
    if faults:
        raise RefusedSignUp(faults)


def language_of(locale: str) -> str:
    """Return the language of pages that comes closest to a locale such as en-US; empty for none."""
    language = locale.partition("-")[0].partition("_")[0].lower()
    return language if language in ("", "ja") else "en"


def _username_fault(username: str) -> FieldFault | None:
    if not username.strip():
        return FieldFault("ERR_BLANK", "can't be blank")
    if len(username) > 30:
        return FieldFault("ERR_TOO_LONG", "has at most 30 characters")
    if not _USERNAME.fullmatch(username):
        return FieldFault("ERR_INVALID", "has only lower-case letters from a to z, digits and underscores")
    return None


def _email_fault(email: str) -> FieldFault | None:
    if not email.strip():
        return FieldFault("ERR_BLANK", "can't be blank")
    if len(email) > MAX_EMAIL_LENGTH:
        return FieldFault("ERR_TOO_LONG", f"has at most {MAX_EMAIL_LENGTH} characters")
    if not _EMAIL.fullmatch(email):
        return FieldFault("ERR_INVALID", "is not an e-mail address")
    return None


def _password_fault(password: str) -> FieldFault | None:
    if not password:
        return FieldFault("ERR_BLANK", "can't be blank")
    if len(password.encode()) < MIN_PASSWORD_BYTES:
        return FieldFault("ERR_TOO_SHORT", f"has at least {MIN_PASSWORD_BYTES} bytes")
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        return FieldFault("ERR_TOO_LONG", f"has at most {MAX_PASSWORD_BYTES} bytes")
    return None


def sign_up_error(error: KodamaError, names: Mapping[str, str]) -> Response:
    """Return a failed sign-up with `details` where fields are at fault, and any other failure as everywhere."""
    field = field_name(error, names)
    match error:
        case RefusedSignUp():
            faults = error.faults
        case AlreadyExists():
            taken = [field, error.metadata["also"]] if "also" in error.metadata else [field]
            faults = {name: FieldFault("ERR_TAKEN", "has already been taken") for name in taken}
        case InvalidField():
            faults = {field: FieldFault("ERR_INVALID", error.message)}
        case _:
            return api_error(error, names)
    sentence = "Validation failed: " + ", ".join(f"{name} {fault.description}" for name, fault in faults.items())
    details = {name: [fault] for name, fault in faults.items()}
    return error_response(422, SignUpErrorBody(error=sentence, error_description=sentence, details=details))
