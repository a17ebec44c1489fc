"""Servers, databases and a stand-in for Loop, for every kind of test that wants them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, find, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from passerelle.store.engine import make_engine
from passerelle.store.outbox_models import Audience
from support import named
from support.command import Cli, commands, deployment_environ
from support.receiver import Office, Receiver, receiving
from support.servers import Servers, running_servers
from support.simulator import SimulatorHandle, running_simulator
from support.stack import Stack, running_stack
from support.template import Spares, make_template
from support.workshop import Workshop

# The machine is shared: how long one example takes says nothing.
settings.register_profile(
    "passerelle", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("passerelle")

# They ask for a RabbitMQ that somebody has named.
collect_ignore = ["brokers"] if named.named() is None else []

# A developer's own settings are not the tests'.
for _name in [name for name in os.environ if name.startswith("PASSERELLE_")]:
    del os.environ[_name]


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Hypothesis's tables of characters are made before two processes want to make them at once."""
    if not hasattr(session.config, "workerinput"):
        find(st.text(), lambda _: True, settings=settings(database=None))


# What uses the fixture `stack` as it is below; with it, one test process of them all has a stack.
_ONE_STACK = "tests/e2e/one_stack"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, or one process would still be at them when the other is through."""
    longest = (Path(_ONE_STACK).name, "chaos", "e2e")
    items.sort(key=lambda item: (*longest, item.path.parent.name).index(item.path.parent.name))


class _Scheduling(LoadFileScheduling):
    """A file at a time for each process, and what shares a stack together."""

    def _split_scope(self, nodeid: str) -> str:
        return _ONE_STACK if nodeid.startswith(_ONE_STACK) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with running_servers() as running:
        yield running


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """The name of a migrated database that nobody is connected to."""
    return make_template(servers)


@pytest.fixture(scope="session")
def _spares(servers: Servers, template: str) -> Spares:
    return Spares(servers, template)


@pytest.fixture
def database_url(_spares: Spares) -> Iterator[str]:
    """A migrated, empty database."""
    url = _spares.take()
    yield url
    _spares.give_back(url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def broker_url(servers: Servers) -> Iterator[str]:
    """A broker without messages."""
    with servers.broker(0) as url:
        yield url


@pytest.fixture(scope="session")
def _simulator() -> Iterator[SimulatorHandle]:
    with running_simulator({"import_ms": 50}) as running:
        yield running


@pytest.fixture
def loop(_simulator: SimulatorHandle) -> SimulatorHandle:
    """The stand-in for Loop, with empty books and no faults."""
    _simulator.reset()
    return _simulator


@pytest.fixture(scope="session")
def stack(servers: Servers, template: str) -> Iterator[Stack]:
    """All workers, beat and a simulator, as processes. Tests share it: each has its own firm."""
    with running_stack(servers, template, broker_number=1) as running:
        running.start_all()
        yield running


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """One firm with one folder; a file that begins otherwise has a `shop` of its own."""
    made = Workshop(engine)
    made.add_firm()
    return made


@pytest.fixture
def hub() -> Iterator[Receiver]:
    """Who is told outcomes."""
    with receiving() as made:
        yield made


@pytest.fixture
def people() -> Iterator[Receiver]:
    """Who are told of cases."""
    with receiving() as made:
        yield made


@pytest.fixture
def office(shop: Workshop) -> Office:
    """Those who tell."""
    return Office(shop)


@pytest.fixture
def told(office: Office, hub: Receiver) -> Office:
    """Those who tell, with a hub that listens."""
    office.subscribe(Audience.OUTCOME, hub.url)
    return office


@pytest.fixture
def environ(database_url: str, tmp_path: Path) -> dict[str, str]:
    """Of a command: a database, and no broker."""
    return deployment_environ(database_url, tmp_path)


@pytest.fixture
def cli(environ: dict[str, str]) -> Iterator[Cli]:
    with commands(environ) as run:
        yield run
