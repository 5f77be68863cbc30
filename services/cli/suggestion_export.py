"""Everybody's stored suggestions as a file: JSON lines or Parquet, a row per member, in place only when it is whole.

A row has `account_id`, and the lists `suggested_ids`, `scores` and `sources`, the best first. Who may not be shown to the member now
is left out when they read, not here.
"""

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from kodama.social_graph.v1 import suggestion_service_pb2 as pb

from chassis.rpc import call_stream
from services.cli.network import Network
from services.cli.suggestion_status import name_of

EXPORT_SECONDS = 3600

Row = Mapping[str, Any]
Write = Callable[[Sequence[Row]], None]


@contextmanager
def _json_lines(file: Path) -> Iterator[Write]:
    encoder = msgspec.json.Encoder()
    with file.open("wb") as out:
        yield lambda rows: out.writelines(encoder.encode(row) + b"\n" for row in rows)


@contextmanager
def _compressed_json_lines(file: Path) -> Iterator[Write]:
    encoder = msgspec.json.Encoder()
    with gzip.open(file, "wb") as out:
        yield lambda rows: out.writelines(encoder.encode(row) + b"\n" for row in rows)


@contextmanager
def _parquet(file: Path) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [
            ("account_id", pa.int64()),
            ("suggested_ids", pa.list_(pa.int64())),
            ("scores", pa.list_(pa.float32())),
            ("sources", pa.list_(pa.string())),
        ]
    )
    with parquet.ParquetWriter(file, schema) as out:
        yield lambda rows: out.write_table(pa.Table.from_pylist(list(rows), schema=schema))


WRITERS: Mapping[str, Callable[[Path], AbstractContextManager[Write]]] = {
    ".jsonl": _json_lines,
    ".jsonl.gz": _compressed_json_lines,
    ".parquet": _parquet,
}
"""The end of a file's name → what writes such files."""


def kind_of_file(file: Path) -> str:
    """Return which of the known ends a file's name has; empty for none."""
    return next((end for end in WRITERS if file.name.endswith(end)), "")


async def export_suggestions(network: Network, file: Path, kind: str) -> int:
    """Write everybody's suggestions into a file; return how many members they were of. Raises OSError where it cannot be written."""
    draft = file.with_name(f".{file.name}.part")
    members = 0
    try:
        with WRITERS[kind](draft) as write:
            stream = call_stream(
                network.suggestions.ExportSuggestions,
                pb.ExportSuggestionsRequest(),
                network.signer,
                timeout_seconds=EXPORT_SECONDS,
            )
            async for part in stream:
                write([_row(member) for member in part.members])
                members += len(part.members)
        draft.rename(file)
    finally:
        draft.unlink(missing_ok=True)
    return members


def _row(member: pb.MemberSuggestions) -> Row:
    return {
        "account_id": member.account_id,
        "suggested_ids": list(member.suggested_ids),
        "scores": [round(score, 6) for score in member.scores],
        "sources": [name_of(source) for source in member.sources],
    }
