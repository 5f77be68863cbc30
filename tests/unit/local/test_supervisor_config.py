"""supervisord's configuration says what a command says, or is refused."""

from __future__ import annotations

import configparser
import signal
from pathlib import Path

import pytest
from supervisor.datatypes import dict_of_key_value_pairs

from deploy.local.command import Command
from deploy.local.errors import LocalError
from deploy.local.supervisor_config import configuration, grouped


def parsed(*commands: Command) -> configparser.RawConfigParser:
    # As supervisord reads it.
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    parser.read_string(configuration(commands, socket=Path("/s"), run=Path("/run"), log=Path("/log"), instance="me"))
    return parser


def test_a_program_is_written_with_all_that_a_command_says() -> None:
    command = Command(
        name="server",
        argv=["/bin/a program", "-c", "prefix=%m [%p] "],
        env={"URL": "postgresql://u:p%20w@h/d?a=b,c"},
        cwd=Path("/home"),
        stop_signal=signal.SIGINT,
        stop_seconds=42,
        group="servers",
        priority=7,
    )
    text = parsed(command)
    program = dict(text["program:server"])
    assert program["command"] % {} == "'/bin/a program' -c 'prefix=%m [%p] '"
    assert dict_of_key_value_pairs(program["environment"] % {}) == {
        "URL": "postgresql://u:p%20w@h/d?a=b,c",
        "KODAMA_INSTANCE": "me",
    }
    assert (program["directory"], program["stopsignal"], program["stopwaitsecs"]) == ("/home", "INT", "42")
    assert "user" not in program
    assert dict(text["group:servers"]) == {"programs": "server", "priority": "7"}


@pytest.mark.parametrize("value", ['a "quoted" word', "two\nlines", "a ;comment", "a #comment", "ends in '"])
def test_what_the_format_cannot_hold_is_refused_with_a_sentence(value: str) -> None:
    with pytest.raises(LocalError):
        parsed(Command(name="a", argv=["a"], env={"NAME": value}))


def test_two_commands_of_one_name_are_refused() -> None:
    with pytest.raises(LocalError, match="same name"):
        parsed(Command(name="a", argv=["a"]), Command(name="a", argv=["b"]))


def test_groups_are_in_the_order_of_their_start() -> None:
    commands = [
        Command(name=name, argv=["x"], group=group, priority=priority)
        for name, group, priority in [("g", "gateway", 900), ("p", "postgres", 1), ("w", "workers", 500)]
    ]
    assert list(grouped(commands)) == ["postgres", "workers", "gateway"]
