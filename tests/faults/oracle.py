"""The oracle: when all is quiet, everything that the network shows is compared with what the journal says it has to show."""

import re
from collections.abc import Mapping, Sequence

from tests.faults.http_client import Shown
from tests.faults.members import Member
from tests.faults.oracle_notices import Notices
from tests.faults.reading import Reader, each
from tests.faults.safety import Findings, Verdict
from tests.faults.world import Post, World

MARK = re.compile(r"k\d+x")
PAGE = 40


class Oracle:
    """Compares a network that is quiet with the model. Run `check` once."""

    def __init__(self, world: World, members: Sequence[Member], reader: Reader, findings: Findings) -> None:
        self._world = world
        self._members = members
        self._tokens = {member.id: member.token for member in members}
        self._reader = reader
        self._findings = findings
        self._shown: dict[int, Shown] = {}
        """Every post as its author sees it."""
        self.verdict = Verdict()

    async def check(self) -> Verdict:
        """Compare everything. Raises Unreadable where the network does not answer."""
        await each(self._members, self._check_own)
        self._look_for_lost()
        await each(self._unsure_pairs(), self._settle_pair)
        await each([pair for pair, stand in self._world.pairs.items() if stand.was_touched], self._check_pair)
        await each(self._members, self._check_member)
        await each(self._members, self._check_friends)
        await each(self._members, self._check_home)
        notices = Notices(self._world, self._reader, self._findings, self.verdict)
        await each(self._members, notices.check)
        await each(self._members, notices.check_suggestions)
        return self.verdict

    async def _check_own(self, member: Member) -> None:
        """Read all that a member has published, as the member sees it."""
        for path in (
            f"/api/v1/accounts/{member.id}/statuses?limit={PAGE}",
            f"/api/v1/accounts/{member.id}/blogs?limit={PAGE}",
        ):
            ids: list[int] = []
            async for page in self._reader.walk(path, member.token):
                for shown in page.posts():
                    ids.append(int(shown.id))
                    self._take_own(member, shown)
            self._check_order(member.id, ids, "profile")

    def _take_own(self, member: Member, shown: Shown) -> None:
        post_id = int(shown.id)
        self._shown[post_id] = shown
        self.verdict.checked["posts"] += 1
        mark = MARK.search(shown.title or shown.content)
        post = self._world.posts.get(mark[0]) if mark else None
        if post is None:
            self._findings.note("wrong", "profile", member.id, f"{post_id} was posted by nobody: {shown.content[:80]}")
        elif post.author != member.id:
            self._findings.note("wrong", "profile", member.id, f"{post_id} is {post.author}'s")
        elif not post.id and post.is_unsure:
            self.verdict.recovered += 1
            self._world.settle_post(post, post_id)
        elif not post.id:
            self._findings.note("wrong", "profile", member.id, f"{post.key} was refused and is there as {post_id}")
        elif post.id != post_id:
            self._findings.note("duplicated", "profile", member.id, f"{post.key} is there as {post.id} and {post_id}")
        elif post.deleted_at:
            self._findings.note("forbidden", "profile", member.id, f"{post.key} {post_id} was deleted")

    def _look_for_lost(self) -> None:
        for post in self._world.went_back:
            self._findings.note("wrong", "ids", post.author, f"{post.key} {post.id} stands below an older post")
        for post in self._world.posts.values():
            if post.id and post.id not in self._shown:
                if post.is_there:
                    self._findings.note("lost", "profile", post.author, f"{post.key} {post.id} was acknowledged")
                elif post.is_unsure:
                    self.verdict.recovered += 1  # its deletion
            elif post.id and post.is_unsure:
                post.is_deleting = post.is_unsure = False  # it was not deleted
            if post.id in self._shown:
                self._check_favourites(post)

    def _check_favourites(self, post: Post) -> None:
        count, sure = self._shown[post.id].favourites_count, len(post.favoured_by - post.unsure_favours)
        self.verdict.checked["favourites"] += 1
        if not sure <= count <= sure + len(post.unsure_favours):
            self._findings.note("wrong", "favourites_count", post.author, f"{post.key} {post.id}: {count}, not {sure}")

    def _unsure_pairs(self) -> list[tuple[int, int]]:
        return [pair for pair, stand in self._world.pairs.items() if stand.is_unsure]

    async def _settle_pair(self, pair: tuple[int, int]) -> None:
        """Take over how two stand of whom nobody was told."""
        one, other = pair
        stand = self._world.pairs[pair]
        answers = [await self.relationship(one, other), await self.relationship(other, one)]
        stand.is_friends = bool(answers[0]["following"])
        stand.asked_by = {who for who, answer in zip(pair, answers, strict=True) if answer["requested"]}
        stand.blocked_by = {who for who, answer in zip(pair, answers, strict=True) if answer["blocking"]}
        stand.muted_by = {who for who, answer in zip(pair, answers, strict=True) if answer["muting"]}
        if answers[0]["following"] != answers[1]["following"]:
            self._findings.note("wrong", "relationship", one, f"friends for one of {pair} and not for the other")
        for who, with_whom in (pair, pair[::-1]):
            (self._world.friends[who].add if stand.is_friends else self._world.friends[who].discard)(with_whom)
        stand.is_unsure = False
        self.verdict.recovered += 1

    async def _check_pair(self, pair: tuple[int, int]) -> None:
        """Compare how two stand between whom something has happened, and what is shown to those whom a block keeps apart."""
        stand = self._world.pairs[pair]
        for viewer, other in (pair, pair[::-1]):
            found = await self.relationship(viewer, other)
            actual = tuple(bool(found[name]) for name in ("following", "requested", "blocking", "muting"))
            by = (stand.asked_by, stand.blocked_by, stand.muted_by)
            self._compare(
                actual, (stand.is_friends, *(viewer in some for some in by)), f"relationship to {other}", viewer
            )
            if stand.blocked_by:
                answer = await self._reader.get(f"/api/v1/accounts/{other}/statuses?limit=2", self._tokens[viewer])
                if answer.code == 200 and answer.posts():
                    self._findings.note("forbidden", "profile", viewer, f"{other}'s, across a block")

    async def relationship(self, viewer: int, other: int) -> Mapping[str, object]:
        """Return how the network says that a member stands to another."""
        answer = await self._reader.get(f"/api/v1/accounts/relationships?id[]={other}", self._tokens[viewer])
        [found] = answer.json()
        return dict(found)

    async def _check_member(self, member: Member) -> None:
        """Compare a member's counts, and the two latest statuses as a friend and as a stranger see them."""
        account = (await self._reader.get(f"/api/v1/accounts/{member.id}", member.token)).json()
        posts = [self._world.by_id[an_id] for an_id in self._world.ids_of[member.id]]
        counted = [post for post in posts if post.is_there and post.kind == "status" and post.visibility != "direct"]
        friends = [other for other in self._world.friends[member.id] if self._world.pair(member.id, other).is_friends]
        self._compare(account["statuses_count"], len(counted), "statuses_count", member.id)
        self._compare(account["followers_count"], len(friends), "followers_count", member.id)
        viewers = [friends[0]] if friends else []
        viewers += [other.id for other in self._members if other is not member and other.id not in friends][:1]
        for viewer in viewers:
            await self._check_latest(viewer, member.id, posts)

    def _compare(self, actual: object, expected: object, where: str, member: int) -> None:
        self.verdict.checked[where.partition(" ")[0]] += 1
        if actual != expected:
            self._findings.note("wrong", where, member, f"{actual}, not {expected}")

    async def _check_latest(self, viewer: int, author: int, posts: Sequence[Post]) -> None:
        pair = self._world.pair(viewer, author)
        seen = ("public", "unlisted", "private") if pair.is_friends else ("public", "unlisted")
        expected = [post.id for post in posts if post.is_there and post.kind == "status" and post.visibility in seen][
            ::-1
        ][:2]
        answer = await self._reader.get(f"/api/v1/accounts/{author}/statuses?limit=2", self._tokens[viewer])
        actual = [int(shown.id) for shown in answer.posts()]
        self._compare(actual, [] if pair.blocked_by else expected, "latest", author)

    async def _check_friends(self, member: Member) -> None:
        actual: set[int] = set()
        async for page in self._reader.walk(f"/api/v1/accounts/{member.id}/followers?limit=80", member.token):
            actual |= {int(one["id"]) for one in page.json()}
        expected = {other for other in self._world.friends[member.id] if self._world.pair(member.id, other).is_friends}
        self.verdict.checked["friends"] += len(expected)
        for other in sorted(expected - actual):
            self._findings.note("lost", "friends", member.id, f"{other} is missing")
        for other in sorted(actual - expected):
            self._findings.note("wrong", "friends", member.id, f"{other} is there")

    async def _check_home(self, member: Member) -> None:
        """Walk a home timeline to its end and compare it with the model's."""
        ids: list[int] = []
        async for page in self._reader.walk(f"/api/v1/timelines/home?limit={PAGE}", member.token):
            ids += [int(shown.id) for shown in page.posts()]
        self._check_order(member.id, ids, "home")
        expected = self._world.home(member.id)
        self.verdict.checked["entries"] += len(expected)
        if ids == expected:
            return
        for an_id in sorted(set(expected) - set(ids)):
            self._findings.note("missing", "home at the end", member.id, self._name(an_id))
        for an_id in sorted(set(ids) - set(expected)):
            self._findings.note("forbidden", "home at the end", member.id, self._name(an_id))

    def _name(self, an_id: int) -> str:
        post = self._world.by_id.get(an_id)
        return f"{post.key} {an_id} of {post.author}, {post.visibility}" if post else f"{an_id}, unknown"

    def _check_order(self, member: int, ids: Sequence[int], where: str) -> None:
        if len(set(ids)) < len(ids):
            self._findings.note("duplicated", where, member, f"{len(ids) - len(set(ids))} ids stand there twice")
        if sorted(set(ids), reverse=True) != list(dict.fromkeys(ids)):
            self._findings.note("unsorted", where, member, f"{len(ids)} ids")
