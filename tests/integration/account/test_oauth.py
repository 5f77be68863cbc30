"""Apps and tokens against the real schema."""

import hashlib

import pytest
from kodama.account.v1 import account_pb2
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import oauth_service_pb2 as pb

from chassis import caller
from chassis.errors import InvalidField, KodamaError, NotFound, OAuthRefused, PermissionDenied, Unauthenticated
from services.account.domain import OPERATOR_APP_ID
from tests.integration.account.conftest import Account

OOB = "urn:ietf:wg:oauth:2.0:oob"


async def register(account: Account, *scopes: str) -> pb.CreateAppResponse:
    request = pb.CreateAppRequest(name="toot", redirect_uris=[OOB], scopes=scopes, website="https://app.example")
    response = await account.ask(account.oauth.CreateApp, request)
    assert isinstance(response, pb.CreateAppResponse)
    return response


async def app_token(account: Account, made: pb.CreateAppResponse, *scopes: str) -> account_pb2.Token:
    request = pb.IssueAppTokenRequest(client_id=made.app.client_id, client_secret=made.client_secret, scopes=scopes)
    token = (await account.ask(account.oauth.IssueAppToken, request)).token
    assert isinstance(token, account_pb2.Token)
    return token


async def new_member(account: Account) -> int:
    request = account_pb.BatchImportAccountsRequest(accounts=[account_pb.ImportedAccount(handle="taro")])
    imported = await account.ask(account.accounts.BatchImportAccounts, request, caller.OPERATOR)
    return int(imported.accounts[0].id)


async def verify(account: Account, access_token: str) -> account_pb2.TokenInfo:
    info = (await account.ask(account.oauth.VerifyToken, pb.VerifyTokenRequest(access_token=access_token))).token
    assert isinstance(info, account_pb2.TokenInfo)
    return info


async def test_an_app_registers_and_is_found(account: Account) -> None:
    made = await register(account, "read", "write", "read")
    assert made.app == account_pb2.App(
        id=made.app.id,
        client_id=made.app.client_id,
        name="toot",
        website="https://app.example",
        redirect_uris=[OOB],
        scopes=["read", "write"],
    )
    assert len(made.app.client_id) >= 43
    assert len(made.client_secret) >= 43
    assert (await account.ask(account.oauth.GetApp, pb.GetAppRequest(app_id=made.app.id))).app == made.app
    with pytest.raises(NotFound):
        await account.ask(account.oauth.GetApp, pb.GetAppRequest(app_id=17))


async def test_app_tokens(account: Account) -> None:
    made = await register(account, "read", "write:statuses")
    token = await app_token(account, made)
    assert list(token.scopes) == ["read"]
    assert token.created_at_ms > 1_700_000_000_000
    info = await verify(account, token.access_token)
    assert (info.app_id, info.account_id, list(info.scopes)) == (made.app.id, 0, ["read"])
    narrow = await app_token(account, made, "read:statuses", "write:statuses")
    assert list(narrow.scopes) == ["read:statuses", "write:statuses"]
    for asked in ("write", "follow", "nonsense"):
        with pytest.raises(OAuthRefused) as error:
            await app_token(account, made, asked)
        assert error.value.metadata == {"code": "invalid_scope"}


async def test_an_app_proves_itself(account: Account) -> None:
    made, other = await register(account), await register(account)
    for client_id, client_secret in (
        (made.app.client_id, other.client_secret),
        (made.app.client_id, ""),
        ("", made.client_secret),
        ("\0", made.client_secret),
        ("x" * 1000, "x"),
        (made.app.client_id, "\0"),
        ("kodama-operator", ""),
        ("kodama-operator", made.client_secret),
    ):
        for method, request in (
            (account.oauth.IssueAppToken, pb.IssueAppTokenRequest(client_id=client_id, client_secret=client_secret)),
            (account.oauth.RevokeToken, pb.RevokeTokenRequest(client_id=client_id, client_secret=client_secret)),
        ):
            with pytest.raises(OAuthRefused) as error:
                await account.ask(method, request)
            assert error.value.metadata["code"] in ("invalid_client", "invalid_request")


