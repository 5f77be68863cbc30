"""The online path: the suggestions of a few members from the graph around them."""

from collections.abc import Mapping, Sequence

import numpy as np

from services.social_graph.suggestions.graphs import CsrGraph
from services.social_graph.suggestions.model import Model, Source, Suggestion
from services.social_graph.suggestions.ranking import Prepared, Rows, suggest_members


def suggest_around(
    ego: CsrGraph,
    members: Sequence[int],
    chosen: Prepared | Model,
    *,
    k: int = 50,
    popular: Sequence[int] = (),
    left_out: Mapping[int, Sequence[int]] | None = None,
) -> dict[int, list[Suggestion]]:
    """Return the suggestions of members from a graph with the whole rows of their friends, and everybody's true degrees.

    Members who are not in the graph have no friends. Lists that stay short are filled with whom is popular in the member's
    community, where `chosen` is what a generation prepared, then with the accounts of `popular`, the most popular first, without
    the member's friends and whom `left_out` names for them.
    """
    model = chosen.model if isinstance(chosen, Prepared) else chosen
    rows_of = {account_id: int(ego.rows_of([account_id])[0]) for account_id in members if account_id in ego}
    rows = suggest_members(Prepared(ego, model, {}), np.array(list(rows_of.values()), dtype=np.int64), k=k)
    known = {account_id: as_suggestions(rows, i) for i, account_id in enumerate(rows_of)}
    suggestions = {}
    for account_id in members:
        found = known.get(account_id, [])
        friends: set[int] = set()
        if account_id in ego:
            row = rows_of[account_id]
            friends = set(ego.account_ids[ego.indices[ego.indptr[row] : ego.indptr[row + 1]]].tolist())
        excluded = {account_id, *friends, *(left_out or {}).get(account_id, ())}
        found = [suggestion for suggestion in found if suggestion.account_id not in excluded]
        if len(found) < k and isinstance(chosen, Prepared):
            _fill(found, excluded, _popular_near(chosen, account_id, k + len(excluded)), Source.COMMUNITY, k)
        _fill(found, excluded, popular, Source.POPULAR, k)
        suggestions[account_id] = found
    return suggestions


def _popular_near(prepared: Prepared, account_id: int, most: int) -> list[int]:
    """Return the most popular members of the community where the generation saw the member; none where it did not."""
    graph = prepared.graph
    if account_id not in graph or not prepared.arrays:
        return []
    layout, (communities, starts, _) = prepared.layout, prepared.surroundings
    community = int(communities[layout.rows[graph.rows_of([account_id])[0]]])
    begin = int(starts[community])
    end = min(int(starts[community + 1]), begin + most)
    return [int(account_id) for account_id in graph.account_ids[layout.order[begin:end]]]


def _fill(found: list[Suggestion], excluded: set[int], candidates: Sequence[int], source: Source, k: int) -> None:
    chosen = {suggestion.account_id for suggestion in found}
    for account_id in candidates:
        if len(found) >= k:
            return
        if account_id not in excluded and account_id not in chosen:
            chosen.add(account_id)
            found.append(Suggestion(account_id, 0.0, 0, (), source))


def as_suggestions(rows: Rows, i: int) -> list[Suggestion]:
    """Return one member's suggestions as objects."""
    count = int(rows.counts[i])
    friends = rows.sample_friends[i, :count]
    columns = zip(
        rows.suggested[i, :count].tolist(),
        rows.scores[i, :count].tolist(),
        rows.mutual_counts[i, :count].tolist(),
        friends.tolist(),
        rows.sources[i, :count].tolist(),
        strict=True,
    )
    return [
        Suggestion(account_id, score, mutual_count, tuple(sample[:mutual_count]), Source(source))
        for account_id, score, mutual_count, sample, source in columns
    ]
