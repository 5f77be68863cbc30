"""Use case: say which statuses may stand on home timelines now, and what their viewers see of them, for many viewers at once."""

from collections.abc import Sequence

from chassis.database import Pool, connection
from chassis.paging import Page
from services.status import home_store
from services.status.clients import SocialGraph
from services.status.domain import HomeCard, may_stand_on_home


class Homes:
    """Reads committed state and filters it by the viewers' relations, failing closed.

    A page of one viewer costs two questions to PostgreSQL and one to social_graph; so do the pages of a hundred.
    """

    def __init__(self, pool: Pool, social_graph: SocialGraph) -> None:
        self._pool = pool
        self._social_graph = social_graph

    async def filter(self, questions: Sequence[tuple[int, Sequence[int]]]) -> list[list[HomeCard]]:
        """Return for each (viewer, status ids) the cards of those that may stand on the viewer's home timeline now."""
        wanted = {status_id for _, status_ids in questions for status_id in status_ids}
        if not wanted:
            return [[] for _ in questions]
        async with connection(self._pool) as conn:
            found = await home_store.list_cards(conn, {viewer_id for viewer_id, _ in questions}, wanted)
        asked = [
            (viewer_id, [found[status_id] for status_id in dict.fromkeys(status_ids) if status_id in found])
            for viewer_id, status_ids in questions
        ]
        relations = await self._social_graph.relate_pairs(
            {(viewer_id, card.account_id) for viewer_id, cards in asked for card, _ in cards}
        )
        return [
            [
                card._replace(is_favourited=True) if viewer_id in favoured_by else card
                for card, favoured_by in cards
                if may_stand_on_home(
                    viewer_id, card.account_id, card.visibility, relations.get((viewer_id, card.account_id))
                )
            ]
            for viewer_id, cards in asked
        ]

    async def own(self, questions: Sequence[tuple[int, Page]]) -> list[list[int]]:
        """Return for each (author, page) the ids of the newest of the author's own statuses on it, newest first."""
        async with connection(self._pool) as conn:
            return await home_store.list_own_status_ids(conn, questions)
