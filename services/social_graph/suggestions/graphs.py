"""The friend graph as three arrays (compressed sparse rows), which networkx takes for a graph of ours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from services.social_graph.suggestions.memory import let_go

if TYPE_CHECKING:
    import networkx as nx  # 12 MB, which no worker needs

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array that cannot be written to, as those of mapped files: compiled code is made for one kind only."""
    view = array.view(np.ndarray)
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class CsrGraph:
    """A symmetric graph without loops. The arrays may be memory-mapped, and are never written to.

    Row i is the member `account_ids[i]`; `indices[indptr[i]:indptr[i + 1]]` are the rows of their friends, ascending.
    """

    account_ids: Int64s
    """n ids, ascending."""
    indptr: Int64s
    """n + 1 positions in `indices`."""
    indices: Int32s
    degrees: Int32s
    """How many friends each member has in the whole network: more than their row has where that is cut, as around a few members."""

    __networkx_backend__ = "kodama"

    @classmethod
    def of(
        cls, account_ids: ArrayLike, indptr: ArrayLike, indices: ArrayLike, degrees: ArrayLike | None = None
    ) -> "CsrGraph":
        """Return the graph of these arrays. Raises ValueError where they do not fit together. Without degrees, rows are whole."""
        ids = np.asarray(account_ids, dtype=np.int64)
        starts = np.asarray(indptr, dtype=np.int64)
        rows = np.asarray(indices, dtype=np.int32)
        if len(starts) != len(ids) + 1 or starts[0] != 0 or starts[-1] != len(rows):
            raise ValueError(
                f"{len(ids)} members, {len(starts)} row starts and {len(rows)} friends do not fit together"
            )
        friends = np.diff(starts).astype(np.int32) if degrees is None else np.asarray(degrees, dtype=np.int32)
        if len(friends) != len(ids):
            raise ValueError(f"{len(friends)} degrees for {len(ids)} members")
        return cls(read_only(ids), read_only(starts), read_only(rows), read_only(friends))

    @classmethod
    def from_edges(cls, u: ArrayLike, v: ArrayLike) -> "CsrGraph":
        """Return the graph of friendships between account ids, in any order. Repeats and loops are dropped; so is who has nothing else."""
        left, right = np.asarray(u, dtype=np.int64), np.asarray(v, dtype=np.int64)
        if left.shape != right.shape or left.ndim != 1:
            raise ValueError("Friendships have two ends each.")
        other = left != right
        ids, ends = np.unique(np.concatenate((left[other], right[other])), return_inverse=True)
        return cls.from_rows(ids, ends[: len(ends) // 2], ends[len(ends) // 2 :])

    @classmethod
    def from_rows(
        cls, account_ids: ArrayLike, left: ArrayLike, right: ArrayLike, degrees: ArrayLike | None = None
    ) -> "CsrGraph":
        """Return the graph of members, whose ids ascend, with friendships between their rows. Repeats and loops are dropped."""
        ids = np.asarray(account_ids, dtype=np.int64)
        a, b = np.asarray(left, dtype=np.int64), np.asarray(right, dtype=np.int64)
        low, high = np.minimum(a, b), np.maximum(a, b)
        keys = np.unique((low << 32 | high)[low != high])
        low, high = keys >> 32, keys & 0xFFFFFFFF
        both = np.sort(np.concatenate((keys, high << 32 | low)))
        indptr = np.zeros(len(ids) + 1, dtype=np.int64)
        np.cumsum(np.bincount(both >> 32, minlength=len(ids)), out=indptr[1:])
        return cls.of(ids, indptr, (both & 0xFFFFFFFF).astype(np.int32), degrees)

    @classmethod
    def from_networkx(cls, graph: "nx.Graph[int]") -> "CsrGraph":
        """Return the graph of an undirected networkx graph of ids.

        A node's attribute `friends_count` is the number of friends in the whole network, where it has one. Raises TypeError
        for nodes that are no integers, and for directed graphs.
        """
        if graph.is_directed():
            raise TypeError("Friendship is mutual; this graph is directed.")
        if not all(isinstance(node, int) for node in graph):
            raise TypeError("Members are known by their ids; this graph has nodes that are no integers.")
        ids = np.array(sorted(graph), dtype=np.int64)
        ends = np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2)
        made = cls.from_rows(ids, np.searchsorted(ids, ends[:, 0]), np.searchsorted(ids, ends[:, 1]))
        whole = {node: data["friends_count"] for node, data in graph.nodes(data=True) if "friends_count" in data}
        if not whole:
            return made
        degrees = [whole.get(node, degree) for node, degree in zip(ids.tolist(), made.degrees.tolist(), strict=True)]
        return cls.of(made.account_ids, made.indptr, made.indices, degrees)

    def to_networkx(self) -> "nx.Graph[int]":
        """Return the same graph as a plain networkx graph, its nodes with `friends_count`."""
        import networkx as nx

        graph: nx.Graph[int] = nx.Graph()
        counts = zip(self.account_ids.tolist(), self.degrees.tolist(), strict=True)
        graph.add_nodes_from((account_id, {"friends_count": count}) for account_id, count in counts)
        ends = np.repeat(self.account_ids, np.diff(self.indptr))
        others = self.account_ids[self.indices]
        once = ends < others
        graph.add_edges_from(zip(ends[once].tolist(), others[once].tolist(), strict=True))
        return graph

    def without(self, left: Int64s, right: Int64s) -> "CsrGraph":
        """Return the graph of the same members without these friendships, given as rows. Whole degrees become those of the rest."""
        ends = np.repeat(np.arange(len(self), dtype=np.int64), np.diff(self.indptr))
        removed = np.concatenate((left << 32 | right, right << 32 | left))
        removed.sort()
        keys = ends << 32 | self.indices
        place = np.searchsorted(removed, keys)
        kept = (removed[np.minimum(place, len(removed) - 1)] != keys) if len(removed) else np.ones(len(keys), bool)
        indptr = np.zeros(len(self) + 1, dtype=np.int64)
        np.cumsum(np.bincount(ends[kept], minlength=len(self)), out=indptr[1:])
        return CsrGraph.of(self.account_ids, indptr, self.indices[kept])

    def let_go(self) -> None:
        """Let mapped arrays out of this process's memory until they are looked at again."""
        let_go(self.account_ids, self.indptr, self.indices, self.degrees)

    def rows_of(self, account_ids: Sequence[int]) -> Int64s:
        """Return the rows of members. Raises KeyError for who is not in the graph."""
        wanted = np.asarray(account_ids, dtype=np.int64)
        rows = np.searchsorted(self.account_ids, wanted)
        for account_id in wanted[
            (self.account_ids[np.minimum(rows, len(self) - 1)] != wanted) if len(self) else slice(None)
        ]:
            raise KeyError(int(account_id))
        return rows

    @cached_property
    def edge_count(self) -> int:
        """How many friendships there are."""
        return len(self.indices) // 2

    # What networkx asks of a graph before it hands it over.

    def is_directed(self) -> bool:
        """Friendship is mutual."""
        return False

    def is_multigraph(self) -> bool:
        """There is one friendship between two members at most."""
        return False

    @property
    def graph(self) -> dict[str, Any]:
        """The graph has no attributes."""
        return {}

    def number_of_nodes(self) -> int:
        """Return how many members there are."""
        return len(self)

    def __len__(self) -> int:
        return len(self.account_ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.account_ids.tolist())

    def __contains__(self, account_id: object) -> bool:
        if not isinstance(account_id, int):
            return False
        row = int(np.searchsorted(self.account_ids, account_id))
        return row < len(self) and int(self.account_ids[row]) == account_id
