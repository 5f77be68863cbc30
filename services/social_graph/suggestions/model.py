"""What is chosen per network: the kernel's exponents and the weights of the re-ranking."""

import math
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

import msgspec

VERSION = 1
CANDIDATES = 100
"""How many of the best by the kernel are re-ranked."""
MAX_EGO = 2048
"""Members with more friends keep the kernel's order: the friendships among so many would cost more than they tell."""

FEATURES = (
    "kernel",
    "mutual_friends",
    "resource_allocation",
    "tie_strength",
    "edges_among_mutual_friends",
    "weighted_edges_among_mutual_friends",
    "density_among_mutual_friends",
    "candidate_friends",
    "union_of_friends",
    "strongest_tie",
    "paths_through_two_friends",
)
"""What the re-ranking looks at (features.py has the formulas): each once plain, once times the log of the member's number of friends.

New ones are added at the end: the weights of models that are stored belong to the first ones.
"""


class Source(IntEnum):
    """Where a suggestion is from."""

    FRIENDS_OF_FRIENDS = 1
    NEARBY = 2
    """Three steps away."""
    COMMUNITY = 3
    """Popular in the member's community."""
    POPULAR = 4


class Reranking(msgspec.Struct, frozen=True):
    """A linear score over the features: log kernel + Σ (plain + by_friends · z) · feature, with z the member's scaled log friends."""

    plain: tuple[float, ...]
    by_friends: tuple[float, ...]
    centre: float
    """What is subtracted from the logarithm of the member's number of friends."""

    def __post_init__(self) -> None:
        """Let models of before, which know fewer features, have no weight for the others. Raises ValueError for more than there are."""
        for name in ("plain", "by_friends"):
            weights = getattr(self, name)
            if len(weights) > len(FEATURES):
                raise ValueError(f"{len(weights)} weights, but {len(FEATURES)} features")
            msgspec.structs.force_setattr(self, name, weights + (0.0,) * (len(FEATURES) - len(weights)))

    def parts(self, features: Sequence[float], friends: int) -> Iterator[float]:
        """Yield what each feature adds for a member with so many friends."""
        z = math.log(max(1, friends)) - self.centre
        for plain, by_friends, feature in zip(self.plain, self.by_friends, features, strict=True):
            yield (plain + by_friends * z) * feature


class Model(msgspec.Struct, frozen=True):
    """score(u, v) = d_v^-b · Σ over mutual friends w of d_w^-a, and how the best of these are re-ranked (None: not at all)."""

    a: float
    b: float
    reranking: Reranking | None = None
    version: int = VERSION

    @classmethod
    def default(cls) -> "Model":
        """Return the model for networks that are too small to tell: resource allocation."""
        return cls(a=1.0, b=0.0)


class Suggestion(msgspec.Struct, frozen=True):
    """Somebody a member might know, and why."""

    account_id: Any
    """A node of the graph: an account id in ours."""
    score: float
    mutual_count: int
    sample_friends: tuple[Any, ...]
    """At most three mutual friends, those with the fewest friends first: they say most."""
    source: Source
