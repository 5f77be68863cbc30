"""What the Mastodon API has and Kodama has not. Clients ask for it all the same, so each part answers: empty, or with the reason."""

from starlette.responses import Response

from chassis.errors import FailedPrecondition, NotFound
from services.gateway.auth import Open, Policy
from services.gateway.context import Call
from services.gateway.entities import Nothing, Status
from services.gateway.parameters import NoParameters
from services.gateway.routing import Handler, Route, json_response

# Clients show these lists as empty; a 404 would be shown as a failure of the network.
EMPTY_LISTS: tuple[tuple[str, Policy, str], ...] = (
    ("/api/v1/announcements", "read", "Announcements"),
    ("/api/v1/bookmarks", "read:bookmarks", "Bookmarked statuses"),
    ("/api/v1/conversations", "read:statuses", "Conversations"),
    ("/api/v1/custom_emojis", Open.PUBLIC, "Pictures for shortcodes"),
    ("/api/v1/directory", Open.PUBLIC, "Members who want to be found"),
    ("/api/v1/domain_blocks", "read:blocks", "Blocked networks"),
    ("/api/v1/endorsements", "read:accounts", "Members shown on the caller's profile"),
    ("/api/v1/featured_tags", "read:accounts", "Hashtags shown on the caller's profile"),
    ("/api/v1/featured_tags/suggestions", "read:accounts", "Hashtags that could be shown there"),
    ("/api/v1/filters", "read:filters", "Filters of words, as older clients expect them"),
    ("/api/v2/filters", "read:filters", "Filters of words"),
    ("/api/v1/followed_tags", "read:follows", "Followed hashtags"),
    ("/api/v1/instance/activity", Open.PUBLIC, "Activity by week"),
    ("/api/v1/instance/domain_blocks", Open.PUBLIC, "Networks that this one blocks"),
    ("/api/v1/instance/peers", Open.PUBLIC, "Networks that this one knows"),
    ("/api/v1/instance/rules", Open.PUBLIC, "Rules"),
    ("/api/v1/lists", "read:lists", "Lists of members"),
    ("/api/v1/scheduled_statuses", "read:statuses", "Statuses to be posted later"),
    ("/api/v1/timelines/public", "read:statuses", "What strangers posted"),
    ("/api/v1/timelines/tag/{hashtag}", "read:statuses", "What was posted with a hashtag"),
    ("/api/v1/trends", Open.PUBLIC, "Hashtags in use, as older clients expect them"),
    ("/api/v1/trends/links", Open.PUBLIC, "Links in use"),
    ("/api/v1/trends/statuses", Open.PUBLIC, "Statuses in view"),
    ("/api/v1/trends/tags", Open.PUBLIC, "Hashtags in use"),
)
EMPTY_LISTS_OF_MEMBERS: tuple[tuple[str, Policy, str], ...] = (
    ("/api/v1/accounts/{id}/endorsements", "read:accounts", "Members shown on a member's profile"),
    ("/api/v1/accounts/{id}/featured_tags", "read:accounts", "Hashtags shown on a member's profile"),
    ("/api/v1/accounts/{id}/lists", "read:lists", "The caller's lists that a member is on"),
)

# What cannot be done to a status here, the verb that would undo it, the scope, and why.
REFUSALS: tuple[tuple[str, str, str, str], ...] = (
    (
        "reblog",
        "unreblog",
        "write:statuses",
        "Statuses are not passed on here: they are for the friends of who wrote them.",
    ),
    ("bookmark", "unbookmark", "write:bookmarks", "There are no bookmarks here; a favourite marks a status too."),
    ("pin", "unpin", "write:accounts", "Statuses cannot be pinned here: a profile shows the latest two."),
    ("mute", "unmute", "write:mutes", "Conversations cannot be muted here; members can."),
)


async def get_empty_list(_call: Call[NoParameters]) -> Response:
    """Return the empty list: Kodama has nothing of this kind."""
    return json_response([])


async def get_empty_list_of_member(call: Call[NoParameters]) -> Response:
    """Return the empty list for a member who exists: Kodama has nothing of this kind."""
    await call.gateway.hydration.account(call.path_id())
    return json_response([])


async def get_empty_list_of_status(call: Call[NoParameters]) -> Response:
    """Return the empty list for a status that the caller may see: Kodama has nothing of this kind."""
    await _visible_status(call)
    return json_response([])


async def get_empty_object(_call: Call[NoParameters]) -> Response:
    """Return the empty object: Kodama has nothing of this kind."""
    return json_response(Nothing())


async def _visible_status(call: Call[NoParameters]) -> Status:
    status_id = call.path_id()
    posts = await call.gateway.hydration.posts(call.viewer_id, [status_id])
    if status_id not in posts:
        raise NotFound("There is no such status.", resource="status")
    return posts[status_id]


def refusing(reason: str) -> Handler:
    """Return the handler that says why something cannot be done to a status that the caller may see."""

    async def post_refused(call: Call[NoParameters]) -> Response:
        """Refuse with a sentence; to somebody who may not see the status it does not exist."""
        await _visible_status(call)
        raise FailedPrecondition(reason)

    return post_refused


async def post_undone(call: Call[NoParameters]) -> Response:
    """Return the status as it is: what is to be undone can never have been done."""
    return json_response(await _visible_status(call))


def _route(method: str, path: str, handler: Handler, policy: Policy, summary: str, response: object) -> Route:
    return Route(
        method=method, path=path, handler=handler, policy=policy, response=response, summary=summary, tag="absent"
    )


ROUTES = (
    *(
        _route("GET", path, get_empty_list, policy, f"{summary}: none", list[Nothing])
        for path, policy, summary in EMPTY_LISTS
    ),
    *(
        _route("GET", path, get_empty_list_of_member, policy, f"{summary}: none", list[Nothing])
        for path, policy, summary in EMPTY_LISTS_OF_MEMBERS
    ),
    _route(
        "GET",
        "/api/v1/statuses/{id}/reblogged_by",
        get_empty_list_of_status,
        "read:statuses",
        "Who passed a status on: nobody",
        list[Nothing],
    ),
    _route(
        "GET",
        "/api/v1/instance/translation_languages",
        get_empty_object,
        Open.PUBLIC,
        "What can be translated: nothing",
        Nothing,
    ),
    *(
        _route("POST", f"/api/v1/statuses/{{id}}/{verb}", refusing(reason), scope, f"Refused: {reason}", Status)
        for verb, _, scope, reason in REFUSALS
    ),
    *(
        _route("POST", f"/api/v1/statuses/{{id}}/{verb}", post_undone, scope, "The status as it is", Status)
        for _, verb, scope, _ in REFUSALS
    ),
)
