"""Choosing a network's model by how well it finds the network's own hidden friendships."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.social_graph.suggestions.graphs import CsrGraph, Int64s
from services.social_graph.suggestions.hiding import Trial, describe_trial, hide, rank
from services.social_graph.suggestions.learning import Lists, fit, join, rate_lists
from services.social_graph.suggestions.model import Model, Reranking

EXPONENTS_A = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
EXPONENTS_B = (-0.8, -0.4, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.5)
HIDDEN = 0.1
"""The part of the friendships that a trial hides."""
MEMBERS = 4000
"""At most about so many members' hidden friends are looked for in all trials."""
WEDGES = 60_000_000
"""And so many that all of them together have at most so many wedges."""
ENOUGH_HIDDEN = 6000
MAX_TRIALS = 8
"""Small networks are tried several times, with other friendships hidden, until there are enough of these."""
MIN_FRIENDSHIPS = 100
"""With fewer, not ten can be hidden at a time, and what finds these best is chance."""
FOLDS = 3
PLACES = (5, 10, 20)
CLEAR = 2.0
"""A new model replaces the previous one when it gains more than so many standard errors."""
LIKELY = 1.5
"""What resource allocation, and the kernel's order, have to be beaten by, in standard errors."""

Floats = NDArray[np.float64]


class Tuning(msgspec.Struct, frozen=True):
    """What was chosen, and what it was chosen by."""

    model: Model
    is_previous_kept: bool
    gain: float
    """The chosen model's quality less that of the previous one, or of resource allocation where there was none, paired by member."""
    gain_error: float
    """The standard error of the gain."""
    figures: dict[str, float]
    """Mean quality (recall at 5, 10 and 20 averaged) of each candidate, and how many members and hidden friendships told it."""
    seconds: float


@dataclass(frozen=True, eq=False)
class _Judged:
    model: Model
    members: Int64s
    """[members of all trials] rows: who is in several trials is there as often."""
    quality: Floats
    """Per member of all trials; that of a re-ranking is by weights learnt from other members."""


def tune(graph: CsrGraph, *, seed: int, previous: Model | None = None) -> Tuning:
    """Choose the model of a network. The same graph, seed and previous model give the same answer.

    A network that is too small to tell gets the previous model, or the default.
    """
    began = time.perf_counter()
    baseline = previous or Model.default()
    if graph.edge_count < MIN_FRIENDSHIPS:
        return Tuning(baseline, previous is not None, 0.0, 0.0, {}, time.perf_counter() - began)
    trials = make_trials(graph, seed)
    allocation, kernel = choose_kernel(trials)
    lists = make_lists(trials, kernel.model)
    best = choose_reranking(lists, kernel, seed)
    figures = {
        "members": float(len(best.quality)),
        "hidden_friendships": float(sum(len(trial.hidden) for trial in trials)),
        "resource_allocation": float(allocation.quality.mean()),
        "kernel": float(kernel.quality.mean()),
        "chosen": float(best.quality.mean()),
    }
    before = allocation
    if previous is not None:
        before = judge(trials, previous)
        figures["previous"] = float(before.quality.mean())
    gain, error = compare(best, before)
    is_previous_kept = previous is not None and gain <= CLEAR * error
    chosen = baseline if is_previous_kept else best.model
    return Tuning(chosen, is_previous_kept, gain, error, figures, time.perf_counter() - began)


