"""The rankings that Kodama's is compared with, each from its own formula with scipy: none of Kodama's code is in them.

Whom a ranking scores alike, and whoever shares no friend with the member, comes in the order of the members' numbers, which is random.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array

from services.social_graph.suggestions import CsrGraph

Ints = NDArray[np.int64]
BLOCK_WEDGES = 20_000_000
Top = Callable[[int, int], Ints]


class Rankings:
    """The best strangers of members of one graph, by the rankings of others."""

    def __init__(self, graph: CsrGraph) -> None:
        self._graph = graph
        n = len(graph)
        self._degrees = np.diff(graph.indptr)
        self._matrix = csr_array((np.ones(len(graph.indices)), graph.indices, graph.indptr), shape=(n, n))
        self._names = np.argsort(np.argsort([str(number) for number in graph.account_ids.tolist()]))
        self._popular = np.lexsort((np.arange(n), -self._degrees))

    def best(self, members: Ints, k: int) -> Iterator[dict[str, Ints]]:
        """Yield, for each member given as a row, the k best by each ranking, the best first; fewer where there are no more strangers."""
        logs = np.log(np.maximum(self._degrees, 2))
        allocation = diags_array(1 / np.maximum(self._degrees, 1)) @ self._matrix
        adamic = diags_array(1 / logs) @ self._matrix
        reach = np.cumsum((self._matrix @ self._degrees)[members])
        for block in np.split(members, np.flatnonzero(np.diff(reach // BLOCK_WEDGES)) + 1):
            rows = self._matrix[block]
            products = [csr_array(rows @ other) for other in (self._matrix, allocation, adamic)]
            for i, member in enumerate(block):
                shared, allocated, weighted = (_dense(product, i, len(self._graph)) for product in products)
                yield self._orders(int(member), shared, allocated, weighted, k)

    def _orders(
        self, u: int, mutual: NDArray[np.float64], allocation: NDArray[np.float64], adamic: NDArray[np.float64], k: int
    ) -> dict[str, Ints]:
        friends = self._graph.indices[self._graph.indptr[u] : self._graph.indptr[u + 1]]
        stranger = np.ones(len(mutual), dtype=bool)
        stranger[friends] = stranger[u] = False
        near = np.flatnonzero((mutual > 0) & stranger)
        degrees, shared = self._degrees[near], mutual[near]
        keys = {
            "resource_allocation": (near, -allocation[near]),
            "adamic_adar": (near, -adamic[near]),
            "mutual_friends": (near, -shared),
            "jaccard": (near, -shared / (self._degrees[u] + degrees - shared)),
            "mastodon_order": (near, -degrees, -shared),
            "bookwyrm_order": (-self._names[near], -shared),
        }
        orders = {name: self._complete(near[np.lexsort(key)[:k]], stranger, mutual, k) for name, key in keys.items()}
        popular = self._popular[: k + len(friends) + 1]
        orders["preferential_attachment"] = popular[stranger[popular]][:k]
        return orders

    @staticmethod
    def _complete(best: Ints, stranger: NDArray[np.bool_], mutual: NDArray[np.float64], k: int) -> Ints:
        if len(best) == k:
            return best
        return np.concatenate((best, np.flatnonzero(stranger & (mutual == 0))[: k - len(best)]))


def _dense(product: csr_array, i: int, n: int) -> NDArray[np.float64]:
    row = np.zeros(n)
    start, stop = product.indptr[i], product.indptr[i + 1]
    row[product.indices[start:stop]] = product.data[start:stop]
    return row
