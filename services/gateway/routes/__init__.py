"""The route table: every address that apps call, with who may call it and what it takes and answers. Pages have a table of their own."""

from services.gateway.routes import (
    absent,
    accounts,
    blogs,
    comments,
    confirmation,
    documentation,
    drafts,
    favourites,
    feeds,
    friendships,
    instance,
    media,
    notifications,
    oauth,
    own_account,
    portraits,
    search,
    statuses,
    streaming,
    suggestions,
    timelines,
)
from services.gateway.routing import Route

TABLE: tuple[Route, ...] = documentation.Documentation(
    (
        *instance.ROUTES,
        *oauth.ROUTES,
        *own_account.ROUTES,
        *confirmation.ROUTES,
        *accounts.ROUTES,
        *friendships.ROUTES,
        *statuses.ROUTES,
        *favourites.ROUTES,
        *search.ROUTES,
        *timelines.ROUTES,
        *media.ROUTES,
        *notifications.ROUTES,
        *streaming.ROUTES,
        *blogs.ROUTES,
        *drafts.ROUTES,
        *comments.ROUTES,
        *feeds.ROUTES,
        *suggestions.ROUTES,
        *absent.ROUTES,
        *portraits.ROUTES,
    )
).table
