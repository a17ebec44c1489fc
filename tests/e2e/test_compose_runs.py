"""docker-compose.yml at work: its commands and health checks, from the image's own steps."""

import json
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.compose import OURS, SERVICES, WORKERS, Composed, composed
from support.events import purchase
from support.image import Image, build
from support.servers import Servers
from support.simulator import until

CHECKED = {name for name, one in SERVICES.items() if "healthcheck" in one}
LASTING = CHECKED - {"postgres"}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return build(tmp_path_factory.mktemp("image"))


@pytest.fixture
def deployment(image: Image, servers: Servers, tmp_path: Path) -> Iterator[Composed]:
    with servers.database() as url, composed(tmp_path, image, url) as made:
        yield made


def healthy(deployment: Composed, names: set[str]) -> set[str]:
    return {name for name in names if deployment.is_healthy(name)}


def until_healthy(deployment: Composed, names: set[str]) -> None:
    """Each by its own check. Raises: TimeoutError."""
    left = set(names)

    def ask() -> set[str]:
        nonlocal left
        left -= healthy(deployment, left)
        return left

    until(ask, lambda found: not found, 90, 1)


@pytest.mark.timeout(400)
def test_every_service_works_and_its_health_check_says_so(deployment: Composed) -> None:
    assert {*OURS} - CHECKED == {"migrate"}
    assert healthy(deployment, LASTING) == set()
    assert deployment.is_healthy("postgres")
    assert not deployment.is_healthy("postgres", PGPORT="1")

    deployment.start("valkey")
    until_healthy(deployment, {"valkey"})
    migrated = deployment.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    for name in LASTING - {"valkey"}:
        deployment.start(name)
    until_healthy(deployment, LASTING)

    try_it(deployment)

    # A worker whose main loop hangs: its file is there, and old.
    process = deployment.running["delivery"]
    process.send_signal(signal.SIGSTOP)
    until(lambda: deployment.is_healthy("delivery"), lambda well: not well, 60, 1)
    assert (deployment.folder / "delivery/tmp/heartbeat").exists()
    process.send_signal(signal.SIGCONT)
    until_healthy(deployment, {"delivery"})

    # Without a broker nobody is ready, and nobody ends for it.
    deployment.stop("valkey", signal.SIGKILL)
    until(lambda: healthy(deployment, {*WORKERS, "beat"}), lambda found: not found, 60, 1)
    assert not (deployment.folder / "delivery/tmp/heartbeat").exists()
    deployment.start("valkey")
    until_healthy(deployment, LASTING)
    try_it(deployment)

    assert {name: deployment.stop(name) for name in WORKERS} == dict.fromkeys(WORKERS, 0)


def try_it(deployment: Composed) -> None:
    """As the head of the file says: any command of the program, in a worker's container."""
    (deployment.folder / "delivery/secret").write_text("a secret", encoding="utf-8")
    keys = ("--api-key", "K", "--subscription-key", "S", "--api-secret-file", "secret")
    if not passerelle(deployment, "firm", "list", "--json"):
        passerelle(deployment, "firm", "add", "CABINET42", *keys)
    event = purchase() | {"event_id": str(uuid.uuid4()), "firm": "CABINET42"}
    event["entry"] |= {"id": event["event_id"]}
    path = deployment.folder / "delivery/events.ndjson"
    path.write_text(json.dumps(event), encoding="utf-8")
    passerelle(deployment, "submit", "events.ndjson")

    def state() -> tuple[str, str | None] | None:
        rows = map(json.loads, passerelle(deployment, "entry", "list", "--json").splitlines())
        found = [row for row in rows if row["entry_id"] == event["entry"]["id"]]
        return (found[0]["state"], found[0]["message"]) if found else None

    until(state, lambda found: found is not None and found[0] == "synced", 60, 1)


def passerelle(deployment: Composed, *arguments: str) -> str:
    done = deployment.run("delivery", "passerelle", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
