"""How `kodama suggest` tells of suggestions: as sentences."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from kodama.social_graph.v1 import social_graph_pb2 as graph_pb
from kodama.social_graph.v1 import suggestion_service_pb2 as pb

RANKS = ((1, 3), (4, 10), (11, 50))
"""Places in the list that are told together."""


def describe_progress(progress: pb.GetSuggestionProgressResponse) -> list[str]:
    """Return how far suggestions are, and how good what members see is."""
    lines = []
    if progress.HasField("current"):
        lines += _describe_current(progress)
    else:
        lines.append(f"Nothing has been computed for all yet; {progress.members:,} members have friends.")
    latest = progress.latest
    if progress.HasField("latest") and latest.id != progress.current.id:
        blocks = f", {latest.blocks_done:,} of {latest.blocks:,} blocks" if latest.blocks else ""
        error = f": {latest.error}" if latest.error else ""
        lines.append(
            f"Generation {latest.id}, requested at {_time(latest.requested_at_ms)}, is {latest.state}{blocks}{error}."
        )
    lines += _describe_outcomes(progress.outcomes)
    return lines


def _describe_current(progress: pb.GetSuggestionProgressResponse) -> list[str]:
    current = progress.current
    took = (current.finished_at_ms - current.requested_at_ms) / 1000
    lines = [
        f"Generation {current.id}: {current.members:,} members and {current.friendships:,} friendships as of"
        f" {_time(current.snapshot_at_ms)}, computed in {took:.1f} s, {current.blocks:,} blocks.",
        f"Coverage: {current.covered_members:,} of {current.members:,} members have at least ten suggestions"
        f" ({_percent(current.covered_members, current.members)}).",
        f"Since then {progress.refreshed_members:,} members' were computed again after something changed for them.",
        f"Model: {current.model_json}",
    ]
    if current.drift_members:
        lines.append(
            f"Drift: of the ten best of {current.drift_members} members {current.drift:.1%} were others when computed"
            f" anew at {_time(current.drift_at_ms)}."
        )
    else:
        lines.append("Drift: not measured yet; that is done once an hour.")
    return lines


def _describe_outcomes(outcomes: Iterable[graph_pb.SuggestionOutcome]) -> list[str]:
    counts: dict[tuple[str, tuple[int, int]], list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in outcomes:
        ranks = next(some for some in RANKS if some[0] <= one.rank <= some[1])
        for place, count in enumerate((one.shown, one.sent, one.accepted)):
            counts[name_of(one.source), ranks][place] += count
    return [
        f"Shown from {source}, places {first} to {last}: {shown:,}; asked {sent:,} ({_percent(sent, shown)}),"
        f" accepted {accepted:,} ({_percent(accepted, sent)})."
        for (source, (first, last)), (shown, sent, accepted) in sorted(counts.items())
    ]


def describe_suggestion(suggestion: graph_pb.Suggestion, handles: Mapping[int, str]) -> str:
    """Return whom is suggested, and why."""
    named = ", ".join(handles[an_id] for an_id in suggestion.mutual_friend_ids if an_id in handles)
    if suggestion.hides_mutual_friends:
        why = "hides their friends"
    elif suggestion.mutual_friends_count:
        why = f"{suggestion.mutual_friends_count} mutual friends ({named}), score {suggestion.score:.4g}"
    else:
        why = "no mutual friends to be named"
    return f"{handles[suggestion.account_id]}: {name_of(suggestion.source)}, {why}"


def name_of(source: graph_pb.SuggestionSource.ValueType) -> str:
    """Return a source in words."""
    return graph_pb.SuggestionSource.Name(source).removeprefix("SUGGESTION_SOURCE_").lower().replace("_", " ")


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _time(unix_ms: int) -> str:
    return f"{datetime.fromtimestamp(unix_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
