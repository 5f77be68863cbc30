"""`python -m deploy.docs --check | --write`: the parts of docs/architecture.md that follow from the code.

Between `<!-- topology:begin -->` and `<!-- topology:end -->` stands the table of events, as chassis/topology.py has it.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from chassis import topology
from chassis.migrate import ROOT

DOCUMENT = ROOT / "docs/architecture.md"
BLOCK = re.compile(r"(?<=<!-- topology:begin -->\n).*?(?=<!-- topology:end -->)", re.DOTALL)


def topology_table() -> str:
    """Return the tables of events, with their tasks and these tasks' queues, and of chores, in Markdown."""
    lines = ["| Event | Task | Queue | Worked on by |", "|---|---|---|---|"]
    for event, names in topology.EVENTS.items():
        for task in map(topology.TASKS.__getitem__, names):
            queue = topology.QUEUES[task.queue]
            lines.append(f"| `{event}` | `{task.name}` | `{queue.name}` | {queue.service}, {queue.purpose} |")
    lines += ["", "Done again and again, whatever happens ([chassis/housekeeping.py](../chassis/housekeeping.py)):", ""]
    lines += ["| Chore | Of | Every | What for |", "|---|---|---|---|"]
    for chore in topology.CHORES.values():
        every = f"{chore.interval_seconds:,} s"
        lines.append(f"| `{chore.name}` | {chore.service or 'every service'} | {every} | {chore.purpose} |")
    return "\n".join(lines) + "\n"


def brought_up_to_date(text: str) -> str:
    """Return the document with what the code says now. Raises ValueError where it lacks the markers."""
    updated, found = BLOCK.subn(lambda _: topology_table(), text)
    if found != 1:
        raise ValueError("the document needs <!-- topology:begin --> and <!-- topology:end -->, once each")
    return updated


def main(arguments: Sequence[str] | None = None, document: Path = DOCUMENT) -> int:
    """Check or write the document. Returns the exit code: 1 where a check found it stale."""
    parser = argparse.ArgumentParser(prog="python -m deploy.docs", description=__doc__.splitlines()[0])
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true", help="say whether it is stale")
    mode.add_argument("--write", action="store_true", help="bring it up to date")
    chosen = parser.parse_args(arguments)
    text = document.read_text("utf-8")
    updated = brought_up_to_date(text)
    if updated == text:
        return 0
    if chosen.write:
        document.write_text(updated, "utf-8")
    sys.stdout.write(f"{document.name} {'written' if chosen.write else 'is stale'}\n")
    return 1 if chosen.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
