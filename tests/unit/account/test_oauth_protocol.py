"""The protocol as Authlib judges it for us: whatever is asked, the answer is scopes or a refusal in OAuth's words."""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import OAuthRefused
from services.account.domain import App, secret_hash
from services.account.oauth_protocol import Client, Code, authenticate, check_authorization, check_token_request

APP = App(7, "client", "App", "", ["https://a.example/cb"], ["read", "write:statuses"])
CLIENT = Client(APP, secret_hash("secret"))
PUBLIC = Client(App(8, "public", "App", "", ["https://a.example/cb"], ["write"], is_public=True), None)
CODE = Code(7, 1, "", ["read"], "")
ASKS = {"response_type": "code", "client_id": "client"}
FETCHES = {"grant_type": "authorization_code", "client_id": "client", "client_secret": "secret", "code": "x"}

Answer = TypeVar("Answer")

# What protobuf lets through: any text without halves of surrogate pairs.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def code_of(error: pytest.ExceptionInfo[OAuthRefused]) -> str:
    return error.value.metadata["code"]


def test_what_an_app_does_not_say_is_clear_where_there_is_one_choice() -> None:
    authorization = check_authorization(ASKS, CLIENT)
    assert (authorization.redirect_uri, authorization.scopes) == ("https://a.example/cb", ["read"])
    challenge = {"code_challenge": "a" * 43, "code_challenge_method": "S256"}
    assert check_authorization(ASKS | challenge | {"client_id": "public"}, PUBLIC).scopes == ["write"]


def test_no_app_is_another() -> None:
    for client in (None, PUBLIC):
        with pytest.raises(OAuthRefused) as error:
            check_authorization(ASKS, client)
        assert "redirect_uri" not in error.value.metadata
        with pytest.raises(OAuthRefused) as error:
            check_token_request(FETCHES, client, code=CODE)
        assert code_of(error) == "invalid_client"


@pytest.mark.parametrize("secret", ["", "wrong", "Secret", "secret ", "sécret"])
def test_a_wrong_secret_is_none(secret: str) -> None:
    with pytest.raises(OAuthRefused) as error:
        authenticate({"client_id": "client", "client_secret": secret}, CLIENT)
    assert code_of(error) == "invalid_client"


def test_who_has_no_secret_cannot_be_authenticated_with_one() -> None:
    nobody = Client(APP, None)
    for values in ({"client_id": "client"}, {"client_id": "client", "client_secret": "x"}):
        with pytest.raises(OAuthRefused):
            authenticate(values, nobody)
    authenticate({"client_id": "public"}, PUBLIC)
    with pytest.raises(OAuthRefused):
        authenticate({"client_id": "public", "client_secret": "x"}, PUBLIC)


def test_a_code_gives_its_scopes_to_its_app_only() -> None:
    assert check_token_request(FETCHES | {"scope": "push"}, CLIENT, code=CODE) == ["read"]
    with pytest.raises(OAuthRefused) as error:
        check_token_request(FETCHES, CLIENT, code=Code(8, 1, "", ["read"], ""))
    assert code_of(error) == "invalid_grant"
    with pytest.raises(OAuthRefused) as error:
        check_token_request(FETCHES, CLIENT)
    assert code_of(error) == "invalid_grant"


def judged(judge: Callable[[], Answer]) -> Answer | OAuthRefused:
    """What is answered, which may be a refusal and nothing else."""
    try:
        return judge()
    except OAuthRefused as refusal:
        return refusal


@given(
    st.dictionaries(st.sampled_from([*ASKS, "redirect_uri", "scope", "code_challenge", "code_challenge_method"]), texts)
)
def test_whatever_is_asked_is_refused_in_oauths_words(values: dict[str, str]) -> None:
    for base in ({}, ASKS):
        answer = judged(partial(check_authorization, base | values, CLIENT))
        if isinstance(answer, OAuthRefused):
            assert answer.metadata["code"]
            assert answer.metadata.get("redirect_uri", APP.redirect_uris[0]) == APP.redirect_uris[0]
        else:
            assert answer.redirect_uri == APP.redirect_uris[0]
            assert {*answer.scopes} <= {*APP.scopes, "read:statuses"}


@given(
    st.dictionaries(
        st.sampled_from([*FETCHES, "redirect_uri", "scope", "code_verifier", "username", "password"]), texts
    )
)
def test_whatever_is_sent_for_a_token_is_refused_in_oauths_words(values: dict[str, str]) -> None:
    for base in ({}, FETCHES, FETCHES | {"grant_type": "password"}, FETCHES | {"grant_type": "client_credentials"}):
        answer = judged(partial(check_token_request, base | values, CLIENT, code=CODE))
        assert answer.metadata["code"] if isinstance(answer, OAuthRefused) else set(answer) <= {*APP.scopes}
