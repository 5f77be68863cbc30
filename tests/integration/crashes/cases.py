"""What processes die of: every write RPC, every task, and the reads that write. A test tells what is missing."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kodama.status.v1.status_pb2 import VISIBILITY_PUBLIC

from tests.integration.crashes.scene import Scene
from tests.integration.media.files import photo

Fields = Callable[[Scene], dict[str, Any]]
Do = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Step:
    """An RPC and what is in its request."""

    service: str
    method: str
    fields: Fields
    has_key: bool = True
    """Whether it is asked again under the same idempotency key, where it takes one; without, what was answered is done twice."""

    def of(self, scene: Scene) -> Do:
        """Return the call, which always has the same key."""
        return scene.network.rpc(self.service, self.method, has_key=self.has_key, **self.fields(scene))


@dataclass(frozen=True)
class Case:
    """Something that a process does and may die of."""

    name: str
    application: str
    do: Callable[[Scene], Do]
    """Makes what is done, and done again by who has no answer."""
    before: Sequence[Step] = ()
    """What was done before, in peace."""
    is_asked_again: bool = False
    """By a client who has had no answer."""
    query: str = ""
    """How many there are of what it makes."""
    expected: int = 1


def rpc(step: Step, *before: Step, name: str = "", query: str = "", expected: int = 1) -> Case:
    """A client that asks again, under the same key, until it has an answer."""
    application = f"kodama-{step.service.partition('.')[0]}"
    return Case(name or step.method, application, step.of, before, True, query, expected)


def task(name: str, *before: Step) -> Case:
    """A worker that does all open rows of a task."""
    application = {"media": "kodama-media-worker", "suggestions": "kodama-social_graph-worker"}.get(
        name.partition(".")[0], "kodama-timeline-worker"
    )

    def make(scene: Scene) -> Do:
        async def do() -> None:
            changes = scene.work(name)
            assert changes, f"there is nothing to do for {name}"
            await scene.network.do(name, changes)

        return do

    return Case(name, application, make, before)


STATUS, BLOG, COMMENTS, DRAFTS = "status.StatusService", "blog.BlogService", "blog.CommentService", "blog.DraftService"
GRAPH, SUGGESTIONS = "social_graph.SocialGraphService", "social_graph.SuggestionService"
ACCOUNTS, SESSIONS, MEDIA = "account.AccountService", "account.SessionService", "media.MediaService"
TIMELINE, NOTIFICATIONS = "timeline.TimelineService", "timeline.NotificationService"


def _pair(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.anna, "target_id": scene.ben}


def _stranger(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.clara, "target_id": scene.anna}


def _answer(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.anna, "requester_id": scene.clara}


def _draft(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.anna, "draft_id": scene.made[0].draft.id, "title": "once", "text": "once"}


def _new_status(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.anna, "text": "once", "visibility": VISIBILITY_PUBLIC}


def _new_entry(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.anna, "title": "once", "text": "once", "visibility": 1}


def _picture(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.anna, "content": photo()}


def _of_status(scene: Scene) -> dict[str, Any]:
    return {"account_id": scene.anna, "status_id": scene.status}


ask = Step(GRAPH, "RequestFriendship", _stranger)
post = Step(STATUS, "CreateStatus", _new_status)
draft = Step(DRAFTS, "CreateDraft", _new_entry)
upload = Step(MEDIA, "UploadMedia", _picture)
favourite = Step(STATUS, "FavouriteStatus", _of_status)
comment = Step(COMMENTS, "CreateComment", lambda s: {"account_id": s.anna, "blog_entry_id": s.entry, "text": "once"})
unfriend = Step(GRAPH, "EndFriendship", _pair)
sign_up = Step(
    ACCOUNTS,
    "CreateAccount",
    lambda s: (
        {"handle": f"n{s.anna}", "email": f"{s.anna}@kodama.example", "password": "a long password"}
        | {"locale": "en", "app_id": s.anna}
    ),
)
delete = Step(STATUS, "DeleteStatus", lambda s: {"account_id": s.anna, "status_id": s.own_status})
edit = Step(STATUS, "UpdateStatus", lambda s: {"account_id": s.anna, "status_id": s.own_status, "text": "edited"})
reply = Step(STATUS, "CreateStatus", lambda s: _new_status(s) | {"in_reply_to_id": s.status})
import_pair = Step(
    GRAPH, "BatchImportFriendships", lambda s: {"friendships": [{"account_id": s.anna, "friend_id": s.clara}]}
)
read = Step(TIMELINE, "ListHomeEntries", lambda s: {"account_id": s.clara})
show = Step(STATUS, "CreateStatus", lambda s: _new_status(s) | {"media_ids": [s.made[0].media.id]})
hide = Step(STATUS, "DeleteStatus", lambda s: {"account_id": s.anna, "status_id": s.made[1].status.id})
accept = Step(GRAPH, "AcceptFriendRequest", _answer)
dismiss = Step(SUGGESTIONS, "DismissSuggestion", _stranger)

RPCS = (
    rpc(post, query="SELECT count(*) FROM status.statuses WHERE account_id = ANNA AND text = 'once'"),
    rpc(
        reply,
        name="CreateStatus, a reply",
        query="SELECT count(*) FROM status.statuses WHERE account_id = ANNA AND text = 'once'",
    ),
    rpc(edit, query="SELECT count(*) FROM status.statuses WHERE account_id = ANNA AND text = 'edited' AND version = 2"),
    rpc(delete, query="SELECT count(*) FROM status.statuses WHERE account_id = ANNA", expected=0),
    rpc(favourite, query="SELECT count(*) FROM status.favourites WHERE account_id = ANNA"),
    rpc(
        Step(STATUS, "UnfavouriteStatus", _of_status),
        favourite,
        query="SELECT count(*) FROM status.favourites WHERE account_id = ANNA",
        expected=0,
    ),
    rpc(
        Step(BLOG, "CreateBlogEntry", _new_entry),
        query="SELECT count(*) FROM blog.blog_entries WHERE account_id = ANNA AND text = 'once'",
    ),
    rpc(
        Step(BLOG, "UpdateBlogEntry", lambda s: {"account_id": s.anna, "blog_entry_id": s.own_entry, "visibility": 4}),
        query="SELECT count(*) FROM blog.blog_entries WHERE account_id = ANNA AND visibility = 4 AND version = 2",
    ),
    rpc(
        Step(BLOG, "DeleteBlogEntry", lambda s: {"account_id": s.anna, "blog_entry_id": s.own_entry}),
        query="SELECT count(*) FROM blog.blog_entries WHERE account_id = ANNA",
        expected=0,
    ),
    rpc(comment, query="SELECT count(*) FROM blog.comments WHERE account_id = ANNA"),
    rpc(
        Step(COMMENTS, "DeleteComment", lambda s: {"account_id": s.anna, "comment_id": s.made[0].comment.id}),
        comment,
        query="SELECT count(*) FROM blog.comments WHERE account_id = ANNA",
        expected=0,
    ),
    rpc(draft, query="SELECT count(*) FROM blog.drafts WHERE account_id = ANNA"),
    rpc(Step(DRAFTS, "UpdateDraft", _draft), draft, query="SELECT count(*) FROM blog.drafts WHERE account_id = ANNA"),
    rpc(
        Step(DRAFTS, "DeleteDraft", lambda s: {"account_id": s.anna, "draft_id": s.made[0].draft.id}),
        draft,
        query="SELECT count(*) FROM blog.drafts WHERE account_id = ANNA",
        expected=0,
    ),
    rpc(
        Step(DRAFTS, "PublishDraft", lambda s: _draft(s) | {"visibility": 1}),
        draft,
        query="SELECT count(*) FROM blog.blog_entries WHERE account_id = ANNA AND text = 'once'"
        " AND NOT EXISTS (SELECT FROM blog.drafts WHERE account_id = ANNA)",
    ),
    rpc(ask, query="SELECT count(*) FROM social_graph.friend_requests WHERE requester_id = CLARA"),
    rpc(accept, ask, query="SELECT count(*) FROM social_graph.friendships WHERE account_id = CLARA"),
    rpc(
        Step(GRAPH, "RejectFriendRequest", _answer),
        ask,
        query="SELECT count(*) FROM social_graph.friend_requests WHERE requester_id = CLARA",
        expected=0,
    ),
    rpc(unfriend, query="SELECT count(*) FROM social_graph.friendships WHERE account_id = ANNA", expected=0),
    rpc(Step(GRAPH, "Block", _pair), query="SELECT count(*) FROM social_graph.blocks WHERE account_id = ANNA"),
    rpc(
        Step(GRAPH, "Unblock", _pair),
        Step(GRAPH, "Block", _pair),
        query="SELECT count(*) FROM social_graph.blocks WHERE account_id = ANNA",
        expected=0,
    ),
    rpc(Step(GRAPH, "Mute", _pair), query="SELECT count(*) FROM social_graph.mutes WHERE account_id = ANNA"),
    rpc(
        Step(GRAPH, "Unmute", _pair),
        Step(GRAPH, "Mute", _pair),
        query="SELECT count(*) FROM social_graph.mutes WHERE account_id = ANNA",
        expected=0,
    ),
    rpc(dismiss, query="SELECT count(*) FROM social_graph.dismissals WHERE account_id = CLARA"),
    rpc(
        Step(SUGGESTIONS, "RestoreSuggestion", _stranger),
        dismiss,
        query="SELECT count(*) FROM social_graph.dismissals WHERE account_id = CLARA",
        expected=0,
    ),
    rpc(import_pair, query="SELECT count(*) FROM social_graph.friendships WHERE account_id = CLARA"),
    rpc(sign_up, query="SELECT count(*) FROM account.accounts WHERE email = 'ANNA@kodama.example'"),
    rpc(
        Step(ACCOUNTS, "UpdateAccount", lambda s: {"account_id": s.anna, "note": "once"}),
        query="SELECT count(*) FROM account.accounts WHERE id = ANNA AND note = 'once' AND version = 2",
    ),
    rpc(upload, query="SELECT count(*) FROM media.media WHERE account_id = ANNA"),
    rpc(
        Step(NOTIFICATIONS, "ClearNotifications", lambda s: {"account_id": s.ben}),
        favourite,
        query="SELECT count(*) FROM timeline.notifications WHERE account_id = BEN AND NOT is_dismissed",
        expected=0,
    ),
    rpc(
        Step(
            NOTIFICATIONS,
            "SaveMarkers",
            lambda s: {"account_id": s.anna, "markers": [{"timeline": 1, "last_read_id": s.status}]},
        ),
        query="SELECT count(*) FROM timeline.markers WHERE account_id = ANNA AND version = 1",
    ),
    rpc(
        read, query="SELECT count(*) FROM timeline.homes WHERE account_id = CLARA AND pushed_from < 9223372036854775807"
    ),
    rpc(
        Step(TIMELINE, "RebuildHome", lambda s: {"account_id": s.anna}),
        query="SELECT count(*) FROM timeline.homes WHERE account_id = ANNA AND pushed_from < 9223372036854775807",
    ),
)
TASKS = (
    task("timeline.fan_out", post, Step(STATUS, "CreateStatus", lambda s: _new_status(s) | {"account_id": s.ben})),
    task("timeline.notify", favourite, comment, ask),
    task("timeline.retract", delete),
    task("timeline.backfill", ask, accept),
    task("timeline.fill", read),
    task("timeline.rebase", import_pair),
    task("timeline.purge", unfriend),
    task("media.discard", upload, show, hide),
    task("suggestions.refresh", ask, accept),
)
CASES = (*RPCS, *TASKS)
UNSAFE = rpc(
    Step(STATUS, "CreateStatus", _new_status, has_key=False),
    query="SELECT count(*) FROM status.statuses WHERE account_id = ANNA AND text = 'once'",
)
"""What leaves a trace, since a process dies also after its commit: without a key there are two where there should be one."""
