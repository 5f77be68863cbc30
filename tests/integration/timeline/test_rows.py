"""Ids in bulk: what goes to PostgreSQL in its binary formats comes back the same."""

import numpy as np
import psycopg
import pytest

from chassis.ids import MAX_ID
from chassis.settings import Settings
from services.timeline.domain import Entry
from services.timeline.rows import IdsDumper, from_array_send, make_rows


@pytest.mark.parametrize("ids", [[], [5], [MAX_ID, 0, 1 << 56, 7]])
def test_ids_go_to_postgresql_and_back(settings: Settings, ids: list[int]) -> None:
    with psycopg.connect(settings.service_database_url("timeline")) as conn, conn.cursor(binary=True) as cursor:
        cursor.adapters.register_dumper(np.ndarray, IdsDumper)
        row = cursor.execute("SELECT array_send(%b), %b::bigint[]", [np.array(ids, dtype=np.int64)] * 2).fetchone()
    assert row is not None
    assert (from_array_send(row[0]).tolist(), row[1]) == (ids, ids)


def test_what_is_no_list_of_ids_is_refused() -> None:
    with pytest.raises(ValueError, match="bigints"):
        from_array_send(b"\0\0\0\2" + bytes(28))


def test_rows_of_active_friends_are_in_the_order_of_the_key() -> None:
    chance = np.random.default_rng(3)
    friends = {author: np.unique(chance.integers(0, 500, 40)) for author in (1, 2, 3)}
    entries = [Entry(entry_id, author_id) for entry_id, author_id in ((9, 1), (3, 2), (7, 1), (5, 4))]
    active = np.array(chance.permutation(500)[:200], dtype=np.int64)
    rows = make_rows(entries, friends, active).tolist()
    assert rows == sorted(
        [account, entry.entry_id, entry.author_id]
        for entry in entries
        for account in friends.get(entry.author_id, np.empty(0)).tolist()
        if account in active
    )
    assert make_rows(entries, friends, np.empty(0, dtype=np.int64)).tolist() == []
