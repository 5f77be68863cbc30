"""Sessions of browsers, and what is in force for a member, against the real schema."""

import asyncio
import hashlib

import pytest
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import oauth_service_pb2 as oauth_pb
from kodama.account.v1 import session_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField, KodamaError, NotFound, TooManyAttempts, Unauthenticated
from tests.integration.account.conftest import Account

OLD, NEW = "correct horse", "another horse"


def hash_of(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def sign_up(account: Account, handle: str) -> int:
    request = account_pb.CreateAccountRequest(handle=handle, email=f"{handle}@example.org", password=OLD, locale="en")
    return int((await account.ask(account.accounts.CreateAccount, request)).account.id)


async def sign_in(account: Account, login: str, password: str = OLD, label: str = "") -> str:
    request = pb.OpenSessionRequest(login=login, password=password, label=label)
    return str((await account.ask(account.sessions.OpenSession, request)).token.access_token)


async def is_open(account: Account, secret: str) -> bool:
    request = oauth_pb.BatchVerifyTokensRequest(token_hashes=[hash_of(secret)])
    verified = (await account.ask(account.oauth.BatchVerifyTokens, request)).tokens
    return bool(verified) and verified[0].token.is_session


async def test_a_session_is_opened_listed_and_ended(account: Account) -> None:
    hana, ken = await sign_up(account, "hana"), await sign_up(account, "ken")
    phone = await sign_in(account, "@HANA", label="Firefox, Android")
    desk = await sign_in(account, "hana@example.org", label="Chrome, Linux")
    request = oauth_pb.IssueAccountTokenRequest(account_id=hana, app_id=4)
    app = (await account.ask(account.oauth.IssueAccountToken, request)).token.access_token
    info = (await account.ask(account.oauth.VerifyToken, oauth_pb.VerifyTokenRequest(access_token=phone))).token
    assert (info.account_id, info.is_session) == (hana, True)
    assert not await is_open(account, app)

    grants = (await account.ask(account.sessions.ListGrants, pb.ListGrantsRequest(account_id=hana))).grants
    assert [(grant.label, grant.is_session) for grant in grants] == [
        ("", False),
        ("Chrome, Linux", True),
        ("Firefox, Android", True),
    ]
    assert grants[0].app.name == "Kodama operator"
    assert not (await account.ask(account.sessions.ListGrants, pb.ListGrantsRequest(account_id=ken))).grants

    with pytest.raises(NotFound):
        await account.ask(
            account.sessions.RevokeGrant, pb.RevokeGrantRequest(account_id=ken, token_id=grants[1].token_id)
        )
    for _ in range(2):
        await account.ask(
            account.sessions.RevokeGrant, pb.RevokeGrantRequest(account_id=hana, token_id=grants[1].token_id)
        )
    assert (await is_open(account, desk), await is_open(account, phone)) == (False, True)
    for _ in range(2):
        await account.ask(account.sessions.EndSession, pb.EndSessionRequest(token_hash=hash_of(phone)))
    assert not await is_open(account, phone)
    await account.ask(account.sessions.EndSession, pb.EndSessionRequest(token_hash=hash_of(app)))
    assert (await account.ask(account.sessions.ListGrants, pb.ListGrantsRequest(account_id=hana))).grants


async def test_a_session_ends_by_itself(account: Account) -> None:
    hana = await sign_up(account, "hana")
    secret = await sign_in(account, "hana")
    account.query("UPDATE account.tokens SET created_at = now() - interval '89 days' RETURNING id")
    assert await is_open(account, secret)
    account.query("UPDATE account.tokens SET created_at = now() - interval '91 days' RETURNING id")
    assert not await is_open(account, secret)
    with pytest.raises(Unauthenticated):
        await account.ask(account.oauth.VerifyToken, oauth_pb.VerifyTokenRequest(access_token=secret))
    assert not (await account.ask(account.sessions.ListGrants, pb.ListGrantsRequest(account_id=hana))).grants


async def test_another_password_ends_the_other_sessions(account: Account) -> None:
    hana = await sign_up(account, "hana")
    await sign_up(account, "ken")
    kept, other, kens = await sign_in(account, "hana"), await sign_in(account, "hana"), await sign_in(account, "ken")

    async def change(old: str, new: str, kept_hash: bytes = b"") -> None:
        request = pb.ChangePasswordRequest(
            account_id=hana, old_password=old, new_password=new, kept_token_hash=kept_hash
        )
        await account.ask(account.sessions.ChangePassword, request)

    for old, new, kept_hash, field in ((OLD, "short", b"", "new_password"), (OLD, NEW, b"x", "kept_token_hash")):
        with pytest.raises(InvalidField) as refused:
            await change(old, new, kept_hash)
        assert refused.value.metadata["field"] == field
    with pytest.raises(Unauthenticated):
        await change("wrong", NEW)
    assert await is_open(account, other)

    await change(OLD, NEW, hash_of(kept))
    assert (await is_open(account, kept), await is_open(account, other), await is_open(account, kens)) == (
        True,
        False,
        True,
    )
    with pytest.raises(Unauthenticated):
        await sign_in(account, "hana", OLD)
    assert await is_open(account, await sign_in(account, "hana", NEW))
    answers = await asyncio.gather(*(change("guess", "yet another horse") for _ in range(12)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {
        Unauthenticated,
        TooManyAttempts,
    }  # an open session is no way to guess


async def test_a_label_is_short(account: Account) -> None:
    await sign_up(account, "hana")
    for label in ("x" * 101, "two\nlines"):
        with pytest.raises(InvalidField):
            await sign_in(account, "hana", label=label)


async def test_an_operator_replaces_a_lost_password_and_ends_all_sessions(account: Account) -> None:
    hana = await sign_up(account, "hana")
    open_before = await sign_in(account, "hana")
    replace = account.sessions.ReplacePassword
    with pytest.raises(KodamaError, match="gateway may not call this RPC"):
        await account.ask(replace, pb.ReplacePasswordRequest(account_id=hana))
    assert await is_open(account, open_before)
    new = (await account.ask(replace, pb.ReplacePasswordRequest(account_id=hana), caller.OPERATOR)).password
    assert len(new) == 16
    assert not await is_open(account, open_before)
    with pytest.raises(Unauthenticated):
        await sign_in(account, "hana", OLD)
    assert await is_open(account, await sign_in(account, "hana", new))
    with pytest.raises(NotFound):
        await account.ask(replace, pb.ReplacePasswordRequest(account_id=hana + 4), caller.OPERATOR)
