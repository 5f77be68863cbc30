"""Migrations: once, in order, whole or not at all, and with roles that see only their own schema."""

import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from chassis import migrate as migrate_module
from chassis.database import connection, make_pool
from chassis.migrate import MigrationError, list_migrations, migrate
from chassis.settings import SERVICES, Settings
from chassis.topology import PRODUCERS
from tests.conftest import SECRET


@pytest.fixture
def database(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"kodama_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def empty(database: str) -> Settings:
    """Settings with an empty database. The secret is that of all tests: roles belong to the whole server."""
    return Settings(database_url=database, secret=SECRET)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the status service's migrations in a copy of the tree, to be added to and changed."""
    shutil.copytree(migrate_module.ROOT / "chassis/migrations", tmp_path / "chassis/migrations")
    folder = tmp_path / "services/status/migrations"
    shutil.copytree(migrate_module.ROOT / "services/status/migrations", folder)
    monkeypatch.setattr(migrate_module, "ROOT", tmp_path)
    return folder


def query(url: str, text: str, *parameters: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(text.encode(), parameters).fetchall()


def applied(settings: Settings, service: str = "status") -> list[str]:
    text = f"SELECT name FROM {service}.applied_migrations ORDER BY applied_at, name"
    return [name for (name,) in query(settings.database_url, text)]


def test_everything_applies_once(empty: Settings) -> None:
    said: list[str] = []
    expected = [migration.name for service in SERVICES for migration in list_migrations(service)]
    assert migrate(empty, say=said.append) == len(expected)
    assert [line.split(" applied ")[1] for line in said] == expected
    before = query(empty.database_url, "SELECT * FROM status.applied_migrations ORDER BY name")
    assert migrate(empty, say=said.append) == 0
    assert len(said) == len(expected)
    assert query(empty.database_url, "SELECT * FROM status.applied_migrations ORDER BY name") == before


@pytest.mark.parametrize("service", SERVICES)
def test_the_ground_comes_first_and_ledgers_where_work_is_produced(service: str) -> None:
    names = [migration.name for migration in list_migrations(service)]
    ledger = ["chassis/0002_ledger.sql"] if service in PRODUCERS else []
    shared = ["chassis/0005_group_ledger_rows.sql"] if service in PRODUCERS else []
    counts = [
        "chassis/0007_publications_and_failures.sql",
        "chassis/0009_last_failure.sql",
        "chassis/0010_claims_in_order.sql",
    ]
    ground = ["chassis/0001_ids.sql", *ledger, "chassis/0003_claims.sql", "chassis/0004_chores.sql", *shared]
    ground += ["chassis/0006_ids_never_go_back.sql", *(counts if service in PRODUCERS else [])]
    own = names[len(ground) :]
    assert names[: len(ground)] == ground
    assert own == sorted(own)
    assert [name for name in own if not name.startswith(f"{service}/")] == []
    numbers = [name.split("/")[1][:4] for name in own]
    assert numbers == [f"{number:04}" for number in range(1, len(own) + 1)]


def test_a_new_file_is_applied_to_what_is_there(empty: Settings, tree: Path) -> None:
    migrate(empty, ["status"])
    (tree / "0009_add.sql").write_text("CREATE TABLE added (id bigint); INSERT INTO added VALUES (1);")
    assert migrate(empty, ["status"]) == 1
    assert query(empty.service_database_url("status"), "SELECT id FROM added") == [(1,)]
    assert applied(empty)[-1] == "status/0009_add.sql"


def test_a_changed_file_is_refused_by_its_name(empty: Settings, tree: Path) -> None:
    migrate(empty, ["status"])
    changed = tree / "0001_create_statuses.sql"
    changed.write_text(changed.read_text() + "-- a word more\n")
    (tree / "0009_add.sql").write_text("CREATE TABLE added ();")
    with pytest.raises(MigrationError, match=r"status: status/0001_create_statuses\.sql was changed"):
        migrate(empty, ["status"])
    assert query(empty.database_url, "SELECT to_regclass('status.added')") == [(None,)]


@pytest.mark.parametrize(
    "failing",
    [
        "CREATE TABLE half (); INSERT INTO half SELECT 1 / 0;",
        "CREATE TABLE half (); ALTER TABLE applied_migrations RENAME TO elsewhere;",  # only noting it fails
    ],
)
def test_a_failing_file_leaves_nothing_and_those_before_it_stay(failing: str, empty: Settings, tree: Path) -> None:
    (tree / "0008_good.sql").write_text("CREATE TABLE good ();")
    (tree / "0009_bad.sql").write_text(failing)
    with pytest.raises(MigrationError, match=r"status: status/0009_bad\.sql: .*"):
        migrate(empty, ["status"])
    assert query(empty.database_url, "SELECT to_regclass('status.good')::text, to_regclass('status.half')") == [
        ("status.good", None)
    ]
    assert applied(empty)[-1] == "status/0008_good.sql"
    (tree / "0009_bad.sql").write_text("CREATE TABLE half ();")
    assert migrate(empty, ["status"]) == 1


def test_two_runs_at_once_apply_everything_once(empty: Settings) -> None:
    counts: list[int] = []
    errors: list[Exception] = []
    barrier = threading.Barrier(2)

    def run() -> None:
        barrier.wait()
        try:
            counts.append(migrate(empty))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(counts) == sum(len(list_migrations(service)) for service in SERVICES)


def test_services_log_in_as_roles_with_limits_and_no_powers(settings: Settings) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "search_path")
    limits = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    powers = (
        "SELECT rolname, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    for service in SERVICES:
        url = settings.service_database_url(service)
        assert query(url, limits) == [("5s", "2s", "10s", service)]
        assert query(url, powers) == [(f"kodama_{service}", False, False, False, False)]


def test_another_networks_password_does_not_open(settings: Settings) -> None:
    other = settings.model_copy(update={"secret": SECRET.upper()})
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(other.service_database_url("status"))


def test_no_service_reads_anothers_schema(settings: Settings) -> None:
    tables: list[tuple[str, str]] = query(
        settings.database_url,
        "SELECT schemaname, format('%%I.%%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY(%s)",
        list(SERVICES),
    )
    assert {schema for schema, _ in tables} == set(SERVICES)
    for reader in SERVICES:
        with psycopg.connect(settings.service_database_url(reader), autocommit=True) as conn:
            for table in (table for schema, table in tables if schema != reader):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(f"SELECT FROM {table}".encode())


FORBIDDEN = (
    "CREATE TABLE extra ()",
    "DROP FUNCTION next_id",
    "DELETE FROM applied_migrations",
    "UPDATE applied_migrations SET checksum = ''",
    "INSERT INTO applied_migrations VALUES ('x', 'y')",
)


def test_services_change_rows_but_neither_tables_nor_their_history(settings: Settings) -> None:
    for service in SERVICES:
        with psycopg.connect(settings.service_database_url(service), autocommit=True) as conn:
            conn.execute("SELECT next_id(1)")
            conn.execute("SELECT FROM applied_migrations")
            for statement in FORBIDDEN:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(statement.encode())


async def test_a_service_with_a_database_of_its_own_works_as_that_urls_role(database: str) -> None:
    role = f"owner_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'p@ss'").format(sql.Identifier(role)))
        conn.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(urlsplit(database).path[1:]), sql.Identifier(role)
            )
        )
    host = urlsplit(database).netloc.rpartition("@")[2]
    own = urlsplit(database)._replace(netloc=f"{role}:p%40ss@{host}").geturl()
    settings = Settings(status_database_url=own, secret=SECRET)
    try:
        assert migrate(settings, ["status"]) == len(list_migrations("status"))
        assert migrate(settings, ["status"]) == 0
        async with (
            make_pool(settings.service_database_url("status"), size=1, application="test") as pool,
            connection(pool) as conn,
        ):
            cursor = await conn.execute("SELECT count(*), current_setting('statement_timeout') FROM statuses")
            assert await cursor.fetchone() == (0, "5s")
        shared = settings.model_copy(update={"blog_database_url": own})
        with pytest.raises(MigrationError, match=r"blog: .*a role or a database of its own"):
            migrate(shared, ["blog"])
    finally:
        with psycopg.connect(database, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(role)))
            conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_no_database_is_a_sentence() -> None:
    with pytest.raises(MigrationError, match="account: no database; set KODAMA_DATABASE_URL"):
        migrate(Settings(secret=SECRET))
