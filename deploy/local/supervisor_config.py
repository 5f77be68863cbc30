"""The configuration of supervisord for a list of `Command`s."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deploy.local.command import Command
from deploy.local.errors import LocalError
from deploy.local.processes import MARKER

LOG_BYTES = "10MB"
LOG_BACKUPS = 2
# A process that ends within START_SECONDS has failed to start; the pause before the next try grows by a
# second each time. After START_RETRIES of them (about a minute) supervisord gives up and `up`, which
# watches, starts it anew, so that it is tried for ever with at most ten seconds between.
START_SECONDS = 1
START_RETRIES = 10

HEAD = """\
[unix_http_server]
file={socket}
chmod=0600

[supervisord]
logfile={log}/supervisord.log
logfile_maxbytes={log_bytes}
logfile_backups={log_backups}
pidfile={run}/supervisord.pid
childlogdir={log}
identifier=kodama
nodaemon=true
silent=true
umask=077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

PROGRAM = """\
[program:{name}]
command={command}
directory={directory}
environment={environment}
{user}priority={priority}
autostart=false
autorestart=true
startsecs={start_seconds}
startretries={start_retries}
stopsignal={stop_signal}
stopwaitsecs={stop_seconds}
stopasgroup=false
killasgroup=true
stdout_logfile={log_file}
stdout_logfile_maxbytes={log_bytes}
stdout_logfile_backups={log_backups}
redirect_stderr=true
"""


def log_file(log: Path, command_name: str) -> Path:
    """Where the output of a command goes, rotated at 10 MB."""
    return log / f"{command_name}.log"


def configuration(commands: Sequence[Command], *, socket: Path, run: Path, log: Path, instance: str) -> str:
    """The text of supervisord.conf. It holds secrets: write it with mode 0600.

    Raises LocalError for a value that its format cannot express.
    """
    names = [command.name for command in commands]
    if len(set(names)) != len(names):
        raise LocalError(f"Two commands have the same name: {', '.join(sorted(names))}.")
    parts = [
        HEAD.format(socket=_text(socket), log=_text(log), run=_text(run), log_bytes=LOG_BYTES, log_backups=LOG_BACKUPS)
    ]
    parts += [_program(command, log, instance) for command in commands]
    for group, members in grouped(commands).items():
        programs = ",".join(member.name for member in members)
        parts.append(f"[group:{group}]\nprograms={programs}\npriority={members[0].priority}\n")
    return "\n".join(parts)


def grouped(commands: Iterable[Command]) -> dict[str, list[Command]]:
    """Commands by group, in the order of their start."""
    groups: dict[str, list[Command]] = {}
    for command in sorted(commands, key=lambda each: each.priority):
        groups.setdefault(command.group, []).append(command)
    return groups


def _program(command: Command, log: Path, instance: str) -> str:
    user = f"user={command.user}\n" if command.user and os.geteuid() == 0 else ""
    return PROGRAM.format(
        name=command.name,
        command=_text(shlex.join(command.argv)),
        directory=_text(command.cwd),
        environment=_environment({**command.env, MARKER: instance}),
        user=user,
        priority=command.priority,
        start_seconds=START_SECONDS,
        start_retries=START_RETRIES,
        stop_signal=command.stop_signal.name.removeprefix("SIG"),
        stop_seconds=command.stop_seconds,
        # No stopasgroup: SIGTERM would end the pool processes of a Celery worker that is finishing its tasks.
        log_file=_text(log_file(log, command.name)),
        log_bytes=LOG_BYTES,
        log_backups=LOG_BACKUPS,
    )


def _environment(variables: Mapping[str, str]) -> str:
    for name, value in variables.items():
        if '"' in value or value.endswith("'"):
            raise LocalError(f"The value of {name} contains quotes, which supervisord cannot pass on.")
    return ",".join(f'{name}="{_text(value)}"' for name, value in sorted(variables.items()))


def _text(value: str | Path) -> str:
    """A value as the file must hold it: % doubled; refused where the format has no way to write it."""
    text = str(value)
    # It takes " ;" and " #" for the beginning of a comment, even between quotes.
    if any(mark in text for mark in ("\n", "\r", "\0", " ;", " #", "\t;", "\t#")):
        raise LocalError(f"supervisord's configuration cannot hold {text.splitlines()[0][:40]!r} …; choose another.")
    return text.replace("%", "%%")
