"""The private folder of one local network: its secrets, logs, remembered ports and data."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.errors import AlreadyRunning, LocalError

# All that this package keeps in a state folder; nothing else in it is ever removed.
CONTENTS = ("run", "log", "postgres", "rabbitmq", "suggestions", "secrets", "memory.json")
CHECKOUT = Path(__file__).resolve().parents[2]
REACHABLE = Path("/var/tmp")  # noqa: S108 - only folders of our own with checked owner and mode are made there


@dataclass(frozen=True)
class Secrets:
    """What `make up` generates once per state folder; all hexadecimal, so it needs no quoting."""

    kodama: str
    postgres: str
    broker: str
    erlang_cookie: str
    instance: str  # marks the processes of this network in their environment


@dataclass(frozen=True)
class Home:
    """A folder for a server's data, and the account that owns it (None: the one that runs us)."""

    path: Path
    user: str | None


@dataclass(frozen=True)
class State:
    """The state folder, mode 0700. Make it with `open_state`."""

    root: Path

    @property
    def run(self) -> Path:
        """Sockets, configurations and the environment of a network while it runs."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """Logs, rotated by the supervisor."""
        return self.root / "log"

    @property
    def network_file(self) -> Path:
        """Where other commands find the addresses of the running network; absent when none runs."""
        return self.run / "network.env"

    @property
    def secrets_file(self) -> Path:
        """Where the secrets are; absent in a folder from which no network has run yet."""
        return self.root / "secrets"

    def secrets(self) -> Secrets:
        """The secrets of this folder, generated at the first call and kept in a file of mode 0600.

        Raises LocalError when the file is damaged.
        """
        if not self.secrets_file.exists():
            generated = Secrets(*(secrets.token_hex(32) for _ in range(5)))
            write_private(self.secrets_file, json.dumps(generated.__dict__, indent=1))
        return self._read_secrets()

    def instance(self) -> str | None:
        """The mark of this network's processes, or None where there are no secrets or they are damaged."""
        try:
            return self._read_secrets().instance
        except (FileNotFoundError, LocalError):
            return None

    def _read_secrets(self) -> Secrets:
        try:
            return Secrets(**json.loads(self.secrets_file.read_text()))
        except (ValueError, TypeError) as damage:
            raise LocalError(
                f"{self.secrets_file} is damaged ({damage}). The data of this network needs it: put it back, or start "
                f"afresh with 'make clean-data'."
            ) from damage

    def recall(self, name: str) -> Any:
        """What was remembered under `name`, or None."""
        return self._memory().get(name)

    def remember(self, name: str, value: Any) -> None:
        """Keep a JSON value under `name`; survives a kill at any moment."""
        write_private(self.root / "memory.json", json.dumps({**self._memory(), name: value}, indent=1))

    def _memory(self) -> dict[str, Any]:
        try:
            memory = json.loads((self.root / "memory.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}  # it only holds conveniences: ports to prefer, steps done
        return memory if isinstance(memory, dict) else {}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one network. Raises AlreadyRunning, naming pid and address of the holder."""
        path = self.root / "lock"
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self._sentence_of(lock.read())) from None
            lock.truncate(0)
            self.announce({"pid": os.getpid()})
            try:
                yield
            finally:
                # Emptied, never removed: a second process may already have the file open.
                lock.truncate(0)

    def announce(self, facts: Mapping[str, Any]) -> None:
        """Write into the lock file who holds it, for the sentence of a second `make up`."""
        (self.root / "lock").write_text(json.dumps(dict(facts)))

    def _sentence_of(self, text: str) -> str:
        try:
            holder = json.loads(text)
        except ValueError:
            holder = {}  # it was locked a moment ago and has not written yet
        where = f" at {holder['address']}" if "address" in holder else ""
        return (
            f"A network of {self.root} already runs{where} (pid {holder.get('pid', 'unknown')}). "
            f"Stop it with Ctrl-C there, or choose another folder with KODAMA_STATE_DIR."
        )

    def server_home(self, server: str) -> Home:
        """A folder for the data of `server`, which refuses to run as root; see `reachable_home`."""
        return reachable_home(self.root / server)

    def found_home(self, server: str) -> Path | None:
        """The folder that `server_home` has made, or None: this makes nothing. Raises LocalError as that does."""
        path = self.home_path(server)
        return self.server_home(server).path if path.exists() or path.is_symlink() else None

    def home_path(self, server: str) -> Path:
        """Where `server_home` is, or would be; whoever may be there has not been looked at."""
        return _home_path(self.root / server)

    def clean(self) -> list[Path]:
        """Remove data, logs and secrets, not fetched software nor data that was set aside (deploy.local.earlier).

        Returns the folders outside of this one that were removed. Raises AlreadyRunning while a network runs.
        """
        with self.locked():
            outside = sorted(REACHABLE.glob(f"kodama-{_fingerprint(self.root)}-*"))
            for server_home in outside:
                _remove_home(server_home)
            for entry in map(self.root.joinpath, CONTENTS):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
        return outside


def open_state(environ: Mapping[str, str] = os.environ) -> State:
    """The state folder (KODAMA_STATE_DIR, else `.kodama` of this checkout), made with mode 0700.

    Raises LocalError when it belongs to somebody else, holds something else, or cannot be made.
    """
    chosen = environ.get("KODAMA_STATE_DIR", "")
    root = Path(chosen or CHECKOUT / ".kodama").expanduser().absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        if chosen and any(root.iterdir()) and not (root / "lock").exists():
            raise LocalError(f"KODAMA_STATE_DIR is {root}, which holds other files; name an empty or a new folder.")
        if root.stat().st_uid != os.geteuid():
            raise LocalError(f"{root} belongs to another user; choose a folder of your own with KODAMA_STATE_DIR.")
        root.chmod(0o700)
        state = State(root.resolve())
        for folder in (state.run, state.log):
            folder.mkdir(mode=0o700, exist_ok=True)
        (root / "lock").touch(mode=0o600)  # also the mark by which we know the folder as ours
    except OSError as problem:
        raise LocalError(f"The state folder {root} cannot be used: {problem}.") from problem
    return state


def software_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where fetched software is kept (KODAMA_CACHE_DIR, else `.kodama/software` of this checkout).

    Shared by `make up` and the tests, and kept by `State.clean`.
    """
    return Path(environ.get("KODAMA_CACHE_DIR") or CHECKOUT / ".kodama" / "software").expanduser().absolute()


def reachable_home(wanted: Path) -> Home:
    """A folder for a server that refuses to run as root.

    For anyone else that is `wanted` itself. For root it is a folder under /var/tmp that belongs to an
    unprivileged account, because that account may not be able to reach `wanted` (a checkout below /root,
    say). Raises LocalError when somebody else has put something in its place.
    """
    if os.geteuid() != 0:
        wanted.mkdir(parents=True, mode=0o700, exist_ok=True)
        return Home(wanted, None)
    account = unprivileged_account()
    home = _home_path(wanted)
    try:
        home.mkdir(mode=0o700)
        os.chown(home, account.pw_uid, account.pw_gid)
    except FileExistsError:
        found = home.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (0, account.pw_uid):
            raise LocalError(f"{home} is not ours although it has our name; remove it and start again.") from None
        os.chown(home, account.pw_uid, account.pw_gid)  # a run killed between mkdir and chown
        home.chmod(0o700)
    return Home(home, account.pw_name)


def remove_home(home: Home) -> None:
    """Remove a folder made by `reachable_home`, with all that is in it."""
    _remove_home(home.path)


def unprivileged_account() -> pwd.struct_passwd:
    """The account under which root runs what refuses root: `postgres` where it exists, else `nobody`."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LocalError("There is neither an account 'postgres' nor 'nobody'; run Kodama as an ordinary user.")


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in one step: a reader or a kill finds the old text or the new."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _home_path(wanted: Path) -> Path:
    """The path of the folder that `reachable_home` makes."""
    if os.geteuid() != 0:
        return wanted
    return REACHABLE / f"kodama-{_fingerprint(wanted.parent)}-{wanted.name}"


def _remove_home(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=False)


def _fingerprint(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
