"""The life of `make up`: from an empty folder to a running network, and back to no process at all."""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg

from deploy.local import postgres
from deploy.local.broker import Broker, BrokerPlan, choose
from deploy.local.command import Command, log_tail
from deploy.local.earlier import remind, settle
from deploy.local.errors import LocalError, NotReady
from deploy.local.network import choose_network_ports, network_environment, node_ports, publish, withdraw
from deploy.local.orphans import refuse_living_predecessor, stop_orphans
from deploy.local.postgres import Postgres
from deploy.local.signals import Interrupted, Interruption, interruptible
from deploy.local.state import State, open_state
from deploy.local.supervisor import ProcessState, Supervisor, supervising
from deploy.local.waiting import Say, Waiting

Step = Callable[[Mapping[str, str]], None]

FAILED_STARTS = 5  # one process started so often while we wait for the network will not come up by waiting
HEALTH_PAUSE_SECONDS = 0.25  # the answer takes processor time from those that are waited for
WATCH_SECONDS = 0.5


@dataclass(frozen=True)
class Network:
    """What one run is made of, decided before anything is started."""

    environment: Mapping[str, str]
    server: Postgres | None
    broker: Broker
    applications: Sequence[Command]

    @property
    def address(self) -> str:
        """Where the gateway answers."""
        return f"http://{self.environment['KODAMA_GATEWAY_ADDRESS']}"

    @property
    def commands(self) -> list[Command]:
        """All processes of this run."""
        servers = [self.server.command] if self.server else []
        return [*servers, *self.broker.commands, *self.applications]


