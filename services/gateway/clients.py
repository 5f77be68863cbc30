"""What the gateway asks the services: one typed method per need, each with a deadline."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, NamedTuple

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from kodama.account.v1 import account_pb2, account_service_pb2, oauth_service_pb2
from kodama.account.v1.account_service_pb2_grpc import AccountServiceStub
from kodama.account.v1.oauth_service_pb2_grpc import OAuthServiceStub
from kodama.account.v1.session_service_pb2_grpc import SessionServiceStub
from kodama.blog.v1.blog_service_pb2_grpc import BlogServiceStub
from kodama.blog.v1.comment_service_pb2_grpc import CommentServiceStub
from kodama.blog.v1.draft_service_pb2_grpc import DraftServiceStub
from kodama.media.v1.media_service_pb2_grpc import MediaServiceStub
from kodama.page.v1.window_pb2 import Window
from kodama.social_graph.v1.social_graph_service_pb2_grpc import SocialGraphServiceStub
from kodama.social_graph.v1.suggestion_service_pb2_grpc import SuggestionServiceStub
from kodama.status.v1 import status_service_pb2
from kodama.status.v1.status_service_pb2_grpc import StatusServiceStub
from kodama.timeline.v1 import timeline_service_pb2
from kodama.timeline.v1.notification_service_pb2_grpc import NotificationServiceStub
from kodama.timeline.v1.timeline_service_pb2_grpc import TimelineServiceStub

from chassis import caller
from chassis.coalescing import Coalescer, Loader
from chassis.errors import KodamaError, NotFound
from chassis.ragged import split
from chassis.rpc import call, open_channel
from chassis.settings import SERVICES, Settings
from services.gateway.blog_calls import BlogCalls
from services.gateway.graph_calls import GraphCalls
from services.gateway.home_pages import HomePage, home_entries
from services.gateway.media_calls import MediaCalls
from services.gateway.notification_calls import NotificationCalls
from services.gateway.session_calls import SessionCalls
from services.gateway.status_calls import StatusCalls

HEALTH_SECONDS = 1
MAX_HEALTH_ASKERS = 1000
MAX_READERS = 32
"""Whose home timelines are asked for in one call: so few that one who takes long delays few others, so many that it costs each of them
little."""
MAX_HOME_CALLS = 2

# Reads, and writes that carry an idempotency key or change nothing the second time, may be repeated when a server goes away.
RETRYABLE: Mapping[str, Sequence[str]] = {
    "kodama.account.v1.AccountService": (
        *("BatchGetAccounts", "BatchGetAccountVersions", "BatchFindAccounts", "SearchAccounts"),
        *("UpdateAccount", "BatchGetAccountSettings", "ConfirmEmail", "ResendConfirmation"),
    ),
    "kodama.social_graph.v1.SocialGraphService": (
        *("Relate", "ListFriends", "ListFriendRequests", "ListBlocks", "ListMutes"),
        *("BatchListMutualFriends", "BatchCountFriends"),
    ),
    "kodama.account.v1.OAuthService": ("VerifyToken", "BatchVerifyTokens", "GetApp", "CheckAuthorization"),
    "kodama.account.v1.SessionService": ("EndSession", "ListGrants", "RevokeGrant"),
    "kodama.social_graph.v1.SuggestionService": (
        *("ListSuggestions", "ExplainSuggestion", "ListDismissedSuggestions"),
        *("DismissSuggestion", "RestoreSuggestion"),
    ),
    "kodama.status.v1.StatusService": (
        "BatchGetStatuses",
        "ListAccountStatuses",
        "BatchCountStatuses",
        "ListFavouriteStatuses",
        "ListStatusFavourites",
        "GetContext",
        "ListRevisions",
    ),
    "kodama.media.v1.MediaService": ("BatchGetMedia", "UpdateMedia"),
    "kodama.blog.v1.BlogService": ("BatchGetBlogEntries", "ListAccountBlogEntries"),
    "kodama.blog.v1.DraftService": ("GetDraft", "ListDrafts"),
    "kodama.blog.v1.CommentService": ("ListComments", "BatchGetComments"),
    "kodama.timeline.v1.TimelineService": ("BatchListHomeEntries", "FilterHomeEntries"),
    "kodama.timeline.v1.NotificationService": (
        *("ListNotifications", "GetNotification", "CountUnreadNotifications", "ListMarkers"),
        *("DismissNotification", "ClearNotifications"),
    ),
}


class OwnAccount(NamedTuple):
    """A member as everybody may see them, and what they have decided for themselves."""

    account: account_pb2.Account
    settings: account_pb2.AccountSettings


class Clients(GraphCalls, StatusCalls, BlogCalls, MediaCalls, SessionCalls):
    """The services, as the gateway sees them. Use as a context: channels belong to the event loop that opened them.

    Every method raises the KodamaError that the service ended with, or Unavailable.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(caller.Signer(caller.GATEWAY, settings.derive("rpc")))
        self._settings = settings
        self._stack = AsyncExitStack()
        self._health: dict[str, grpc.aio.Channel] = {}
        self._serving = Coalescer(self._ask_all, max_batch=MAX_HEALTH_ASKERS, max_running=1)

    async def __aenter__(self) -> "Clients":
        self._account = AccountServiceStub(self._open("account", "kodama.account.v1.AccountService"))
        self._oauth = OAuthServiceStub(self._open("account", "kodama.account.v1.OAuthService"))
        self._session = SessionServiceStub(self._open("account", "kodama.account.v1.SessionService"))
        graph = self._open("social_graph", "kodama.social_graph.v1.SocialGraphService")
        self._graph = SocialGraphServiceStub(graph)
        self._suggestion = SuggestionServiceStub(self._open("social_graph", "kodama.social_graph.v1.SuggestionService"))
        self._status = StatusServiceStub(self._open("status", "kodama.status.v1.StatusService"))
        self._media = MediaServiceStub(self._open("media", "kodama.media.v1.MediaService"))
        self._blog = BlogServiceStub(self._open("blog", "kodama.blog.v1.BlogService"))
        self._draft = DraftServiceStub(self._open("blog", "kodama.blog.v1.DraftService"))
        self._comment = CommentServiceStub(self._open("blog", "kodama.blog.v1.CommentService"))
        self._timeline = TimelineServiceStub(self._open("timeline", "kodama.timeline.v1.TimelineService"))
        # Whoever posts is asked for first: posts of one moment ask for all their authors at once.
        self._own_accounts = Loader(self._load_own_accounts)
        self._homes = Coalescer(self._list_homes, max_batch=MAX_READERS, max_running=MAX_HOME_CALLS)
        notification = NotificationServiceStub(self._open("timeline", "kodama.timeline.v1.NotificationService"))
        self.notifications = NotificationCalls(notification, self._signer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _open(self, service: str, name: str) -> grpc.aio.Channel:
        channel = open_channel(self._settings.address(service), name, retryable=RETRYABLE[name])
        self._stack.push_async_callback(channel.close)
        self._health[service] = channel
        return channel

    # Health

    async def serving(self) -> dict[str, bool]:
        """Tell of each service whether it answers and serves; whoever asks at the same time is told the same."""
        return await self._serving.get(None)

    async def _ask_all(self, askers: Sequence[None]) -> list[dict[str, bool]]:
        answers = await asyncio.gather(*(self._is_serving(self._health[service]) for service in SERVICES))
        return [dict(zip(SERVICES, answers, strict=True)) for _ in askers]

    async def _is_serving(self, channel: grpc.aio.Channel) -> bool:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its RPCs are not in its types
        request = health_pb2.HealthCheckRequest()
        try:
            answer: health_pb2.HealthCheckResponse = await call(
                stub.Check, request, self._signer, timeout_seconds=HEALTH_SECONDS
            )
        except KodamaError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    # Accounts

    async def create_account(
        self, *, handle: str, email: str, password: str, locale: str, display_name: str, app_id: int
    ) -> account_pb2.Account:
        """Sign a member up through an app."""
        request = account_service_pb2.CreateAccountRequest(
            handle=handle, email=email, password=password, locale=locale, display_name=display_name, app_id=app_id
        )
        return (await self._write(self._account.CreateAccount, request)).account

    async def confirm_email(self, token: str) -> None:
        """Confirm the account that a link was mailed to. Raises NotFound."""
        await self._write(self._account.ConfirmEmail, account_service_pb2.ConfirmEmailRequest(token=token))

    async def resend_confirmation(self, account_id: int, email: str) -> None:
        """Have the mail sent again, to another address where one is given."""
        request = account_service_pb2.ResendConfirmationRequest(account_id=account_id, email=email)
        await self._write(self._account.ResendConfirmation, request)

    async def accounts(self, account_ids: Iterable[int]) -> dict[int, account_pb2.Account]:
        """Return those that exist, by id."""
        wanted = sorted(set(account_ids))
        if not wanted:
            return {}
        request = account_service_pb2.BatchGetAccountsRequest(account_ids=wanted)
        answer = await self._read(self._account.BatchGetAccounts, request)
        return {account.id: account for account in answer.accounts}

    async def account_versions(self, account_ids: Iterable[int]) -> dict[int, int]:
        """Return the versions of those that exist, by id."""
        request = account_service_pb2.BatchGetAccountVersionsRequest(account_ids=account_ids)
        return dict((await self._read(self._account.BatchGetAccountVersions, request)).versions)

    async def find_account(self, handle: str) -> account_pb2.Account | None:
        """Return the account with a handle."""
        request = account_service_pb2.BatchFindAccountsRequest(handles=[handle])
        answer = await self._read(self._account.BatchFindAccounts, request)
        return answer.accounts[0] if answer.accounts else None

    async def search_accounts(self, query: str, *, limit: int, offset: int = 0) -> Sequence[account_pb2.Account]:
        """Return the accounts whose names begin so, the best first."""
        request = account_service_pb2.SearchAccountsRequest(query=query, limit=limit, offset=offset)
        return (await self._read(self._account.SearchAccounts, request)).accounts

    async def own_account(self, account_id: int) -> OwnAccount:
        """Return a member's own account with their settings. Raises NotFound."""
        found = await self._own_accounts.get([account_id])
        if account_id not in found:
            raise NotFound("There is no such member any more.", resource="account")
        return found[account_id]

    async def _load_own_accounts(self, account_ids: Sequence[int]) -> dict[int, OwnAccount]:
        request = account_service_pb2.BatchGetAccountSettingsRequest(account_ids=account_ids)
        answer = await self._read(self._account.BatchGetAccountSettings, request)
        accounts = {account.id: account for account in answer.accounts}
        return {
            settings.account_id: OwnAccount(accounts[settings.account_id], settings) for settings in answer.settings
        }

    async def update_account(
        self, request: account_service_pb2.UpdateAccountRequest
    ) -> account_service_pb2.UpdateAccountResponse:
        """Change a member's own profile and settings."""
        return await self._write(self._account.UpdateAccount, request)

    # Apps and tokens

    async def create_app(
        self, *, name: str, redirect_uris: Sequence[str], scopes: Sequence[str], website: str, is_public: bool
    ) -> tuple[account_pb2.App, str]:
        """Register an app; return it and its secret, which a public one has not."""
        request = oauth_service_pb2.CreateAppRequest(
            name=name, redirect_uris=redirect_uris, scopes=scopes, website=website, is_public=is_public
        )
        answer = await self._write(self._oauth.CreateApp, request)
        return answer.app, answer.client_secret

    async def app(self, app_id: int) -> account_pb2.App:
        """Return an app."""
        return (await self._read(self._oauth.GetApp, oauth_service_pb2.GetAppRequest(app_id=app_id))).app

    async def check_authorization(
        self, authorization: oauth_service_pb2.AuthorizationRequest
    ) -> oauth_service_pb2.CheckAuthorizationResponse:
        """Return which app asks a member for what. Raises OAuthRefused."""
        request = oauth_service_pb2.CheckAuthorizationRequest(authorization=authorization)
        return await self._read(self._oauth.CheckAuthorization, request)

    async def authorize(
        self,
        authorization: oauth_service_pb2.AuthorizationRequest,
        *,
        login: str = "",
        password: str = "",
        account_id: int = 0,
    ) -> tuple[str, str]:
        """Let an app in for a member who signs in, or has a session already; return the app's code and where it goes.

        Raises OAuthRefused, Unauthenticated where name and password do not belong together, TooManyAttempts.
        """
        request = oauth_service_pb2.AuthorizeRequest(
            authorization=authorization, login=login, password=password, account_id=account_id
        )
        answer = await self._write(self._oauth.Authorize, request)
        return answer.code, answer.redirect_uri

    async def issue_token(self, request: oauth_service_pb2.IssueTokenRequest) -> account_pb2.Token:
        """Give an app a token. Raises OAuthRefused or TooManyAttempts."""
        return (await self._write(self._oauth.IssueToken, request)).token

    async def issue_account_token(self, *, account_id: int, app_id: int) -> account_pb2.Token:
        """Give an app a token for a member who has just signed up through it, with all scopes of the app."""
        request = oauth_service_pb2.IssueAccountTokenRequest(account_id=account_id, app_id=app_id)
        return (await self._write(self._oauth.IssueAccountToken, request)).token

    async def verify_tokens(self, token_hashes: Sequence[bytes]) -> dict[bytes, account_pb2.TokenInfo]:
        """Return what bearer tokens stand for, by their SHA-256; those that are unknown or revoked are left out."""
        if not token_hashes:
            return {}
        request = oauth_service_pb2.BatchVerifyTokensRequest(token_hashes=token_hashes)
        answer = await self._read(self._oauth.BatchVerifyTokens, request)
        return {verified.token_hash: verified.token for verified in answer.tokens}

    async def revoke_token(self, *, access_token: str, client_id: str, client_secret: str) -> None:
        """End a token."""
        request = oauth_service_pb2.RevokeTokenRequest(
            access_token=access_token, client_id=client_id, client_secret=client_secret
        )
        await self._write(self._oauth.RevokeToken, request)

    # Timelines

    async def size(self) -> tuple[int, int]:
        """Return how many members and statuses there are."""
        accounts, statuses = await asyncio.gather(
            self._read(self._account.CountAccounts, account_service_pb2.CountAccountsRequest()),
            self._read(self._status.CountStatuses, status_service_pb2.CountStatusesRequest()),
        )
        return accounts.accounts, statuses.statuses

    async def home(self, account_id: int, window: Window) -> HomePage:
        """Return a page of a member's home timeline, newest first; those of members who read at the same time are one call."""
        return await self._homes.get((account_id, window))

    async def _list_homes(self, questions: Sequence[tuple[int, Window]]) -> list[HomePage]:
        request = timeline_service_pb2.BatchListHomeEntriesRequest(
            account_ids=[account_id for account_id, _ in questions], windows=[window for _, window in questions]
        )
        answer = await self._read(self._timeline.BatchListHomeEntries, request)
        entries = home_entries(answer.author_ids, answer.cards)
        pages = zip(split(questions, answer.counts, entries), answer.older_ids, answer.newer_ids, strict=True)
        return [HomePage(page, answer.lag_ms, older, newer) for (_, page), older, newer in pages]

    async def filter_home(self, account_id: int, entry_ids: Iterable[int]) -> set[int]:
        """Return which of these entries may stand on a member's home timeline now."""
        request = timeline_service_pb2.FilterHomeEntriesRequest(account_id=account_id, entry_ids=sorted(set(entry_ids)))
        return set((await self._read(self._timeline.FilterHomeEntries, request)).entry_ids)
