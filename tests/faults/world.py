"""What has to be true: a plain model of members, friendships, blocks, mutes, posts and favourites, made of nothing but the journal."""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from tests.faults.journal import Operation, Result, Verb

FOR_FRIENDS = {"status": ("public", "unlisted", "private"), "blog_entry": ("public", "friends_of_friends", "friends")}
"""With which visibilities a post stands on friends' home timelines."""


@dataclass(eq=False)
class Post:
    """A status or blog entry."""

    key: str
    author: int
    kind: str
    visibility: str
    mentioned: int = 0
    id: int = 0
    """0: nobody knows whether it was made, or its id."""
    asked_at: float = 0.0
    acknowledged_at: float = 0.0
    is_deleting: bool = False
    """Somebody has begun to delete it."""
    deleted_at: float = 0.0
    """When its deletion was acknowledged."""
    is_unsure: bool = False
    """It was never said whether it was made, or deleted."""
    favoured_by: set[int] = field(default_factory=set)
    unsure_favours: set[int] = field(default_factory=set)
    ever_favoured_by: set[int] = field(default_factory=set)

    @property
    def is_there(self) -> bool:
        """It was acknowledged, and nobody has begun to delete it."""
        return bool(self.id) and not self.is_deleting

    @property
    def is_for_friends(self) -> bool:
        """It belongs on friends' home timelines."""
        return self.visibility in FOR_FRIENDS[self.kind]


@dataclass(eq=False)
class Pair:
    """How two members stand."""

    is_friends: bool = False
    asked_by: set[int] = field(default_factory=set)
    blocked_by: set[int] = field(default_factory=set)
    muted_by: set[int] = field(default_factory=set)
    in_flight: int = 0
    """So many operations have begun and not ended."""
    changed_at: float = float("-inf")
    """When the last one ended."""
    is_unsure: bool = False
    """It was never said what became of one."""
    was_touched: bool = False
    """Anything was ever asked for between the two."""
    requester: int = 0
    """Who had asked, when they became friends last; 0: they have been from the beginning, or were never."""
    ever_silenced: bool = False
    """There was a block or a mute at some time."""

    def is_settled(self, since: float) -> bool:
        """Tell whether it has been as it is now since a moment, for sure."""
        return not self.in_flight and not self.is_unsure and self.changed_at < since


