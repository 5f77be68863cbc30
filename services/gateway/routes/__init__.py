"""The route table: every address of the gateway, with who may call it and what it takes and answers."""

from services.gateway.routes import (
    absent,
    accounts,
    authorization,
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
    profiles,
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
        *authorization.ROUTES,
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
        *profiles.ROUTES,
    )
).table
