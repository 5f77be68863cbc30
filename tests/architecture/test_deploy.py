"""What operators run is the network that the code describes: every service, every queue, and nothing that anybody could abuse.

No container engine is needed: the files are read as data and checked against the topology, and against the published schema.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from chassis import topology
from chassis.settings import PREFIX, SERVICES, Settings

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "deploy/containers"
SYSTEMD = ROOT / "deploy/systemd"
COMPOSE = CONTAINERS / "compose.yaml"
DOCKERFILE = CONTAINERS / "Dockerfile"
SERVED = (*SERVICES, "gateway")

SHARING = ("suggestions", "suggestions.live")
SNAPSHOTS = [f"suggestions:{Settings.model_fields['suggestions_folder'].default}"]
"""What the workers of these queues share, and nobody else has: a folder of snapshots that can be made anew."""

Role = Mapping[str, Any]


@pytest.fixture(scope="module")
def compose() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = YAML(typ="safe").load(COMPOSE)
    return loaded


@pytest.fixture(scope="module")
def roles(compose: Mapping[str, Any]) -> Mapping[str, Role]:
    """The services of the compose file that run our image."""
    return {name: each for name, each in compose["services"].items() if each["image"].startswith("kodama:")}


def _commands(roles: Mapping[str, Role], verb: str) -> dict[str, Role]:
    """What follows a verb of `kodama` (a service, a queue) → the role that does it."""
    return {role["command"][1]: role for role in roles.values() if role["command"][0] == verb}


def _seconds(duration: str) -> int:
    assert duration.endswith("s"), duration
    return int(duration.removesuffix("s"))


def _variables(path: Path) -> dict[str, str]:
    """Read the assignments of an env file; those that are commented out are not any."""
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_compose_file_follows_the_published_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# The network that compose runs is the network of the code


def test_every_queue_has_a_worker_and_no_worker_a_queue_that_is_none(roles: Mapping[str, Role]) -> None:
    assert sorted(_commands(roles, "worker")) == sorted(topology.QUEUES)


def test_every_service_is_served(roles: Mapping[str, Role]) -> None:
    assert sorted(_commands(roles, "serve")) == sorted(SERVED)


def test_there_is_one_relay_one_migration_and_nothing_unknown(roles: Mapping[str, Role]) -> None:
    verbs = sorted(role["command"][0] for role in roles.values())
    assert verbs == sorted(["migrate", "relay", *["serve"] * len(SERVED), *["worker"] * len(topology.QUEUES)])


def test_nothing_starts_before_the_schemas_are_there(roles: Mapping[str, Role]) -> None:
    for name, role in roles.items():
        if name not in ("migrate", "gateway"):  # the gateway has no database
            assert role["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}, name


def test_services_listen_where_the_others_call_them(compose: Mapping[str, Any], roles: Mapping[str, Role]) -> None:
    names = {
        service: name for name, role in roles.items() for service in SERVED if role["command"] == ["serve", service]
    }
    for service in SERVICES:
        variable = f"{PREFIX}{service.upper()}_ADDRESS"
        host, port = compose["x-addresses"][variable].split(":")
        assert host == names[service]
        assert roles[host]["environment"][variable] == f"0.0.0.0:{port}"
    gateway = roles["gateway"]
    assert gateway["environment"]["KODAMA_GATEWAY_ADDRESS"] == f"0.0.0.0:{gateway['ports'][0].rsplit(':', 1)[1]}"


def test_every_variable_is_one_that_the_code_reads(roles: Mapping[str, Role]) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name, role in roles.items():
        assert set(role["environment"]) <= known, name


def test_every_service_has_a_probe_of_its_own(roles: Mapping[str, Role]) -> None:
    for service, role in _commands(roles, "serve").items():
        assert role["healthcheck"]["test"] == ["CMD", "python", "-m", "services.cli.health_command", service]


def test_workers_are_given_the_time_that_a_task_may_take(roles: Mapping[str, Role]) -> None:
    for queue, role in _commands(roles, "worker").items():
        longest = max(task.time_limit_seconds for task in topology.TASKS.values() if task.queue == queue)
        assert _seconds(role["stop_grace_period"]) >= max(longest, 40), queue


# Nothing that anybody could abuse


def test_images_are_pinned(compose: Mapping[str, Any]) -> None:
    images = {role["image"] for role in compose["services"].values()}
    images |= set(re.findall(r"^FROM (\S+)", DOCKERFILE.read_text("utf-8"), re.MULTILINE))
    assert {image.split(":")[0] for image in images} == {"kodama", "postgres", "python", "rabbitmq"}
    for image in images:
        assert re.fullmatch(r"[a-z]+:[0-9]+\.[0-9][\w.-]*", image), f"{image}: give it a version"


def test_our_processes_can_do_little(roles: Mapping[str, Role]) -> None:
    for name, role in roles.items():
        assert role["read_only"] is True, name
        assert role["cap_drop"] == ["ALL"], name
        assert "cap_add" not in role, name
        assert "no-new-privileges:true" in role["security_opt"], name
        assert role.get("volumes", []) == (SNAPSHOTS if role["command"][-1] in SHARING else []), name
        assert "user" not in role, f"{name}: the image says who"


def test_every_container_is_bounded(compose: Mapping[str, Any]) -> None:
    for name, role in compose["services"].items():
        assert re.fullmatch(r"[0-9]+[mg]", role["mem_limit"]), name
        assert "max-size" in role["logging"]["options"], name
        assert "privileged" not in role, name
        assert "network_mode" not in role, name
        assert role["cap_drop"] == ["ALL"], name


def test_only_the_gateway_can_be_reached_and_only_from_this_machine(compose: Mapping[str, Any]) -> None:
    open_networks = {name for name, network in compose["networks"].items() if not (network or {}).get("internal")}
    assert open_networks == {"edge"}
    for name, role in compose["services"].items():
        assert ("ports" in role) == (name == "gateway")
        assert ("edge" in role["networks"]) == (name == "gateway"), name
    assert compose["services"]["gateway"]["ports"] == ["127.0.0.1:8420:8420"]


def test_nobody_holds_a_key_that_they_do_not_need(compose: Mapping[str, Any], roles: Mapping[str, Role]) -> None:
    for name, role in roles.items():
        environment = role["environment"]
        uses_broker = role["command"][0] in ("worker", "relay") or name == "gateway"  # which listens for live events
        assert ("KODAMA_BROKER_URL" in environment) == uses_broker, name
        assert ("KODAMA_DATABASE_URL" in environment) == (name != "gateway"), name
        assert ("DATABASE_PASSWORD" in str(environment)) == (name == "migrate"), name
        assert ("data" in role["networks"]) == (name != "gateway"), name


def test_no_secret_is_in_any_file(compose: Mapping[str, Any]) -> None:
    example = _variables(CONTAINERS / "example.env")
    text = COMPOSE.read_text("utf-8")
    assert set(example) == set(re.findall(r"\$\{(\w+):\?", text)), "what must be given is what the example asks for"
    assert not any(example.values()), "the example holds no value that somebody could run with"
    for name in re.findall(r"^\s*(\w*(?:SECRET|PASSWORD|PASS)):", text, re.MULTILINE):
        for value in re.findall(rf"^\s*{name}: (.*)$", text, re.MULTILINE):
            assert value.startswith("${"), f"{name} is written out"
    assert ".env" in (CONTAINERS / ".gitignore").read_text("utf-8").split()


# The image


def test_the_image_is_built_from_pinned_packages_and_runs_as_nobody_special() -> None:
    build, run = re.split(r"^FROM python", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert "--require-hashes" in build
    assert "requirements/runtime.lock" in build
    users = re.findall(r"^USER (\S+)$", run, re.MULTILINE)
    assert users
    assert re.fullmatch(r"[1-9][0-9]{3,}:[1-9][0-9]{3,}", users[-1]), "a number, and not root's"
    assert 'ENTRYPOINT ["kodama"]' in run
    assert not re.search(r"https?://|--(extra-)?index-url|--trusted-host|(SECRET|PASSWORD|TOKEN)", build + run)


def test_the_build_sees_what_it_copies_and_no_secret() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "only what is named gets in"
    seen = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied: set[str] = set()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text("utf-8"), re.MULTILINE):
        copied |= set(sources.split())
    assert copied == seen
    assert all((ROOT / path).exists() for path in copied)
    last = max(number for number, rule in enumerate(rules) if rule.startswith("!"))
    assert {"deploy/containers", "**/.env"} <= set(rules[last:]), "the last rule that fits wins"


def test_secrets_beside_the_compose_file_are_not_packed_into_the_wheel() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    wheel = text.split("[tool.hatch.build.targets.wheel]")[1].split("\n[")[0]
    assert '"/deploy/containers"' in wheel.split("exclude = ")[1]


# Without containers


def _units() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in SYSTEMD.iterdir()}


def test_the_systemd_target_wants_every_service_and_every_queue() -> None:
    wanted = re.findall(r"kodama-\S+\.service", _units()["kodama.target"])
    expected = [
        "kodama-migrate.service",
        "kodama-relay.service",
        *(f"kodama-serve@{service}.service" for service in SERVED),
        *(f"kodama-worker@{queue}.service" for queue in topology.QUEUES),
    ]
    assert sorted(wanted) == sorted(expected)


def test_systemd_units_can_do_little_and_come_back() -> None:
    units = {name: text for name, text in _units().items() if name.endswith(".service")}
    assert sorted(units) == [
        "kodama-migrate.service",
        "kodama-relay.service",
        "kodama-serve@.service",
        "kodama-worker@.service",
    ]
    for name, text in units.items():
        lines = text.splitlines()
        for line in ("DynamicUser=yes", "NoNewPrivileges=yes", "CapabilityBoundingSet=", "ProtectSystem=strict"):
            assert line in lines, f"{name}: {line}"
        assert any(line in lines for line in ("Restart=always", "Restart=on-failure")), name
        assert not re.search(r"^Environment=.*KODAMA_", text, re.MULTILINE), "secrets come from a file"


def test_systemd_gives_workers_the_time_that_a_task_may_take() -> None:
    match = re.search(r"^TimeoutStopSec=([0-9]+)$", _units()["kodama-worker@.service"], re.MULTILINE)
    assert match
    assert int(match[1]) >= max(task.time_limit_seconds for task in topology.TASKS.values())


def test_systemd_gives_workers_the_folder_that_the_setting_names() -> None:
    unit = _units()["kodama-worker@.service"].splitlines()
    folder = str(Settings.model_fields["suggestions_folder"].default)
    assert f"CacheDirectory={folder.removeprefix('/var/cache/')}" in unit
    assert "CacheDirectoryMode=0700" in unit
