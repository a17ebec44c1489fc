"""docs/security.md as it stands: users who may do no more than they need, and TLS."""

import contextlib
import re
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from urllib.parse import urlsplit

import psycopg
import pytest
from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis, ResponseError

from config.settings import read_settings
from passerelle.cli.broker import Broker
from support.certificate import Trusted, make_certificate
from support.events import purchase
from support.raw_server import serving
from support.servers import Servers, running_servers
from support.simulator import ROOT
from support.stack import Stack, running_stack
from support.template import make_template

PAGE = (ROOT / "docs/security.md").read_text(encoding="utf-8")
LINES = re.findall(r"^user (\w+) (on .*)$", PAGE, re.MULTILINE)
GRANTS = re.findall(r"^GRANT .*;$", PAGE, re.MULTILINE)
FOLDER = "ACL0000001"


def as_user(url: str, name: str) -> str:
    server = urlsplit(url)
    return f"redis://{name}:PASSWORD@{server.hostname}:{server.port}/0"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Servers]:
    """Servers of our own, since what the users may is the whole server's affair."""
    with running_servers() as servers:
        with Redis.from_url(servers.broker_url) as broker:
            for name, rules in LINES:
                broker.execute_command(f"ACL SETUSER {name} {rules}")
        yield servers


def as_worker(stack: Stack) -> str:
    """The URL of the stack's database as the page's other user."""
    url = urlsplit(stack.env["PASSERELLE_DATABASE_URL"])
    with psycopg.connect(url.geturl()) as connection:
        connection.execute("CREATE ROLE worker LOGIN PASSWORD 'pw'")
        for statement in GRANTS:
            connection.execute(statement.encode())
    return f"postgresql://worker:pw@{url.hostname}:{url.port}{url.path}"


def test_workers_and_hub_do_with_the_rights_that_the_page_gives_them(guarded: Servers) -> None:
    assert [name for name, _ in LINES] == ["passerelle", "hub"]
    assert len(GRANTS) == 2
    ours = as_user(guarded.broker_url, "passerelle")
    with Redis.from_url(guarded.broker_url) as broker:
        broker.execute_command("ACL LOG RESET")
    with running_stack(
        guarded, make_template(guarded), {"import_ms": 20}, broker_number=0,
        PASSERELLE_BROKER_URL=ours,
    ) as stack:  # fmt: skip
        firm = stack.add_firm(None, FOLDER)
        stack.env["PASSERELLE_DATABASE_URL"] = as_worker(stack)
        stack.start_all()
        with Celery(broker=as_user(guarded.broker_url, "hub"), set_as_current=False) as hub:
            for number in range(3):
                event = purchase(number, firm=firm, folder=FOLDER, event_id=str(uuid.uuid4()))
                hub.send_task("entries.submit", args=[event], queue="intake")
        stack.until_states(firm, synced=3)
        found = stack.cli("doctor")
        assert found.returncode == 0, found.stdout
    with Redis.from_url(guarded.broker_url) as broker:
        assert broker.acl_log() == []


@pytest.mark.parametrize(
    "command",
    ["LRANGE intake 0 -1", "BRPOP intake 1", "DEL intake", "LPUSH delivery x", "KEYS *",
     "PUBLISH /0.celery.pidbox x", "FLUSHALL", "CONFIG GET *", "HGETALL unacked", "CLIENT LIST",
     "CLIENT KILL TYPE normal", "CLIENT PAUSE 1000", "SADD _kombu.binding.celery.pidbox x",
     "SADD _kombu.binding.delivery x"],
)  # fmt: skip
def test_the_hub_can_do_nothing_else(guarded: Servers, command: str) -> None:
    with (
        Redis.from_url(as_user(guarded.broker_url, "hub")) as hub,
        pytest.raises(ResponseError, match=r"[Pp]ermission"),
    ):
        hub.execute_command(*command.split())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Trusted:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def with_tls(broker_url: str, certificate: Trusted) -> AbstractContextManager[str]:
    """The URL of the broker behind a server that speaks TLS, which the wheel's cannot."""
    target = urlsplit(broker_url)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        # Either side may end all at once.
        with contextlib.suppress(OSError):
            while part := source.recv(65_536):
                sink.sendall(part)
            sink.shutdown(socket.SHUT_WR)

    def handle(client: socket.socket) -> None:
        with (
            certificate.context.wrap_socket(client, server_side=True) as outside,
            socket.create_connection((str(target.hostname), target.port or 0)) as inside,
        ):
            back = threading.Thread(target=pump, args=(inside, outside))
            back.start()
            pump(outside, inside)
            back.join()

    return serving(handle)


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_a_broker_is_not_spoken_to_under_another_name(
    broker_url: str, certificate: Trusted, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    # Who vouches for it does so under its address.
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    with with_tls(broker_url, certificate) as url:
        port = urlsplit(url).port
        settings = {"PASSERELLE_BROKER_URL": f"{scheme}://user:pw@localhost:{port}/0"}
        broker = Broker(read_settings(settings, env_file=False))
        with pytest.raises((OperationalError, OSError), match="Hostname mismatch"):
            broker.queues()


@pytest.mark.parametrize(
    ("query", "trusted"),
    [("", False), ("?ssl_cert_reqs=required", False), ("?ssl_ca_certs={}", True),
     ("?ssl_cert_reqs=required&ssl_ca_certs={}", True)],
)  # fmt: skip
def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(
    broker_url: str, certificate: Trusted, query: str, *, trusted: bool
) -> None:
    password = urlsplit(broker_url).password
    with with_tls(broker_url, certificate) as url:
        address = url.removeprefix("http://")
        query = query.format(certificate.file)
        settings = {"PASSERELLE_BROKER_URL": f"rediss://:{password}@{address}/0{query}"}
        broker = Broker(read_settings(settings, env_file=False))
        if trusted:
            assert broker.queues() == dict.fromkeys(broker.queues(), 0)
        else:
            with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
                broker.queues()
