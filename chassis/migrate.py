"""Migrations: numbered SQL files, forward only, each applied once in a transaction of its own.

A service's schema holds, in `applied_migrations`, the name and checksum of every file. The files of the ground (ids, ledger, idempotency
keys) come first, under names that start with `chassis/`. An advisory lock keeps two runs apart; a file that was changed after it
was applied is refused.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from chassis.settings import SERVICES, Settings, role_name
from chassis.topology import PRODUCERS

ROOT = Path(__file__).parent.parent
LOCK_KEY = 0x6B6F64616D61  # "kodama"
WAIT_SECONDS = 300
MAX_PAUSE_SECONDS = 5.0
PASSING = ("starting up", "shutting down", "recovery", "too many", "connection slots")
"""What a server says that lets nobody in for a while."""


class MigrationError(Exception):
    """A migration cannot be applied; the message says which and why."""


@dataclass(frozen=True)
class Migration:
    """One SQL file."""

    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def list_migrations(service: str) -> list[Migration]:
    """Return a service's migrations in the order in which they apply."""
    ground = [ROOT / "chassis/migrations/0001_ids.sql"]
    if service in PRODUCERS:
        ground.append(ROOT / "chassis/migrations/0002_ledger.sql")
    ground.append(ROOT / "chassis/migrations/0003_claims.sql")
    ground.append(ROOT / "chassis/migrations/0004_chores.sql")
    if service in PRODUCERS:
        ground.append(ROOT / "chassis/migrations/0005_group_ledger_rows.sql")
    ground.append(ROOT / "chassis/migrations/0006_ids_never_go_back.sql")
    if service in PRODUCERS:
        ground.append(ROOT / "chassis/migrations/0007_publications_and_failures.sql")
        ground.append(ROOT / "chassis/migrations/0009_last_failure.sql")
        ground.append(ROOT / "chassis/migrations/0010_claims_in_order.sql")
    own = sorted((ROOT / "services" / service / "migrations").glob("[0-9][0-9][0-9][0-9]_*.sql"))
    return [Migration(f"{path.parent.parent.name}/{path.name}", path.read_text("utf-8")) for path in (*ground, *own)]


def migrate(
    settings: Settings,
    services: Sequence[str] = SERVICES,
    say: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Bring the schemas of these services up to date and return how many files were applied.

    With KODAMA_DATABASE_URL (a role that may create roles) each schema and its role are made too; a service with a database URL
    of its own migrates as that URL's role, which must be allowed to create its schema; the role's defaults in that database
    become the service's, so that one role cannot serve two services in one database.

    A database that is busy or not up yet is waited for, for five minutes; `tell` is told once.

    Raises MigrationError for a changed file or a failing statement, psycopg.OperationalError where the database does not answer.
    """
    applied = 0
    for service in services:
        own_url = bool(getattr(settings, f"{service}_database_url"))
        if own_url:
            url = settings.service_database_url(service)
            role = None
        elif settings.database_url:
            url = settings.database_url
            role = role_name(service)
        else:
            raise MigrationError(f"{service}: no database; set KODAMA_DATABASE_URL")
        with _connect(url, tell) as conn:
            conn.execute(
                "SET statement_timeout = 0; SET lock_timeout = 0"
            )  # what the services have is not for migrations
            conn.execute("SELECT pg_advisory_lock(%s)", (LOCK_KEY,))
            if role:
                password = unquote(urlsplit(settings.service_database_url(service)).password or "")
                _ensure_role(conn, service, role, password)
            else:
                _adopt_role(conn, service)
            for name in _apply(conn, service, role):
                applied += 1
                say(f"{service}: applied {name}")
    return applied


def _connect(url: str, tell: Callable[[str], None]) -> psycopg.Connection:
    """Connect, also where it takes a while. Raises psycopg.OperationalError."""
    deadline, pause = time.monotonic() + WAIT_SECONDS, 0.2
    while True:
        try:
            return psycopg.connect(url, autocommit=True, connect_timeout=20, application_name="kodama-migrate")
        except psycopg.OperationalError as error:
            if not _passes(error) or time.monotonic() > deadline:
                raise
            if pause < 1:
                tell(f"The database does not answer yet; trying again … ({str(error).strip().splitlines()[-1]})")
            time.sleep(pause)
            pause = min(pause * 5, MAX_PAUSE_SECONDS)


def _passes(error: psycopg.OperationalError) -> bool:
    """Whether waiting can help: not where the server has understood and refuses."""
    said = str(error)
    return "FATAL" not in said or any(state in said for state in PASSING)


def _ensure_role(conn: psycopg.Connection, service: str, role: str, password: str) -> None:
    exists = conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = sql.SQL("ALTER" if exists else "CREATE")
    conn.execute(
        sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {}").format(
            verb, sql.Identifier(role), sql.Literal(password)
        )
    )
    _set_defaults(conn, sql.Identifier(role), service)


def _adopt_role(conn: psycopg.Connection, service: str) -> None:
    """Prepare the role of a service's own URL. Raises MigrationError where it serves another service in this database."""
    row = conn.execute("SELECT current_database(), current_setting('search_path')").fetchone()
    assert row is not None
    database, search_path = row
    if search_path != service and search_path in SERVICES:
        raise MigrationError(
            f"{service}: its database URL is that of {search_path}; give it a role or a database of its own"
        )
    _set_defaults(conn, sql.SQL("CURRENT_USER IN DATABASE {}").format(sql.Identifier(database)), service)


def _set_defaults(conn: psycopg.Connection, whose: sql.Composable, service: str) -> None:
    for name, value in (
        ("search_path", service),
        ("statement_timeout", "5s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
    ):
        conn.execute(sql.SQL("ALTER ROLE {} SET {} = {}").format(whose, sql.Identifier(name), sql.Literal(value)))


def _apply(conn: psycopg.Connection, service: str, role: str | None) -> Iterator[str]:
    schema = sql.Identifier(service)
    conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
    if role:
        conn.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, sql.Identifier(role)))
    conn.execute(sql.SQL("SET search_path = {}").format(schema))
    conn.execute(
        "CREATE TABLE IF NOT EXISTS applied_migrations ("
        " name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    known: dict[str, str] = dict(conn.execute("SELECT name, checksum FROM applied_migrations").fetchall())
    for migration in list_migrations(service):
        if migration.name in known:
            if known[migration.name] != migration.checksum:
                raise MigrationError(
                    f"{service}: {migration.name} was changed after it had been applied; write a new migration instead"
                )
            continue
        _apply_one(conn, service, migration)
        yield migration.name
    if role:
        _grant(conn, schema, sql.Identifier(role))


def _apply_one(conn: psycopg.Connection, service: str, migration: Migration) -> None:
    try:
        with conn.transaction():
            conn.execute(migration.text.encode())
            conn.execute(
                "INSERT INTO applied_migrations (name, checksum) VALUES (%s, %s)",
                (migration.name, migration.checksum),
            )
    except psycopg.Error as error:
        raise MigrationError(f"{service}: {migration.name}: {error}") from error


def _grant(conn: psycopg.Connection, schema: sql.Identifier, role: sql.Identifier) -> None:
    for statement in (
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {} TO {}",
        "GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {} TO {}",
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {} TO {}",
    ):
        conn.execute(sql.SQL(statement).format(schema, role))
    conn.execute(sql.SQL("REVOKE INSERT, UPDATE, DELETE ON applied_migrations FROM {}").format(role))
