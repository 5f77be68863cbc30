"""Runs commands of toot as its own entry point does, each in a process of its own, forked from one that has imported toot.

A line of JSON in, the arguments; a line of JSON out, the exit code and what was said.
"""

import json
import os
import sys
import traceback

from toot.cli import cli


def run(arguments: list[str]) -> int:
    """Run one command in this process; return its exit code."""
    sys.argv = ["toot", *arguments]
    try:
        sys.exit(cli())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def fork(arguments: list[str]) -> tuple[int, str]:
    """Run one command in another process; return its exit code and what it says."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        code = run(arguments)
        sys.stdout.flush()
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as said:
        text = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


if __name__ == "__main__":
    for line in sys.stdin:
        code, said = fork(json.loads(line))
        sys.stdout.write(json.dumps([code, said]) + "\n")
        sys.stdout.flush()
