"""The schemas that are checked in for readers are what the migrations make."""

from pathlib import Path

import psycopg
import pytest

from chassis.settings import SERVICES
from deploy import schema
from deploy.local.postgres import Postgres

MAJOR = 18  # what the pinned wheel brings; another major's pg_dump words some things differently


@pytest.fixture
def wheels_server(postgres_server: Postgres) -> Postgres:
    with psycopg.connect(postgres_server.url) as conn:
        if conn.info.server_version // 10_000 != MAJOR:
            pytest.skip(f"the schemas are generated with PostgreSQL {MAJOR}")
    return postgres_server


@pytest.mark.parametrize("service", SERVICES)
def test_the_checked_in_schema_is_what_the_migrations_make(
    service: str, wheels_server: Postgres, template_database: str
) -> None:
    path = schema.schema_file(service)
    assert path.exists(), "run python -m deploy.schema --write"
    made = schema.dump(wheels_server, template_database, service)
    assert path.read_text("utf-8") == made, "run python -m deploy.schema --write"


def test_a_stale_or_missing_file_is_noticed(
    wheels_server: Postgres, template_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "schema_file", lambda service: tmp_path / f"{service}.sql")
    stale = schema.stale_files(wheels_server, template_database)
    assert [path.stem for path in stale] == list(SERVICES)
    for path, text in stale.items():
        path.write_text(text, "utf-8")
    assert schema.stale_files(wheels_server, template_database) == {}
    (tmp_path / "status.sql").write_text(stale[tmp_path / "status.sql"] + "\n", "utf-8")
    assert list(schema.stale_files(wheels_server, template_database)) == [tmp_path / "status.sql"]


def test_a_schema_has_nothing_of_the_machine_or_the_day(wheels_server: Postgres, template_database: str) -> None:
    made = schema.dump(wheels_server, template_database, "status")
    assert made == schema.dump(wheels_server, template_database, "status")
    assert "CREATE TABLE statuses (" in made
    assert "applied_migrations" not in made
    for noise in ("Dumped", "restrict", "\nSET ", "OWNER", "GRANT", wheels_server.password):
        assert noise not in made
