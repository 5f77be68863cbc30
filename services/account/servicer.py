"""The RPCs of AccountService and OAuthService: requests into the domain's words and back, no rules, no SQL."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import grpc
from google.protobuf.message import Message
from kodama.account.v1 import account_pb2, account_service_pb2_grpc, oauth_service_pb2_grpc
from kodama.account.v1 import account_service_pb2 as account_pb
from kodama.account.v1 import oauth_service_pb2 as oauth_pb
from kodama.status.v1 import status_pb2

from chassis import caller
from chassis.errors import InvalidField
from chassis.idempotency import Write, Writes, once
from chassis.rpc import Service, method_names, require_batch
from services.account.accounts import Accounts
from services.account.authorizing import Authorizing
from services.account.changes import AccountChange
from services.account.confirming import Confirming
from services.account.domain import (
    Account,
    AccountSettings,
    App,
    NewProfile,
    TokenInfo,
    check_app,
    check_page,
    check_profile,
    check_search,
)
from services.account.oauth import IssuedToken, OAuth
from services.account.oauth_protocol import CLIENT_CREDENTIALS
from services.account.signing_up import SigningUp

MAX_BATCH = 1000
MAX_SCOPES = 100
Context = grpc.aio.ServicerContext[Any, Any]


def _by_app(request: account_pb.CreateAccountRequest) -> int:
    """Return whose idempotency key a sign-up carries: the app's, apart from those of members by its sign."""
    return -request.app_id


