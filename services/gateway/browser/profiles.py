"""A member's profile: who it is, how the viewer stands to them, their latest, their friends."""

import asyncio
from dataclasses import dataclass
from typing import Any

from kodama.page.v1.window_pb2 import Window
from starlette.responses import Response

from services.gateway import entities
from services.gateway.browser.endpoint import Audience, Page
from services.gateway.browser.visit import Visit
from services.gateway.parameters import NoParameters, WindowParameters
from services.gateway.routes.accounts import FriendParameters

PROFILE_STATUSES = 2
PROFILE_BLOG_ENTRIES = 5
PROFILE_FRIENDS = 12
PAGE_STATUSES = 20


@dataclass(frozen=True)
class Standing:
    """How a viewer who is signed in stands to a member, and the friends whom both have."""

    relationship: entities.Relationship | None
    """None where the member is the viewer."""
    mutual: list[entities.Account]
    mutual_count: int


async def get_profile(visit: Visit[NoParameters]) -> Response:
    """Show a member: the latest two statuses with a link to all, the blog, the friends, the mutual friends."""
    gateway, member = visit.gateway, await visit.member()
    account_id = int(member.id)
    statuses, entries, standing, friends = await asyncio.gather(
        gateway.clients.account_statuses(visit.viewer_id, account_id, Window(limit=PROFILE_STATUSES)),
        gateway.clients.account_blog_entries(visit.viewer_id, account_id, Window(limit=PROFILE_BLOG_ENTRIES)),
        _standing(visit, account_id),
        _friends(visit, account_id),
    )
    return await visit.page(
        "profile.html",
        member=member,
        statuses=await gateway.hydration.statuses_of(member, statuses),
        entries=[await gateway.hydration.blog_entry(visit.viewer_id, entry, member) for entry in entries],
        standing=standing,
        friends=friends,
    )


async def _standing(visit: Visit[Any], account_id: int) -> Standing | None:
    if not visit.viewer_id:
        return None
    if visit.viewer_id == account_id:
        return Standing(None, [], 0)
    clients = visit.gateway.clients
    relations, mutual = await asyncio.gather(
        clients.relate(visit.viewer_id, [account_id]), clients.mutual_friends(visit.viewer_id, [account_id])
    )
    ids = list(mutual.get(account_id, ()))
    shown = await visit.gateway.hydration.account_list(ids[:PROFILE_FRIENDS])
    return Standing(visit.gateway.renderer.relationship(relations[account_id]), shown, len(ids))


async def _friends(visit: Visit[Any], account_id: int) -> list[entities.Account]:
    if not visit.viewer_id:
        return []  # who is a friend of whom is for members to see
    page = await visit.gateway.clients.friends(visit.viewer_id, account_id, page_size=PROFILE_FRIENDS, page_token="")
    return await visit.gateway.hydration.account_list(page.account_ids)


async def get_statuses(visit: Visit[WindowParameters]) -> Response:
    """Show all of a member's statuses that the viewer may see, page by page."""
    window = visit.params.window(default=PAGE_STATUSES, maximum=PAGE_STATUSES)
    member = await visit.member()
    statuses = await visit.gateway.clients.account_statuses(visit.viewer_id, int(member.id), window)
    posts = await visit.gateway.hydration.statuses_of(member, statuses)
    older = statuses[-1].id if len(statuses) >= window.limit else None
    if visit.is_partial and window.max_id:
        return visit.part("member_posts.html", member=member, posts=posts, older=older)
    return await visit.page("member_statuses.html", member=member, posts=posts, older=older)


async def get_friends(visit: Visit[FriendParameters]) -> Response:
    """Show a page of a member's friends."""
    member = await visit.member()
    page = await visit.gateway.clients.friends(
        visit.viewer_id, int(member.id), page_size=visit.params.page_size(), page_token=visit.params.max_id
    )
    return await visit.page(
        "member_friends.html",
        member=member,
        friends=await visit.gateway.hydration.account_list(page.account_ids),
        next_page=page.next_page_token,
    )


PAGES = (
    Page(method="GET", path="/@{handle}", handler=get_profile, audience=Audience.ANYBODY),
    Page(
        method="GET",
        path="/@{handle}/statuses",
        handler=get_statuses,
        audience=Audience.ANYBODY,
        params=WindowParameters,
    ),
    Page(
        method="GET",
        path="/@{handle}/friends",
        handler=get_friends,
        audience=Audience.MEMBER,
        params=FriendParameters,
    ),
)