def run(
    app_commands: Callable[[Mapping[str, str]], Sequence[Command]],
    *,
    migrate: Step,
    seed: Step | None,
    say: Say,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Bring a network up, keep it up until SIGINT or SIGTERM, take it down. Returns the exit code.

    `app_commands` gets the network's environment (addresses, URLs, secret) and gives the processes to run,
    with priorities above 200; the gateway's must answer GET /health. `migrate` prepares the database before
    they start, `seed` fills it when they run, once per database. Code 0: stopped as asked; 1: it could not
    run, and `say` was told why. Call it from the main thread.
    """
    speak = _unbreakable(say)
    try:
        state = open_state(environ)
        with interruptible() as interruption, state.locked():
            _live(state, app_commands, migrate, seed, speak, environ, interruption)
        return 0
    except Interrupted:
        return 0
    except LocalError as problem:
        speak(str(problem))
        return 1


def _live(
    state: State,
    app_commands: Callable[[Mapping[str, str]], Sequence[Command]],
    migrate: Step,
    seed: Step | None,
    say: Say,
    environ: Mapping[str, str],
    interruption: Interruption,
) -> None:
    refuse_living_predecessor(state)
    stop_orphans(state, say)
    settle(state, say)
    network = _plan(state, app_commands, environ, say)
    state.announce({"pid": os.getpid(), "address": network.address})
    with _supervised(state, network, say, interruption) as supervisor:
        _start_servers(supervisor, network, say)
        say("Preparing the database …")
        migrate(network.environment)
        _start_applications(supervisor, network, say)
        publish(state, network.environment)
        _seed_once(state, network, seed, say)
        say(f"Kodama runs at {network.address}  (Ctrl-C stops it)")
        _watch(state, supervisor, say, interruption)


def _plan(
    state: State,
    app_commands: Callable[[Mapping[str, str]], Sequence[Command]],
    environ: Mapping[str, str],
    say: Say,
) -> Network:
    secrets, ports = state.secrets(), choose_network_ports(state)
    database_url, server = environ.get("KODAMA_DATABASE_URL", ""), None
    if not database_url:
        home = state.server_home("postgres")
        server = postgres.prepare(home, port=ports["postgres"], password=secrets.postgres)
        database_url = server.url
    plan = BrokerPlan(state.root / "rabbitmq", node_ports(ports), database_url, secrets.broker, secrets.erlang_cookie)
    broker = choose(environ, plan, say)
    environment = network_environment(
        ports,
        database_url=database_url,
        broker_url=broker.url,
        secret=environ.get("KODAMA_SECRET") or secrets.kodama,
        suggestions_folder=str(state.root / "suggestions"),
    )
    return Network(environment, server, broker, app_commands(environment))


@contextmanager
def _supervised(state: State, network: Network, say: Say, interruption: Interruption) -> Iterator[Supervisor]:
    """A supervisor whose processes are all stopped, in order and with a line each, however the block is left."""
    try:
        with supervising(state, network.commands) as supervisor:
            try:
                yield supervisor
            finally:
                interruption.disarm()
                withdraw(state)
                _stop(supervisor, say, interruption)
    finally:
        interruption.disarm()
        stop_orphans(state, say)  # what a killed supervisord left, or the processes themselves
        say("Stopped.")


def _start_servers(supervisor: Supervisor, network: Network, say: Say) -> None:
    if network.server:
        begun = time.monotonic()
        supervisor.start(["postgres"])
        network.server.wait_ready(
            supervisor.log_of("postgres"), is_alive=lambda: supervisor.is_starting("postgres"), say=say
        )
        say(f"PostgreSQL is ready ({time.monotonic() - begun:.1f} s).")
    else:
        _check_database(network.environment["KODAMA_DATABASE_URL"])
        say("PostgreSQL: the server that KODAMA_DATABASE_URL names.")
    say(network.broker.summary)
    begun = time.monotonic()
    network.broker.install(network.environment["KODAMA_DATABASE_URL"])
    names = [command.name for command in network.broker.commands]
    if names:
        supervisor.start(command.group for command in network.broker.commands)
        network.broker.wait_ready(
            supervisor.log_of(names[-1]), is_alive=lambda: supervisor.is_starting(names[-1]), say=say
        )
        say(f"The broker is ready ({time.monotonic() - begun:.1f} s).")


def _check_database(url: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=60).close()
    except psycopg.Error as problem:
        raise NotReady(f"The database that KODAMA_DATABASE_URL names cannot be used: {problem}") from problem


def _start_applications(supervisor: Supervisor, network: Network, say: Say) -> None:
    names = {command.name for command in network.applications}
    say(f"Starting {len(names)} processes …")
    groups = {command.group for command in network.applications}
    supervisor.start(group for group in supervisor.groups() if group in groups)
    waiting = Waiting("the network", lambda: _pids(supervisor, names), logs=map(supervisor.log_of, names), say=say)
    starts: dict[str, list[int]] = {name: [] for name in names}
    while True:
        states = _note_starts(supervisor, starts)
        answer = _ask_health(network.address) if all(states[name].is_running for name in names) else None
        if answer is not None:
            states = _note_starts(supervisor, starts)  # who has ended meanwhile?
        is_up = answer is not None and answer.is_success and all(states[name].is_running for name in names)
        if is_up and all(map(_is_steady, starts.values())):
            return
        failing = [name for name in names if states[name].has_ended or len(starts[name]) >= FAILED_STARTS]
        seen = {name: (states[name].state, states[name].pid) for name in names}, answer and answer.text
        if failing or waiting.is_over(seen, is_computing=answer is None):
            raise NotReady(_blame(supervisor, failing, [states[name] for name in names], answer, waiting.why()))
        time.sleep(HEALTH_PAUSE_SECONDS)


def _note_starts(supervisor: Supervisor, starts: Mapping[str, list[int]]) -> dict[str, ProcessState]:
    """Return all states, and note who has been started since the last look."""
    states = _states(supervisor)
    for name, known in starts.items():
        at = states[name].started_at
        if at and at not in known:
            known.append(at)
    return states


def _is_steady(starts: Sequence[int]) -> bool:
    """Whether a process that has ended before has now lived for twice as long: a second says nothing on a busy machine."""
    lives = [later - earlier for earlier, later in pairwise(starts)]
    return not lives or time.time() - starts[-1] > 2 * max(lives)


def _pids(supervisor: Supervisor, names: Iterable[str]) -> list[int]:
    states = _states(supervisor)
    return [states[name].pid for name in names if states[name].pid]


def _ask_health(address: str) -> httpx.Response | None:
    try:
        return httpx.get(f"{address}/health", timeout=30, trust_env=False)
    except httpx.HTTPError:
        return None


def _blame(
    supervisor: Supervisor,
    failing: list[str],
    states: list[ProcessState],
    answer: httpx.Response | None,
    waited: str,
) -> str:
    """Which process failed, with the end of its log."""
    suspects = sorted(failing or [each.name for each in states if not each.is_running])
    if not suspects:
        said = f"answers {answer.status_code}: {answer.text[:500]}" if answer is not None else "does not answer"
        return f"All processes run, but there is no progress ({waited}), and GET /health {said}"
    logs = map(supervisor.log_of, suspects)
    tails = "\n".join(f"The end of {log}:\n{log_tail(log)}" for log in logs)
    return f"The network did not start: {', '.join(suspects)} failed. ({waited})\n{tails}"


def _seed_once(state: State, network: Network, seed: Step | None, say: Say) -> None:
    """Seed a database that has not been seeded from this folder; a seeding that was cut off goes on at the next start."""
    parts = urlsplit(network.environment["KODAMA_DATABASE_URL"])
    place = "private" if network.server else f"{parts.hostname}:{parts.port}{parts.path}"
    key = f"seeded {hashlib.sha256(place.encode()).hexdigest()[:12]}"
    if seed is None or state.recall(key):
        return
    say("Filling the network with demo members (only this first time) …")
    try:
        seed(network.environment)
    except LocalError as problem:
        say(str(problem))  # the network runs all the same
    else:
        state.remember(key, True)


def _watch(state: State, supervisor: Supervisor, say: Say, interruption: Interruption) -> None:
    """Until interrupted: tell of processes that died, and start those anew that supervisord has given up.

    Raises NotReady when supervisord is gone, or the state folder: nothing could be found or started again.
    """
    known, ends = _states(supervisor), Counter[str]()
    while True:
        interruption.check()
        time.sleep(WATCH_SECONDS)
        if not state.secrets_file.exists():
            raise NotReady(f"The state folder {state.root} was deleted; everything is stopped.")
        now = _states(supervisor)
        for name, process in now.items():
            if known[name].is_running and process.started_at != known[name].started_at:
                ends[name] += 1
                if ends[name] & (ends[name] - 1) == 0:  # 1, 2, 4 …: what ends again and again shall not flood
                    again = f" (time {ends[name]})" if ends[name] > 1 else ""
                    say(f"{name} ended{again} and was started again; its log is {supervisor.log_of(name)}")
            if process.has_ended:
                supervisor.start_process(process)
        known = now


def _states(supervisor: Supervisor) -> dict[str, ProcessState]:
    """All states. Raises NotReady when supervisord is gone."""
    try:
        return supervisor.states()
    except OSError as problem:
        raise NotReady("The supervisor was killed; everything is stopped. 'make up' starts it again.") from problem


def _stop(supervisor: Supervisor, say: Say, interruption: Interruption) -> None:
    """Stop the groups, those of the highest priority first; a second Ctrl-C kills the applications.

    The broker and PostgreSQL are always asked: they end in a second or two once their clients are gone.
    """
    levels: dict[int, list[str]] = {}
    for command in supervisor.commands:
        level = levels.setdefault(command.priority, [])
        level.extend(name for name in [command.group] if name not in level)
    for priority in sorted(levels, reverse=True):
        if not supervisor.is_alive():
            return
        try:
            running = {each.group for each in supervisor.states().values() if not each.has_ended}
            groups = [group for group in levels[priority] if group in running]
            if groups:
                say(f"Stopping {', '.join(groups)} …")
                supervisor.stop(groups, hurry=interruption.hurry if priority > 200 else lambda: False)
        except OSError:
            return  # killed meanwhile; the orphans are stopped next


def _unbreakable(say: Say) -> Say:
    """`say`, but a terminal that has gone away does not keep us from stopping what we started."""

    def speak(line: str) -> None:
        try:
            say(line)
        except OSError:
            return

    return speak


def clean(say: Say, environ: Mapping[str, str] = os.environ) -> int:
    """Remove the data, logs and secrets of the network (`make clean-data`). Returns the exit code."""
    try:
        state = open_state(environ)
        with state.locked():
            refuse_living_predecessor(state)
            stop_orphans(state, say)
        outside = state.clean()
    except LocalError as problem:
        say(str(problem))
        return 1
    say(f"Removed the data in {' and '.join(map(_shown, [state.root, *outside]))}.")
    remind(state, say)
    return 0


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