class AccountServicer(account_service_pb2_grpc.AccountServiceServicer):
    """Translates between kodama.account.v1.AccountService and the use cases."""

    def __init__(self, writes: Writes, signing_up: SigningUp, accounts: Accounts, confirming: Confirming) -> None:
        self.writes = writes
        self._signing_up = signing_up
        self._accounts = accounts
        self._confirming = confirming

    @once(account_pb.CreateAccountResponse, owner=_by_app)
    async def CreateAccount(
        self, request: account_pb.CreateAccountRequest, write: Write
    ) -> account_pb.CreateAccountResponse:
        """Sign a member up."""
        account = await self._signing_up.sign_up(
            write, request.handle, request.email, request.password, request.locale, request.display_name
        )
        return account_pb.CreateAccountResponse(account=_account(account))

    async def ConfirmEmail(
        self, request: account_pb.ConfirmEmailRequest, context: Context
    ) -> account_pb.ConfirmEmailResponse:
        """Confirm the account that a link was mailed to."""
        await self._confirming.confirm(request.token)
        return account_pb.ConfirmEmailResponse()

    @once(account_pb.ResendConfirmationResponse)
    async def ResendConfirmation(
        self, request: account_pb.ResendConfirmationRequest, write: Write
    ) -> account_pb.ResendConfirmationResponse:
        """Have the mail of a member who waits sent again."""
        await self._confirming.ask_again(write, request.account_id, request.email)
        return account_pb.ResendConfirmationResponse()

    async def BatchGetAccounts(
        self, request: account_pb.BatchGetAccountsRequest, context: Context
    ) -> account_pb.BatchGetAccountsResponse:
        """Return those that exist."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        accounts = await self._accounts.by_ids(request.account_ids)
        return account_pb.BatchGetAccountsResponse(accounts=_accounts(accounts))

    async def BatchGetAccountVersions(
        self, request: account_pb.BatchGetAccountVersionsRequest, context: Context
    ) -> account_pb.BatchGetAccountVersionsResponse:
        """Return the versions of those that exist."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        return account_pb.BatchGetAccountVersionsResponse(versions=await self._accounts.versions(request.account_ids))

    async def BatchFindAccounts(
        self, request: account_pb.BatchFindAccountsRequest, context: Context
    ) -> account_pb.BatchFindAccountsResponse:
        """Return those with these handles."""
        require_batch("handles", request.handles, MAX_BATCH)
        accounts = await self._accounts.by_handles(request.handles)
        return account_pb.BatchFindAccountsResponse(accounts=_accounts(accounts))

    async def BatchImportAccounts(
        self, request: account_pb.BatchImportAccountsRequest, context: Context
    ) -> account_pb.BatchImportAccountsResponse:
        """Bring members in."""
        require_batch("accounts", request.accounts, MAX_BATCH)
        imported = await self._accounts.import_all(_profiles(request.accounts))
        return account_pb.BatchImportAccountsResponse(accounts=_accounts(imported.accounts), created=imported.created)

    async def CountAccounts(
        self, request: account_pb.CountAccountsRequest, context: Context
    ) -> account_pb.CountAccountsResponse:
        """Count all members."""
        return account_pb.CountAccountsResponse(accounts=await self._accounts.count())

    async def ListAccounts(
        self, request: account_pb.ListAccountsRequest, context: Context
    ) -> account_pb.ListAccountsResponse:
        """Return a page of all members."""
        size, after_id = check_page(request.page_size, request.page_token)
        accounts, next_page_token = await self._accounts.page(after_id, size)
        return account_pb.ListAccountsResponse(accounts=_accounts(accounts), next_page_token=next_page_token)

    async def SearchAccounts(
        self, request: account_pb.SearchAccountsRequest, context: Context
    ) -> account_pb.SearchAccountsResponse:
        """Find accounts by the beginnings of their names."""
        limit, offset = check_search(request.query, request.limit, request.offset)
        found = await self._accounts.search(request.query, limit=limit, offset=offset)
        return account_pb.SearchAccountsResponse(accounts=_accounts(found))

    @once(account_pb.UpdateAccountResponse)
    async def UpdateAccount(
        self, request: account_pb.UpdateAccountRequest, write: Write
    ) -> account_pb.UpdateAccountResponse:
        """Change a member's own profile and settings."""
        account, settings = await self._accounts.change(write, request.account_id, _change(request))
        return account_pb.UpdateAccountResponse(account=_account(account), settings=_settings(settings))

    async def FilterShownMedia(
        self, request: account_pb.FilterShownMediaRequest, context: Context
    ) -> account_pb.FilterShownMediaResponse:
        """Return which pictures a member shows."""
        require_batch("media_ids", request.media_ids, MAX_BATCH)
        return account_pb.FilterShownMediaResponse(media_ids=await self._accounts.shown_media(request.media_ids))

    async def BatchGetDefaultVisibilities(
        self, request: account_pb.BatchGetDefaultVisibilitiesRequest, context: Context
    ) -> account_pb.BatchGetDefaultVisibilitiesResponse:
        """Return what statuses are whose authors say nothing else."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        visibilities = await self._accounts.default_visibilities(request.account_ids)
        return account_pb.BatchGetDefaultVisibilitiesResponse(
            visibilities={an_id: status_pb2.Visibility.ValueType(each) for an_id, each in visibilities.items()}
        )

    async def BatchGetAccountSettings(
        self, request: account_pb.BatchGetAccountSettingsRequest, context: Context
    ) -> account_pb.BatchGetAccountSettingsResponse:
        """Return those that exist with their settings."""
        require_batch("account_ids", request.account_ids, MAX_BATCH)
        found = await self._accounts.with_settings(request.account_ids)
        return account_pb.BatchGetAccountSettingsResponse(
            settings=[_settings(settings) for _, settings in found],
            accounts=_accounts([account for account, _ in found]),
        )


class OAuthServicer(oauth_service_pb2_grpc.OAuthServiceServicer):
    """Translates between kodama.account.v1.OAuthService and the use case."""

    def __init__(self, oauth: OAuth, authorizing: Authorizing) -> None:
        self._oauth = oauth
        self._authorizing = authorizing

    async def CreateApp(self, request: oauth_pb.CreateAppRequest, context: Context) -> oauth_pb.CreateAppResponse:
        """Register an app."""
        require_batch("scopes", request.scopes, MAX_SCOPES)
        new = check_app(
            request.name, request.website, request.redirect_uris, request.scopes, is_public=request.is_public
        )
        app, client_secret = await self._oauth.register(new)
        return oauth_pb.CreateAppResponse(app=_app(app), client_secret=client_secret)

    async def CheckAuthorization(
        self, request: oauth_pb.CheckAuthorizationRequest, context: Context
    ) -> oauth_pb.CheckAuthorizationResponse:
        """Tell what an app asks for."""
        app, authorization = await self._authorizing.check(_values(request.authorization))
        return oauth_pb.CheckAuthorizationResponse(
            app=_app(app), scopes=authorization.scopes, redirect_uri=authorization.redirect_uri
        )

    async def Authorize(self, request: oauth_pb.AuthorizeRequest, context: Context) -> oauth_pb.AuthorizeResponse:
        """Sign a member in and give the app a code."""
        issued = await self._authorizing.approve(
            _values(request.authorization), request.login, request.password, signed_in_id=request.account_id
        )
        return oauth_pb.AuthorizeResponse(code=issued.code, redirect_uri=issued.redirect_uri)

    async def IssueToken(self, request: oauth_pb.IssueTokenRequest, context: Context) -> oauth_pb.IssueTokenResponse:
        """Issue a token."""
        return oauth_pb.IssueTokenResponse(token=_token(await self._oauth.issue(_values(request))))

    async def IssueAppToken(
        self, request: oauth_pb.IssueAppTokenRequest, context: Context
    ) -> oauth_pb.IssueAppTokenResponse:
        """Issue a token that acts for an app."""
        require_batch("scopes", request.scopes, MAX_SCOPES)
        values = {"grant_type": CLIENT_CREDENTIALS, "scope": " ".join(request.scopes)} | _values(
            request, "client_id", "client_secret"
        )
        issued = await self._oauth.issue(values)
        return oauth_pb.IssueAppTokenResponse(token=_token(issued))

    async def IssueAccountToken(
        self, request: oauth_pb.IssueAccountTokenRequest, context: Context
    ) -> oauth_pb.IssueAccountTokenResponse:
        """Issue a token that acts for a member."""
        require_batch("scopes", request.scopes, MAX_SCOPES)
        issued = await self._oauth.issue_for_account(request.account_id, request.app_id, request.scopes)
        return oauth_pb.IssueAccountTokenResponse(token=_token(issued))

    async def VerifyToken(self, request: oauth_pb.VerifyTokenRequest, context: Context) -> oauth_pb.VerifyTokenResponse:
        """Tell what a token stands for."""
        return oauth_pb.VerifyTokenResponse(token=_token_info(await self._oauth.verify(request.access_token)))

    async def BatchVerifyTokens(
        self, request: oauth_pb.BatchVerifyTokensRequest, context: Context
    ) -> oauth_pb.BatchVerifyTokensResponse:
        """Tell what tokens stand for."""
        require_batch("token_hashes", request.token_hashes, MAX_BATCH)
        verified = await self._oauth.verify_all(request.token_hashes)
        return oauth_pb.BatchVerifyTokensResponse(
            tokens=[
                oauth_pb.VerifiedToken(token_hash=token_hash, token=_token_info(info)) for token_hash, info in verified
            ]
        )

    async def RevokeToken(self, request: oauth_pb.RevokeTokenRequest, context: Context) -> oauth_pb.RevokeTokenResponse:
        """End a token."""
        await self._oauth.revoke(request.access_token, _values(request, "client_id", "client_secret"))
        return oauth_pb.RevokeTokenResponse()

    async def GetApp(self, request: oauth_pb.GetAppRequest, context: Context) -> oauth_pb.GetAppResponse:
        """Return an app."""
        return oauth_pb.GetAppResponse(app=_app(await self._oauth.app(request.app_id)))


def _profiles(imported: Sequence[account_pb.ImportedAccount]) -> list[NewProfile]:
    profiles = []
    for place, each in enumerate(imported):
        try:
            profiles.append(check_profile(each.handle, each.display_name, each.note, each.locale))
        except InvalidField as error:  # say which of a thousand
            field = f"accounts[{place}].{error.metadata['field']}"
            raise InvalidField(field, f"Account {place + 1} of the import: {error.message}") from error
    return profiles


def _values(message: Message, *names: str) -> dict[str, str]:
    """Return the texts of a message that are not empty, by their names, which are those of the RFCs; all, or these."""
    return {
        field.name: value
        for field, value in message.ListFields()
        if isinstance(value, str) and (not names or field.name in names)
    }


def _account(account: Account) -> account_pb2.Account:
    return account_pb2.Account(
        id=account.id,
        handle=account.handle,
        display_name=account.display_name,
        note=account.note,
        locale=account.locale,
        created_at_ms=int(account.created_at.timestamp() * 1000),
        version=account.version,
        is_bot=account.is_bot,
        is_discoverable=account.is_discoverable,
        hides_friends=account.hides_friends,
        avatar=account.avatar,
        header=account.header,
    )


def _settings(settings: AccountSettings) -> account_pb2.AccountSettings:
    return account_pb2.AccountSettings(
        account_id=settings.account_id,
        default_visibility=status_pb2.Visibility.ValueType(settings.default_visibility),
        default_sensitive=settings.default_sensitive,
        default_language=settings.default_language,
    )


def _change(request: account_pb.UpdateAccountRequest) -> AccountChange:
    wanted = {descriptor.name: value for descriptor, value in request.ListFields()}
    return AccountChange(**{each.name: wanted.get(each.name) for each in fields(AccountChange)})


def _token_info(info: TokenInfo) -> account_pb2.TokenInfo:
    return account_pb2.TokenInfo(
        token_id=info.id,
        app_id=info.app_id,
        account_id=info.account_id or 0,
        scopes=info.scopes,
        awaits_confirmation=info.awaits_confirmation,
        is_session=info.is_session,
    )


def _accounts(accounts: Sequence[Account]) -> list[account_pb2.Account]:
    return [_account(account) for account in accounts]


def _app(app: App) -> account_pb2.App:
    return account_pb2.App(
        id=app.id,
        client_id=app.client_id,
        name=app.name,
        website=app.website,
        redirect_uris=app.redirect_uris,
        scopes=app.scopes,
        is_public=app.is_public,
    )


def _token(issued: IssuedToken) -> account_pb2.Token:
    return account_pb2.Token(
        access_token=issued.access_token,
        scopes=issued.info.scopes,
        created_at_ms=int(issued.info.created_at.timestamp() * 1000),
    )


def account_service(servicer: AccountServicer) -> Service:
    """Return the accounts' service for a server, with who may call what."""
    operator = frozenset({caller.OPERATOR})
    return Service(
        name="kodama.account.v1.AccountService",
        add=lambda server: account_service_pb2_grpc.add_AccountServiceServicer_to_server(servicer, server),
        callers={
            "CreateAccount": frozenset({caller.GATEWAY}),
            "ConfirmEmail": frozenset({caller.GATEWAY}),
            "ResendConfirmation": frozenset({caller.GATEWAY}),
            "BatchGetAccountVersions": frozenset({caller.GATEWAY}),
            "BatchGetAccounts": frozenset({caller.GATEWAY, caller.SOCIAL_GRAPH, caller.OPERATOR}),
            "BatchFindAccounts": frozenset({caller.GATEWAY, caller.STATUS, caller.OPERATOR}),
            "BatchImportAccounts": operator,
            "CountAccounts": operator | {caller.GATEWAY},
            "ListAccounts": operator,
            "SearchAccounts": frozenset({caller.GATEWAY}),
            "UpdateAccount": frozenset({caller.GATEWAY}),
            "BatchGetAccountSettings": frozenset({caller.GATEWAY}),
            "BatchGetDefaultVisibilities": frozenset({caller.STATUS}),
            "FilterShownMedia": frozenset({caller.MEDIA, caller.WORKER}),
        },
        methods=method_names(account_pb.DESCRIPTOR.services_by_name["AccountService"]),
    )


def oauth_service(servicer: OAuthServicer) -> Service:
    """Return the service of apps and tokens for a server, with who may call what."""
    gateway = frozenset({caller.GATEWAY})
    return Service(
        name="kodama.account.v1.OAuthService",
        add=lambda server: oauth_service_pb2_grpc.add_OAuthServiceServicer_to_server(servicer, server),
        callers={
            "CreateApp": gateway,
            "CheckAuthorization": gateway,
            "Authorize": gateway,
            "IssueToken": gateway,
            "IssueAppToken": gateway,
            "IssueAccountToken": frozenset({caller.GATEWAY, caller.OPERATOR}),
            "VerifyToken": gateway,
            "BatchVerifyTokens": gateway,
            "RevokeToken": gateway,
            "GetApp": gateway,
        },
        methods=method_names(oauth_pb.DESCRIPTOR.services_by_name["OAuthService"]),
    )
