"""Defects of a line each, planted from outside into a running network: as SQL, or as a patch of the processes that are started anew.

None of production code knows of them, so that no release can be told to be broken. What each breaks is something that the design rests on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, LiteralString


@dataclass(frozen=True)
class Defect:
    """One fault of the network's own making."""

    name: str
    breaks: str
    """The rule that is broken, in a sentence."""
    script: str
    """What has to happen for it to show (tests/faults/scripts.py)."""
    sql: tuple[LiteralString, ...] = ()
    undo: tuple[LiteralString, ...] = ()
    patch: Callable[[], None] | None = None
    restarts: tuple[str, ...] = ()
    """The processes that have to be started anew to have it."""


def _trigger(table: LiteralString, when: LiteralString, body: LiteralString) -> tuple[LiteralString, ...]:
    return (
        "CREATE OR REPLACE FUNCTION public.planted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN "
        + body
        + " END $$",
        "CREATE TRIGGER planted " + when + " ON " + table + " FOR EACH ROW EXECUTE FUNCTION public.planted()",
    )


def _no_trigger(table: LiteralString) -> tuple[LiteralString, ...]:
    return ("DROP TRIGGER IF EXISTS planted ON " + table, "DROP FUNCTION IF EXISTS public.planted()")


def filter_skipped() -> None:
    """Have a home timeline show what its index holds, without asking who may see it."""
    from chassis.ids import Kind, kind_of
    from services.timeline.domain import Card
    from services.timeline.publications import Publications

    asked = Publications.on_home

    async def on_home(self: Any, viewer_id: int, entry_ids: Any) -> dict[int, Card | None]:
        found = await asked(self, viewer_id, entry_ids)
        card = Card(1, 0, 0, is_favourited=False)
        return {an_id: found.get(an_id, card if kind_of(an_id) is Kind.STATUS else None) for an_id in entry_ids}

    Publications.on_home = on_home  # type: ignore[method-assign]  # a fault, put in from outside


def open_work_remembered() -> None:
    """Have readers take an old list of open work for the present one."""
    from services.timeline.open_work import OpenWorkList

    current = OpenWorkList.current

    async def remembered(self: Any, *, is_fresh: bool = False) -> Any:
        if not hasattr(self, "planted"):
            self.planted = await current(self, is_fresh=is_fresh)
        return self.planted

    OpenWorkList.current = remembered  # type: ignore[method-assign]  # a fault, put in from outside


def own_posts_forgotten() -> None:
    """Have nobody's own posts pulled, which are pushed to nobody either."""
    from services.timeline.publications import Publications

    async def own(self: Any, account_id: int, page: Any) -> list[Any]:
        return []

    Publications.own = own  # type: ignore[method-assign]  # a fault, put in from outside


def stream_without_catch_up() -> None:
    """Have a stream that is opened again go on with what comes next."""
    from services.gateway.streaming.hub import Hub

    async def nothing(self: Any, *_: Any, **__: Any) -> None:
        return

    Hub._replay = nothing  # type: ignore[method-assign]  # a fault, put in from outside


def backfill_of_former_friends() -> None:
    """Have a backfill look at friendships as they were before."""
    from services.timeline.clients import Friends

    async def are_friends(self: Any, account_id: int, friend_id: int) -> bool:
        return False

    Friends.are_friends = are_friends  # type: ignore[method-assign]  # a fault, put in from outside


def blocks_not_asked() -> None:
    """Have profiles shown to those whom their owners block."""
    from services.status import clients, domain

    relate = clients.SocialGraph.relate

    async def unblocked(self: Any, viewer_id: int, author_ids: Any) -> dict[int, domain.Relation]:
        found = await relate(self, viewer_id, author_ids)
        return {who: domain.Relation(one.is_friend, False, one.is_muting) for who, one in found.items()}

    clients.SocialGraph.relate = unblocked  # type: ignore[method-assign]  # a fault, put in from outside


def rows_struck_before_work() -> None:
    """Have a worker strike its rows from the ledger, and then do the work."""
    import asyncio

    from chassis import task_app

    async def do_work(
        context: Any, receipts: Any, handler: Any, source: str, row_ids: Any, payloads: Any, *_: Any, **__: Any
    ) -> None:
        await receipts.complete(source, row_ids)
        await asyncio.sleep(2)  # a pause where a worker that is killed leaves nothing behind
        await handler(context, payloads)

    task_app.do_work = do_work  # a fault, put in from outside


def collisions_not_expected() -> None:
    """Have a post that is delivered twice written twice, as though no broker ever delivered twice."""
    from services.timeline import store

    async def claim_all(conn: Any, entry_ids: Any) -> set[int]:
        return set(entry_ids)

    store.claim_deliveries = claim_all  # a fault, put in from outside
    store.insert_entries = store.copy_entries  # type: ignore[assignment]  # a fault, put in from outside


SERVICES, WORKER, GATEWAYS = ("services",), ("worker-timeline.live",), ("gateway-1", "gateway-2")

