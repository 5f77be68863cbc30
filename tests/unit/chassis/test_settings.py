"""Settings: what is refused, with which sentence, and what is derived."""

import os

import pytest

from chassis.settings import SERVICES, Settings, load_settings, role_name

SECRET = "0123456789abcdef0123456789abcdef"
PASSWORD = "hunter2-do-not-echo"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("KODAMA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KODAMA_SECRET", SECRET)


def refusal(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The sentences of a process that refuses to start."""
    with pytest.raises(SystemExit) as ended:
        load_settings()
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


DATABASE_FAULT = "must be postgresql://user:password@host:port/database"
BROKER_FAULT = "must be amqp://user:password@host:port/vhost"
HTTP_FAULT = "must be an http:// or https:// address without a path"
ADDRESS_FAULT = "must be host:port"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SECRET", PASSWORD, "at least 32 characters"),
        ("DATABASE_URL", f"mysql://root:{PASSWORD}@host/kodama", DATABASE_FAULT),
        ("DATABASE_URL", f"postgresql://root:{PASSWORD}/2@host/kodama", DATABASE_FAULT),
        ("DATABASE_URL", f"postgresql://root:{PASSWORD}\u2100@host/kodama", DATABASE_FAULT),
        ("DATABASE_URL", f"postgresql://root:{PASSWORD}@[::1/kodama", DATABASE_FAULT),
        ("DATABASE_URL", f"postgresql://root:{PASSWORD}@host:70000/kodama", DATABASE_FAULT),
        ("DATABASE_URL", f"postgresql://root:{PASSWORD}@one:5432,two:70000/kodama", DATABASE_FAULT),
        *((f"{service.upper()}_DATABASE_URL", f"sqlite:///{PASSWORD}", DATABASE_FAULT) for service in SERVICES),
        ("BROKER_URL", f"redis://:{PASSWORD}@host/", BROKER_FAULT),
        ("BROKER_URL", f"amqp://kodama:{PASSWORD}\u2100@host/", BROKER_FAULT),
        ("BROKER_URL", f"amqp://kodama:{PASSWORD}@one:5672,two:70000/", BROKER_FAULT),
        ("BROKER_URL", f"amqp://kodama:{PASSWORD}@one/;redis://:{PASSWORD}@two/", BROKER_FAULT),
        ("BROKER_URL", f"pgmq://kodama:{PASSWORD}@one,two/kodama", BROKER_FAULT),
        ("PUBLIC_URL", "ftp://kodama.example", HTTP_FAULT),
        ("PUBLIC_URL", "https://", HTTP_FAULT),
        ("SMTP_URL", f"http://user:{PASSWORD}@mail.example", "must be smtp://"),
        ("SMTP_URL", "smtp://", "must be smtp://"),
        ("SMTP_URL", "smtp://mail.example:99999", "must be smtp://"),
        ("MAIL_FROM", "Kodama <kodama@mail.example>", "must be an e-mail address"),
        ("MAIL_FROM", "kodama@mail.example\nBcc: x@mail.example", "must be an e-mail address"),
        ("PUBLIC_URL", "https://kodama.example/network", HTTP_FAULT),
        ("PUBLIC_URL", "https://kodama.example?a=b", HTTP_FAULT),
        *((f"{service.upper()}_ADDRESS", "127.0.0.1", ADDRESS_FAULT) for service in (*SERVICES, "gateway")),
        ("GATEWAY_ADDRESS", "http://127.0.0.1:80", ADDRESS_FAULT),
        ("GATEWAY_ADDRESS", "127.0.0.1:65536", ADDRESS_FAULT),
        ("TITLE", "k" * 101, "at most 100 characters"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("LOG_FORMAT", "xml", "'json' or 'console'"),
        ("DATABASE_POOL_SIZE", "0", "greater than or equal to 1"),
        ("DATABASE_POOL_SIZE", "201", "less than or equal to 200"),
        ("DATABASE_POOL_SIZE", "many", "valid integer"),
        ("DATABASE_POOL_SIZE", "", "valid integer"),
        ("SHUTDOWN_GRACE_SECONDS", "-0.1", "greater than or equal to 0"),
        ("SHUTDOWN_GRACE_SECONDS", "nan", "than or equal to"),
        ("SHUTDOWN_GRACE_SECONDS", "inf", "than or equal to"),
        ("RELAY_LEASE_SECONDS", "4", "greater than or equal to 5"),
        ("RELAY_LEASE_SECONDS", "3601", "less than or equal to 3600"),
        ("RELAY_MAX_ATTEMPTS", "0", "greater than or equal to 1"),
        ("RELAY_MAX_ATTEMPTS", "1001", "less than or equal to 1000"),
        ("MAX_FRIENDS", "0", "greater than or equal to 1"),
        ("MAX_FRIENDS", "5001", "less than or equal to 5000"),
        ("REGISTRATIONS_OPEN", "perhaps", "valid boolean"),
        ("TIMELINE_DORMANT_DAYS", "1", "greater than or equal to 2"),
        ("TIMELINE_DORMANT_DAYS", "3651", "less than or equal to 3650"),
        ("TIMELINE_OPEN_WORK_MAX_AGE_MS", "-1", "greater than or equal to 0"),
        ("TIMELINE_OPEN_WORK_MAX_AGE_MS", "1001", "less than or equal to 1000"),
    ],
)
def test_a_bad_value_is_refused_with_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"KODAMA_{name}", value)
    (line,) = refusal(capsys)
    assert line.startswith(f"kodama: KODAMA_{name}: ")
    assert sentence in line
    assert PASSWORD not in line


def test_a_missing_secret_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("KODAMA_SECRET")
    assert refusal(capsys) == ["kodama: KODAMA_SECRET: Field required"]


def test_every_fault_gets_a_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KODAMA_SECRET", PASSWORD)
    monkeypatch.setenv("KODAMA_BROKER_URL", f"redis://:{PASSWORD}@host")
    monkeypatch.setenv("KODAMA_LOG_LEVEL", "loud")
    lines = refusal(capsys)
    assert [line.split(": ")[1] for line in lines] == ["KODAMA_BROKER_URL", "KODAMA_SECRET", "KODAMA_LOG_LEVEL"]
    assert PASSWORD not in "\n".join(lines)


def test_defaults_and_limits_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().database_pool_size == 8
    monkeypatch.setenv("KODAMA_RELAY_LEASE_SECONDS", "5")
    monkeypatch.setenv("KODAMA_TITLE", "k" * 100)
    monkeypatch.setenv("KODAMA_GATEWAY_ADDRESS", "0.0.0.0:65535")
    monkeypatch.setenv("KODAMA_PUBLIC_URL", "https://kodama.example/")
    settings = load_settings()
    assert (settings.relay_lease_seconds, settings.base_url()) == (5, "https://kodama.example")


def test_settings_are_frozen_and_their_repr_tells_no_secret() -> None:
    settings = Settings(
        secret=SECRET,
        database_url=f"postgresql://root:{PASSWORD}@host/kodama",
        status_database_url=f"postgresql://root:{PASSWORD}@host/status",
        broker_url=f"amqp://kodama:{PASSWORD}@host/",
    )
    with pytest.raises(ValueError, match="frozen"):
        settings.title = "other"  # type: ignore[misc]  # on purpose
    assert SECRET not in f"{settings!r} {settings!s}"
    assert PASSWORD not in f"{settings!r} {settings!s}"


def test_a_service_gets_the_common_database_with_its_own_role_and_password() -> None:
    settings = Settings(
        secret=SECRET, database_url="postgresql://root:p%40ss%2Fword@db.example:5433/my%20network?sslmode=require"
    )
    password = settings.derive("database/status")
    assert (
        settings.service_database_url("status")
        == f"postgresql://kodama_status:{password}@db.example:5433/my%20network?sslmode=require"
    )


@pytest.mark.parametrize("login", ["", "root@", "root:p%40ss@", "root:p@ss@"])
def test_the_administrators_login_never_reaches_a_service(login: str) -> None:
    settings = Settings(secret=SECRET, database_url=f"postgresql://{login}host/kodama")
    password = settings.derive("database/blog")
    assert settings.service_database_url("blog") == f"postgresql://kodama_blog:{password}@host/kodama"


def test_a_services_own_database_url_wins() -> None:
    own = "postgresql://other:s%3Acret@elsewhere/status?connect_timeout=3"
    settings = Settings(secret=SECRET, database_url="postgresql://root@host/kodama", status_database_url=own)
    assert settings.service_database_url("status") == own
    assert role_name("blog") in settings.service_database_url("blog")


def test_what_is_not_configured_is_named() -> None:
    settings = Settings(secret=SECRET)
    with pytest.raises(ValueError, match="set KODAMA_DATABASE_URL, or KODAMA_SOCIAL_GRAPH_DATABASE_URL"):
        settings.service_database_url("social_graph")
    with pytest.raises(ValueError, match="set KODAMA_BROKER_URL"):
        settings.require_broker_url()
    for lookup in (settings.service_database_url, settings.address):
        with pytest.raises(KeyError, match="gateway"):
            lookup("gateway")


def test_derived_keys_differ_by_label_and_by_secret() -> None:
    settings, other = Settings(secret=SECRET), Settings(secret=SECRET.upper())
    labels = ["rpc", "rpc ", "cookies", *(f"database/{service}" for service in SERVICES)]
    keys = {each.derive(label) for each in (settings, other) for label in labels}
    assert len(keys) == 2 * len(labels)
    assert settings.derive("rpc") == Settings(secret=SECRET).derive("rpc")
    assert all(len(key) == 64 and SECRET not in key for key in keys)


def test_of_several_hosts_the_one_that_takes_changes_is_meant() -> None:
    settings = Settings(
        secret=SECRET, database_url="postgresql://root:p@one:5432,two,[::1]:5433/kodama?sslmode=require"
    )
    password = settings.derive("database/blog")
    assert settings.service_database_url("blog") == (
        f"postgresql://kodama_blog:{password}@one:5432,two,[::1]:5433/kodama?sslmode=require&target_session_attrs=read-write"
    )
    told = "postgresql://root:p@one,two/kodama?target_session_attrs=any"
    assert Settings(secret=SECRET, database_url=told).database_url == told
    alone = "postgresql://root:p@one/kodama"
    assert Settings(secret=SECRET, database_url=alone).database_url == alone


def test_a_broker_can_have_several_nodes() -> None:
    url = Settings(secret=SECRET, broker_url="amqp://kodama:a%2Cb@one:5672,two,[::1]:5673/kodama").broker_url
    login = "amqp://kodama:a%2Cb"
    assert url == f"{login}@one:5672/kodama;{login}@two/kodama;{login}@[::1]:5673/kodama"
    assert Settings(secret=SECRET, broker_url=url).broker_url == url
