"""The same suggestions in plain networkx and Python: the reference that the kernel is tested against, and the easier one to read."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from services.social_graph.suggestions.features import NO_PATHS
from services.social_graph.suggestions.filling import MAX_STEPS, ROUNDS, SCRAMBLE
from services.social_graph.suggestions.kernel import ONE
from services.social_graph.suggestions.model import CANDIDATES, MAX_EGO, Model, Source, Suggestion

if TYPE_CHECKING:
    import networkx as nx

Node = Any  # what can be hashed and sorted
Ranked = tuple[float, int, int]
"""A candidate's score, mutual friends, and place among the nodes in ascending order."""
SAMPLES = 3


class Plain:
    """Suggestions in one networkx graph by one model. Nodes are known by their place in ascending order, as rows are."""

    def __init__(self, graph: "nx.Graph[Node]", model: Model) -> None:
        self._model = model
        self.nodes: list[Hashable] = sorted(graph)
        self.place_of = {node: place for place, node in enumerate(self.nodes)}
        self._friends = [
            sorted(self.place_of[friend] for friend in graph[node] if friend != node) for node in self.nodes
        ]
        self._sets = [set(friends) for friends in self._friends]
        whole = {node: data["friends_count"] for node, data in graph.nodes(data=True) if "friends_count" in data}
        self._degrees = [
            int(whole.get(node, len(friends))) for node, friends in zip(self.nodes, self._friends, strict=True)
        ]
        self._weights = [round(max(d, 1) ** -model.a * ONE) for d in self._degrees]
        self._factors = [max(d, 1) ** -model.b / ONE for d in self._degrees]

    def suggest(self, u: int, k: int, samples: int = SAMPLES) -> list[Suggestion]:
        """Return the best suggestions for a member, by place."""
        best = sorted(self._candidates(u), key=_order)[: CANDIDATES if self._model.reranking else k]
        ranked = best
        if self._model.reranking is not None and len(self._friends[u]) <= MAX_EGO:
            rated = sorted(((self.rate(u, v, score), mutual, v) for score, mutual, v in best), key=_order)
            ranked = [(math.exp(score), mutual, v) for score, mutual, v in rated]
        found = [
            self._suggestion(v, score, mutual, Source.FRIENDS_OF_FRIENDS, self._sample(u, v, samples))
            for score, mutual, v in ranked[:k]
        ]
        return found if len(found) == k else self._fill(u, best, found, k)

    def _candidates(self, u: int) -> list[Ranked]:
        totals: Counter[int] = Counter()
        mutuals: Counter[int] = Counter()
        for w in self._friends[u]:
            for v in self._friends[w]:
                totals[v] += self._weights[w]
                mutuals[v] += 1
        return [
            (total * self._factors[v], mutuals[v], v)
            for v, total in totals.items()
            if v != u and v not in self._sets[u]
        ]

    def kernel_score(self, u: int, v: int) -> float:
        """Return the kernel's score of any pair."""
        return float(sum(self._weights[w] for w in self._sets[u] & self._sets[v]) * self._factors[v])

    def rate(self, u: int, v: int, score: float) -> float:
        """Return the re-ranked score of a pair with this score by the kernel, a logarithm."""
        assert self._model.reranking is not None
        features = self.describe(u, v, score)
        total = features[0]
        for part in self._model.reranking.parts(features, self._degrees[u]):
            total += part
        return total

    def describe(self, u: int, v: int, score: float) -> list[float]:
        """Return the features of a pair with mutual friends, in the order of FEATURES; features.py has the formulas."""
        mutual = sorted(self._sets[u] & self._sets[v], key=lambda w: (self._degrees[w], w))
        d_u, d_v, m = self._degrees[u], self._degrees[v], len(mutual)
        allocation = tie = weighted = strongest = paths = 0.0
        edges = 0
        for w in mutual:
            common = sorted(self._sets[u] & self._sets[w], key=lambda x: (self._degrees[x], x))
            inside = len(self._sets[w].intersection(mutual))
            inverse = 1.0 / self._degrees[w]
            strength = (len(common) + 1.0) / (d_u + self._degrees[w] - len(common))
            allocation += inverse
            tie += strength
            strongest = max(strongest, strength)
            edges += inside
            weighted += inside * inverse
            onward = 0.0
            for x in common:
                onward += 1.0 / self._degrees[x]
            paths += onward * inverse
        return [
            math.log(score),
            math.log(m),
            math.log(allocation),
            math.log(tie),
            math.log(1.0 + edges * 0.5),
            math.log(1.0 + weighted),
            edges / (m * (m - 1.0)) if m > 1 else 0.0,
            math.log(d_v),
            math.log(max(1, d_u + d_v - m)),
            math.log(strongest),
            math.log(NO_PATHS + paths),
        ]

    def mutual_friends(self, u: int, v: int) -> list[int]:
        """Return the places of the mutual friends of a pair, ascending."""
        return sorted(self._sets[u] & self._sets[v])

    def degree(self, u: int) -> int:
        """Return how many friends a member has in the whole network."""
        return self._degrees[u]

    def _sample(self, u: int, v: int, samples: int) -> list[int]:
        return sorted(self.mutual_friends(u, v), key=lambda w: (self._degrees[w], w))[:samples]

    def _suggestion(self, v: int, score: float, mutual: int, source: Source, sample: Iterable[int] = ()) -> Suggestion:
        return Suggestion(self.nodes[v], float(np.float32(score)), mutual, tuple(self.nodes[w] for w in sample), source)

    def _fill(self, u: int, best: list[Ranked], found: list[Suggestion], k: int) -> list[Suggestion]:
        """Add who is three steps away, who is popular in the community, and who is popular, until there are k."""
        known = {u} | self._sets[u] | {v for _, _, v in best}
        last = found[-1].score if found else math.inf
        for score, _, v in sorted(self._walk_on(best, known), key=_order)[: k - len(found)]:
            last = min(last, score)
            found.append(self._suggestion(v, last, 0, Source.NEARBY))
            known.add(v)
        communities = self._communities
        for source in (Source.COMMUNITY, Source.POPULAR):
            for v in self._popular:
                if len(found) == k:
                    return found
                if v not in known and (source is Source.POPULAR or communities[v] == communities[u]):
                    found.append(self._suggestion(v, 0.0, 0, source))
                    known.add(v)
        return found

    def _walk_on(self, best: list[Ranked], known: set[int]) -> list[Ranked]:
        sums: dict[int, float] = {}
        steps = 0
        for score, _, x in best:
            steps += len(self._friends[x])
            if steps > MAX_STEPS:
                break
            for v in self._friends[x]:
                if v not in known:
                    sums[v] = sums.get(v, 0.0) + score * self._weights[x]
        return [(total * self._factors[v], 0, v) for v, total in sums.items()]

    @cached_property
    def _popular(self) -> list[int]:
        return sorted(range(len(self.nodes)), key=lambda v: (-self._degrees[v], v))

    @cached_property
    def _communities(self) -> list[int]:
        labels = list(range(len(self.nodes)))
        for _ in range(ROUNDS):
            before = list(labels)
            for u, friends in enumerate(self._friends):
                if friends:
                    counts = Counter(labels[w] for w in friends)
                    labels[u] = min(counts, key=lambda label: (-counts[label], label * SCRAMBLE & 0xFFFFFFFF))
            if labels == before:
                break
        return labels


def _order(ranked: Ranked) -> tuple[float, int, int]:
    score, mutual, v = ranked
    return -score, -mutual, v