DEFECTS = {
    defect.name: defect
    for defect in (
        Defect(
            "work outside of the transaction",
            "A post and the work that it causes commit together; here some of the work is lost on the way.",
            "everyday",
            sql=_trigger(
                "status.ledger",
                "BEFORE INSERT",
                "IF NEW.task = 'timeline.fan_out' THEN RETURN NULL; END IF; RETURN NEW;",
            ),
            undo=_no_trigger("status.ledger"),
        ),
        Defect(
            "key outside of the transaction",
            "An idempotency key is stored with its effect.",
            "answers lost",
            sql=_trigger(
                "status.claims",
                "AFTER INSERT",
                "DELETE FROM status.claims WHERE account_id = NEW.account_id AND request_id = NEW.request_id; RETURN NULL;",
            ),
            undo=_no_trigger("status.claims"),
        ),
        Defect(
            "count outside of the transaction",
            "How many statuses a member has is counted where they come and go.",
            "everyday",
            sql=("ALTER TABLE status.statuses DISABLE TRIGGER count_removed",),
            undo=("ALTER TABLE status.statuses ENABLE TRIGGER count_removed",),
        ),
        Defect(
            "friends not counted",
            "How many friends a member has is counted where friendships form and end.",
            "everyday",
            sql=_trigger(
                "social_graph.members", "BEFORE UPDATE", "NEW.friends_count := OLD.friends_count; RETURN NEW;"
            ),
            undo=_no_trigger("social_graph.members"),
        ),
        Defect(
            "commits that do not wait for the disk",
            "What was acknowledged is in the log on disk.",
            "PostgreSQL killed",
            sql=(
                "ALTER SYSTEM SET wal_writer_delay = '10s'",
                "ALTER SYSTEM SET wal_writer_flush_after = '1GB'",
                "SELECT pg_reload_conf()",
                "ALTER ROLE kodama_status SET synchronous_commit = off",
                "ALTER ROLE kodama_social_graph SET synchronous_commit = off",
                "ALTER ROLE kodama_timeline SET synchronous_commit = off",
                "ALTER ROLE kodama_blog SET synchronous_commit = off",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'kodama_%'"
                " AND pid <> pg_backend_pid()",
            ),
            undo=(
                "ALTER SYSTEM RESET ALL",
                "SELECT pg_reload_conf()",
                "ALTER ROLE kodama_status RESET synchronous_commit",
                "ALTER ROLE kodama_social_graph RESET synchronous_commit",
                "ALTER ROLE kodama_timeline RESET synchronous_commit",
                "ALTER ROLE kodama_blog RESET synchronous_commit",
            ),
        ),
        Defect(
            "leases without end",
            "What was published is published again when its lease has run out.",
            "broker wiped",
            sql=_trigger(
                "status.ledger",
                "BEFORE UPDATE",
                "NEW.published_at := coalesce(OLD.published_at, NEW.published_at);"
                " IF NEW.published_at IS NOT NULL THEN NEW.due_at := 'infinity'; END IF; RETURN NEW;",
            ),
            undo=_no_trigger("status.ledger"),
        ),
        Defect(
            "mutes not asked",
            "What a member mutes does not stand on their home timeline.",
            "everyday",
            sql=_trigger("social_graph.mutes", "BEFORE INSERT", "NEW.expires_at := now(); RETURN NEW;"),
            undo=_no_trigger("social_graph.mutes"),
        ),
        Defect(
            "favourites counted twice",
            "A count changes with the row that it counts.",
            "everyday",
            sql=_trigger(
                "status.favourites",
                "AFTER INSERT",
                "UPDATE status.statuses SET favourites_count = favourites_count + 1 WHERE id = NEW.status_id; RETURN NULL;",
            ),
            undo=_no_trigger("status.favourites"),
        ),
        Defect(
            "filter skipped",
            "Who may see what is asked at every read; the index of a timeline is no authority.",
            "clearing held up",
            patch=filter_skipped,
            restarts=SERVICES,
        ),
        Defect(
            "open work remembered",
            "What is not delivered yet is looked for at every read.",
            "delivery held up",
            patch=open_work_remembered,
            restarts=SERVICES,
        ),
        Defect(
            "own posts forgotten",
            "One's own posts are on the next read.",
            "everyday",
            patch=own_posts_forgotten,
            restarts=SERVICES,
        ),
        Defect(
            "blocks not asked",
            "Who is blocked sees nothing of who blocks.",
            "everyday",
            patch=blocks_not_asked,
            restarts=SERVICES,
        ),
        Defect(
            "streams without catching up",
            "What was missed while a stream was down comes when it is opened again.",
            "streams cut",
            patch=stream_without_catch_up,
            restarts=GATEWAYS,
        ),
        Defect(
            "backfill of former friends",
            "A backfill reads friendships as they are now.",
            "everyday",
            patch=backfill_of_former_friends,
            restarts=("worker-timeline.bulk",),
        ),
        Defect(
            "rows struck before the work",
            "A row goes when its effect is committed.",
            "worker killed, broker wiped",
            patch=rows_struck_before_work,
            restarts=WORKER,
        ),
        Defect(
            "collisions not expected",
            "What is delivered twice is written once.",
            "worker killed",
            patch=collisions_not_expected,
            restarts=WORKER,
        ),
    )
}


def plant(name: str) -> None:
    """Put a defect into this process. Raises KeyError where there is none of this name."""
    if patch := DEFECTS[name].patch:
        patch()