def make_trials(graph: CsrGraph, seed: int) -> list[Trial]:
    """Return trials that together hide enough friendships to tell, where the network has so many."""
    chance = np.random.default_rng(seed)
    count = min(MAX_TRIALS, max(1, math.ceil(ENOUGH_HIDDEN / (HIDDEN * graph.edge_count))))
    return [hide(graph, HIDDEN, MEMBERS // count, WEDGES // count, chance) for _ in range(count)]


def choose_kernel(trials: Sequence[Trial]) -> tuple[_Judged, _Judged]:
    """Return resource allocation, and the kernel that beats it most surely: by the gain less its likely error."""
    quality = np.concatenate(
        [trial.mean(quality_of(rank(trial, EXPONENTS_A, EXPONENTS_B))) for trial in trials], axis=2
    )
    members = members_of(trials)
    default = Model.default()
    allocation = quality[EXPONENTS_A.index(default.a), EXPONENTS_B.index(default.b)]
    gains = quality - allocation
    surely = gains.mean(axis=2) - LIKELY * error_of(gains, members)
    i, j = np.unravel_index(int(surely.argmax()), surely.shape)
    if surely[i, j] <= 0:
        return _Judged(default, members, allocation), _Judged(default, members, allocation)
    return _Judged(default, members, allocation), _Judged(Model(EXPONENTS_A[i], EXPONENTS_B[j]), members, quality[i, j])


def members_of(trials: Sequence[Trial]) -> Int64s:
    """Return the members of all trials, one trial's after the other's."""
    return np.concatenate([trial.members for trial in trials])


def quality_of(ranks: NDArray[np.int32]) -> Floats:
    """Return what hidden friends at these places, from 0, are worth: recall at 5, 10 and 20, averaged to be less noisy."""
    return np.asarray(np.mean([ranks < place for place in PLACES], axis=0))


def make_lists(trials: Sequence[Trial], model: Model) -> Lists:
    """Return the candidates by the kernel of all trials' members."""
    return join([_lists_of(trial, model) for trial in trials])


def _lists_of(trial: Trial, model: Model) -> Lists:
    rows, features = describe_trial(trial, model.a, model.b)
    owners = np.repeat(np.arange(len(trial.members), dtype=np.int64), np.diff(trial.starts))
    hidden = np.sort(owners << 32 | trial.hidden)
    keys = np.arange(len(rows), dtype=np.int64)[:, None] << 32 | np.maximum(rows, 0)
    place = np.minimum(np.searchsorted(hidden, keys), len(hidden) - 1)
    log_friends = np.log(np.maximum(1, trial.graph.degrees[trial.members]))
    exists = rows >= 0
    return Lists(features, exists, exists & (hidden[place] == keys), log_friends, np.diff(trial.starts))


def choose_reranking(lists: Lists, kernel: _Judged, seed: int) -> _Judged:
    """Return the kernel with a re-ranking where that beats the kernel's order, else the kernel alone."""
    folds = np.random.default_rng(seed).integers(0, FOLDS, len(lists.features))
    quality = np.empty(len(folds))
    for fold in range(FOLDS):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        quality[inside] = judge_lists(lists.of(inside), fit(lists, outside))
    reranked = _Judged(kernel.model, kernel.members, quality)
    gain, error = compare(reranked, kernel)
    if gain <= LIKELY * error:
        return kernel
    return replace(reranked, model=Model(kernel.model.a, kernel.model.b, fit(lists)))


def judge(trials: Sequence[Trial], model: Model) -> _Judged:
    """Return how a model does that is given."""
    if model.reranking is None:
        ranks = [rank(trial, (model.a,), (model.b,))[0, 0] for trial in trials]
        quality = np.concatenate([trial.mean(quality_of(places)) for trial, places in zip(trials, ranks, strict=True)])
        return _Judged(model, members_of(trials), quality)
    return _Judged(model, members_of(trials), judge_lists(make_lists(trials, model), model.reranking))


def judge_lists(lists: Lists, reranking: Reranking) -> Floats:
    """Return each member's quality when their candidates are ordered by these weights."""
    order = np.argsort(-rate_lists(lists, reranking), axis=1, kind="stable")[:, : max(PLACES)]
    found = np.take_along_axis(lists.is_friend, order, axis=1)
    worth = quality_of(np.arange(max(PLACES), dtype=np.int32))
    return np.asarray((found * worth).sum(axis=1) / lists.hidden_counts)


def compare(one: _Judged, other: _Judged) -> tuple[float, float]:
    """Return the mean difference of qualities, paired by member and trial, and its standard error."""
    differences = one.quality - other.quality
    return float(differences.mean()), float(error_of(differences, one.members))


def error_of(values: Floats, members: Int64s) -> Floats:
    """Return the standard error of the mean of values, [..., members], to which everybody may have contributed several.

    What one member contributes in several trials is alike, and tells no more than one does: errors are those of the members' sums.
    """
    order = np.argsort(members, kind="stable")
    _, starts = np.unique(members[order], return_index=True)
    deviations = (values - values.mean(axis=-1, keepdims=True))[..., order]
    sums = np.add.reduceat(deviations, starts, axis=-1)
    count = len(starts)
    return np.asarray(np.sqrt((sums**2).sum(axis=-1) * count / max(1, count - 1)) / len(members))