async def test_account_tokens(account: Account) -> None:
    made, taro = await register(account, "read", "write"), await new_member(account)
    issue = account.oauth.IssueAccountToken
    token = (await account.ask(issue, pb.IssueAccountTokenRequest(account_id=taro, app_id=made.app.id))).token
    assert list(token.scopes) == ["read", "write"]
    info = await verify(account, token.access_token)
    assert (info.app_id, info.account_id, list(info.scopes)) == (made.app.id, taro, ["read", "write"])
    with pytest.raises(InvalidField):
        await account.ask(issue, pb.IssueAccountTokenRequest(account_id=taro, app_id=made.app.id, scopes=["push"]))
    with pytest.raises(NotFound) as error:
        await account.ask(issue, pb.IssueAccountTokenRequest(account_id=17, app_id=made.app.id))
    assert error.value.metadata == {"resource": "account"}
    with pytest.raises(NotFound) as error:
        await account.ask(issue, pb.IssueAccountTokenRequest(account_id=taro, app_id=17))
    assert error.value.metadata == {"resource": "app"}


async def test_the_operators_own_app(account: Account) -> None:
    request = pb.IssueAccountTokenRequest(account_id=await new_member(account))
    token = (await account.ask(account.oauth.IssueAccountToken, request, caller.OPERATOR)).token
    info = await verify(account, token.access_token)
    assert info.app_id == OPERATOR_APP_ID
    assert set(info.scopes) == {"read", "write", "follow", "push", "profile"}
    app = (await account.ask(account.oauth.GetApp, pb.GetAppRequest(app_id=OPERATOR_APP_ID))).app
    assert app.name == "Kodama operator"


async def test_secrets_are_kept_hashed_only(account: Account) -> None:
    made = await register(account)
    token = await app_token(account, made)
    ((app_row,),) = account.query("SELECT apps::text FROM apps WHERE id = %s", made.app.id)
    ((token_row, token_hash),) = account.query("SELECT tokens::text, token_hash FROM tokens")
    assert made.client_secret not in app_row
    assert token.access_token not in token_row
    assert token_hash == hashlib.sha256(token.access_token.encode()).digest()


async def test_a_token_is_found_by_its_index(account: Account) -> None:
    plan = account.query("EXPLAIN SELECT id FROM tokens WHERE token_hash = %s AND revoked_at IS NULL", b"x" * 32)
    assert any("tokens_token_hash_key" in line for (line,) in plan)


@pytest.mark.parametrize("token", ["", "unknown", "\0", "x" * 100_000, "日本"])
async def test_unknown_tokens_are_refused(account: Account, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await verify(account, token)


async def test_revoking(account: Account) -> None:
    made, other = await register(account), await register(account)
    token, kept = await app_token(account, made), await app_token(account, made)

    async def revoke(app: pb.CreateAppResponse, access_token: str) -> None:
        request = pb.RevokeTokenRequest(
            access_token=access_token, client_id=app.app.client_id, client_secret=app.client_secret
        )
        await account.ask(account.oauth.RevokeToken, request)

    with pytest.raises(PermissionDenied, match="another app"):
        await revoke(other, token.access_token)
    await verify(account, token.access_token)
    await revoke(made, token.access_token)
    with pytest.raises(Unauthenticated):
        await verify(account, token.access_token)
    await verify(account, kept.access_token)
    for ignored in (token.access_token, "unknown", "", "\0"):
        await revoke(made, ignored)


async def test_many_tokens_are_verified_in_one_call(account: Account) -> None:
    made = await register(account)
    tokens = [await app_token(account, made) for _ in range(3)]
    hashes = [hashlib.sha256(token.access_token.encode()).digest() for token in tokens]
    revoke = pb.RevokeTokenRequest(
        access_token=tokens[1].access_token, client_id=made.app.client_id, client_secret=made.client_secret
    )
    await account.ask(account.oauth.RevokeToken, revoke)
    request = pb.BatchVerifyTokensRequest(token_hashes=[*hashes, b"", b"x" * 32, hashes[0]])
    answer = await account.ask(account.oauth.BatchVerifyTokens, request)
    assert {each.token_hash: each.token.app_id for each in answer.tokens} == {
        hashes[0]: made.app.id,
        hashes[2]: made.app.id,
    }
    assert {each.token_hash: each.token for each in answer.tokens}[hashes[0]] == await verify(
        account, tokens[0].access_token
    )
    with pytest.raises(InvalidField):
        await account.ask(account.oauth.BatchVerifyTokens, pb.BatchVerifyTokensRequest(token_hashes=[b"x"] * 1001))


async def test_who_may_call(account: Account) -> None:
    methods = [method.name for method in pb.DESCRIPTOR.services_by_name["OAuthService"].methods]
    assert len(methods) == 10
    for method in methods:
        allowed = {caller.GATEWAY} | ({caller.OPERATOR} if method == "IssueAccountToken" else set())
        for role in caller.ROLES - allowed:
            with pytest.raises(KodamaError, match="PERMISSION_DENIED"):
                await account.ask(getattr(account.oauth, method), getattr(pb, f"{method}Request")(), role)