class World:
    """The model. Apply operations in the order of the journal, beginnings too."""

    def __init__(self, members: Iterable[int], friendships: Iterable[tuple[int, int]]) -> None:
        self.members = list(members)
        self.pairs: dict[tuple[int, int], Pair] = {}
        self.friends: dict[int, set[int]] = {member: set() for member in self.members}
        """Of each member, with whom it may be friends: for sure, or because something is under way."""
        self.posts: dict[str, Post] = {}
        self.by_id: dict[int, Post] = {}
        self.ids_of: dict[int, list[int]] = {member: [] for member in self.members}
        """The ids of a member's acknowledged posts, deleted ones too, ascending."""
        self.posting: dict[int, int] = dict.fromkeys(self.members, 0)
        """How many posts of a member have begun and are not acknowledged."""
        self.went_back: list[Post] = []
        """Posts with ids below that of an older post of the same member."""
        for left, right in friendships:
            self.pair(left, right).is_friends = True
            self.friends[left].add(right)
            self.friends[right].add(left)

    def pair(self, left: int, right: int) -> Pair:
        """Return how two members stand."""
        return self.pairs.setdefault((min(left, right), max(left, right)), Pair())

    def apply(self, operation: Operation) -> None:
        """Take a line of the journal in."""
        match operation.verb:
            case Verb.POST | Verb.WRITE_ENTRY:
                self._post(operation)
            case Verb.DELETE:
                self._delete(operation)
            case Verb.FAVOUR | Verb.UNFAVOUR:
                self._favour(operation)
            case _:
                self._relate(operation)

    def stands_on_home(self, post: Post, viewer: int) -> bool:
        """Tell whether a post that is there belongs on a member's home timeline, as far as the model knows."""
        if post.author == viewer:
            return True
        pair = self.pair(viewer, post.author)
        return post.is_for_friends and pair.is_friends and not pair.blocked_by and viewer not in pair.muted_by

    def home(self, viewer: int) -> list[int]:
        """Return the ids of what stands on a member's home timeline, newest first."""
        authors = [viewer, *self.friends[viewer]]
        posts = (self.by_id[an_id] for author in authors for an_id in self.ids_of[author])
        return sorted(
            (post.id for post in posts if post.is_there and self.stands_on_home(post, viewer)),
            reverse=True,
        )

    def above(self, author: int, an_id: int) -> Iterator[Post]:
        """Return an author's acknowledged posts with ids of at least one, newest first."""
        ids = self.ids_of[author]
        for place in range(len(ids) - 1, bisect_left(ids, an_id) - 1, -1):
            yield self.by_id[ids[place]]

    def settle_post(self, post: Post, an_id: int) -> None:
        """Say that a post of which nothing was said was made, and has this id."""
        post.id, post.is_unsure = an_id, False
        self.by_id[an_id] = post
        insort(self.ids_of[post.author], an_id)

    def _post(self, operation: Operation) -> None:
        if operation.result is Result.PENDING:
            kind = "status" if operation.verb is Verb.POST else "blog_entry"
            self.posts[operation.post] = Post(
                operation.post,
                operation.actor,
                kind,
                operation.visibility,
                operation.mentioned,
                asked_at=operation.started,
            )
            self.posting[operation.actor] += 1
            return
        post = self.posts[operation.post]
        if operation.result is Result.UNKNOWN:
            post.is_unsure = True  # and stays among those that are being posted
            return
        self.posting[operation.actor] -= 1
        if operation.result is Result.OK:
            post.acknowledged_at = operation.ended
            older = self._newest_before(post.author, operation.started)
            if older > operation.made_id:
                self.went_back.append(post)
            self.settle_post(post, operation.made_id)

    def _newest_before(self, author: int, moment: float) -> int:
        """Return the highest id among an author's posts that were acknowledged before a moment, 0 without one."""
        return next((one.id for one in self.above(author, 0) if one.acknowledged_at < moment), 0)

    def _delete(self, operation: Operation) -> None:
        post = self.posts[operation.post]
        if operation.result is Result.PENDING:
            post.is_deleting = True
        elif operation.result is Result.OK:
            post.deleted_at = operation.ended
        elif operation.result is Result.REFUSED:
            post.is_deleting = False
        else:
            post.is_unsure = True

    def _favour(self, operation: Operation) -> None:
        post, who = self.posts[operation.post], operation.actor
        if operation.result is Result.PENDING:
            post.ever_favoured_by.add(who)
        elif operation.result in (Result.UNKNOWN, Result.REFUSED):
            # Who may not see the status any more when the answer is made is told so, whatever they had done to it before.
            post.unsure_favours.add(who)
        elif operation.result is Result.OK:
            post.unsure_favours.discard(who)
            (post.favoured_by.add if operation.verb is Verb.FAVOUR else post.favoured_by.discard)(who)

    def _relate(self, operation: Operation) -> None:
        actor, other = operation.actor, operation.other
        pair = self.pair(actor, other)
        pair.was_touched = True
        if operation.result is Result.PENDING:
            pair.in_flight += 1
            pair.ever_silenced |= operation.verb in (Verb.BLOCK, Verb.MUTE)
            if operation.verb in (Verb.ASK, Verb.ACCEPT):
                self.friends[actor].add(other)
                self.friends[other].add(actor)
            return
        pair.in_flight -= 1
        pair.changed_at = operation.ended
        if operation.result is Result.UNKNOWN:
            pair.is_unsure = True
        elif operation.result is Result.OK:
            _change(pair, operation.verb, actor, other)
        if not pair.is_friends and not pair.is_unsure and not pair.in_flight:
            self.friends[actor].discard(other)
            self.friends[other].discard(actor)


def _change(pair: Pair, verb: Verb, actor: int, other: int) -> None:
    """Change how two stand as the network has said that it did."""
    match verb:
        case Verb.ASK if other in pair.asked_by or pair.is_friends:
            if not pair.is_friends:
                pair.requester = other
            pair.is_friends = True
            pair.asked_by.clear()
        case Verb.ASK:
            pair.asked_by.add(actor)
        case Verb.ACCEPT:
            pair.is_friends = True
            pair.requester = other
            pair.asked_by.clear()
        case Verb.END:
            pair.is_friends = False
            pair.asked_by.discard(actor)
        case Verb.BLOCK:
            pair.blocked_by.add(actor)
            pair.is_friends = False
            pair.asked_by.clear()
        case Verb.UNBLOCK:
            pair.blocked_by.discard(actor)
        case Verb.MUTE:
            pair.muted_by.add(actor)
        case Verb.UNMUTE:
            pair.muted_by.discard(actor)


def replay(members: Collection[int], friendships: Iterable[tuple[int, int]], journal: Iterable[Operation]) -> World:
    """Return the world as a journal says it is."""
    world = World(members, friendships)
    for operation in journal:
        world.apply(operation)
    return world
