"""Every page, with who may see it."""

from services.gateway.browser import (
    blogs,
    confirmation,
    consent,
    files,
    friendships,
    home,
    live,
    notifications,
    profiles,
    security,
    sessions,
    settings,
    sign_up,
    statuses,
    suggestions,
    writing,
)
from services.gateway.browser.endpoint import Page

PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *live.PAGES,
    *sessions.PAGES,
    *sign_up.PAGES,
    *consent.PAGES,
    *confirmation.PAGES,
    *profiles.PAGES,
    *statuses.PAGES,
    *blogs.PAGES,
    *writing.PAGES,
    *friendships.PAGES,
    *suggestions.PAGES,
    *notifications.PAGES,
    *settings.PAGES,
    *security.PAGES,
    *files.PAGES,
)
