"""`make test-brokers`: e2e tests and a short chaos on servers that somebody has named.

What is not named is embedded. What a run makes on a server bears its name and is taken away at the
end; what else is there is not looked at.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from kombu import Connection
from redis import Redis

from support import named
from support.named import Named
from support.vhosts import Vhosts

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 5.0
EVERYWHERE = (
    "tests/chaos",
    "tests/brokers/test_two_trees.py",
    "tests/e2e/test_kill_9.py",
    "tests/e2e/test_intake_outages.py",
    "tests/e2e/test_shutdown.py",
    "tests/e2e/one_stack/test_main_job.py",
    "tests/e2e/one_stack/test_wrong_events.py",
)
# They look into the broker by its own protocol.
ON_REDIS = (
    "tests/e2e/one_stack/test_no_task_calls.py",
    "tests/e2e/one_stack/test_foreign_producer.py",
)
ON_RABBITMQ = ("tests/brokers/test_rabbitmq.py",)
_LEFT_OUT_OF_CHAOS = {
    "broker": "the broker is not stopped, replaced, filled or made to refuse: the way to it is cut "
    "and stands still instead",
    "database": "no backend of the database is killed",
}


class NamedError(Exception):
    """A server that was named cannot be used; the text says which, and never a password."""


@dataclass(frozen=True, slots=True)
class Server:
    """`reach` gives the version of the server at a URL; it may raise anything."""

    variable: str
    name: str
    example: str
    reach: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Pass:
    title: str
    servers: Named
    tests: tuple[str, ...]


def _redis(url: str) -> str:
    with Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS) as redis:
        info = redis.info("server")
    return str(info.get("valkey_version") or info["redis_version"])


def _rabbitmq(url: str) -> str:
    with Connection(url, connect_timeout=_SECONDS) as connection:
        connection.connect()
        properties = connection.connection.server_properties
    Vhosts(url)
    return f"{properties.get('version')}"


def _postgres(url: str) -> str:
    with psycopg.connect(url, connect_timeout=int(_SECONDS), autocommit=True) as connection:
        return str(connection.execute("SHOW server_version").fetchone())[2:-3].partition(" ")[0]


REDIS = Server("TEST_REDIS_URL", "Redis", "redis://127.0.0.1:6379", _redis)
RABBITMQ = Server("TEST_RABBITMQ_URL", "RabbitMQ", "amqp://guest:guest@127.0.0.1:5672", _rabbitmq)
POSTGRES = Server(
    "TEST_POSTGRES_URL",
    "PostgreSQL",
    "postgresql://postgres@127.0.0.1:5432/postgres",
    _postgres,
)
SERVERS = (REDIS, RABBITMQ, POSTGRES)


def urls_of(environ: Mapping[str, str]) -> dict[Server, str]:
    """Those that are named. Raises NamedError: none is, or one is of another kind."""
    urls = {one: environ[one.variable] for one in SERVERS if environ.get(one.variable)}
    if not urls:
        examples = "\n".join(f"  {one.variable}={one.example}" for one in SERVERS)
        raise NamedError(f"No server is named. Set one or more of\n{examples}")
    for server, url in urls.items():
        scheme = server.example.partition(":")[0]
        if not url.startswith(f"{scheme}://"):
            raise NamedError(f"{server.variable}: expected a URL such as {server.example}.")
    return urls


def reached(urls: Mapping[Server, str]) -> dict[Server, str]:
    """Their versions. Raises NamedError."""
    versions = {}
    for server, url in urls.items():
        try:
            versions[server] = server.reach(url)
        except Exception as error:
            told = str(error) if isinstance(error, AssertionError) else type(error).__name__
            raise NamedError(
                f"{server.variable}: it is named and not to be used: {told}"
            ) from error
    return versions


def passes(urls: Mapping[Server, str], run: str) -> Iterator[Pass]:
    """One for each broker that is named, and for each kind of its queues."""
    own = Named(run, postgres=urls.get(POSTGRES))
    database = "PostgreSQL as named" if POSTGRES in urls else "embedded PostgreSQL"
    if REDIS in urls:
        servers = replace(own, broker=urls[REDIS])
        yield Pass(f"Redis as named, {database}", servers, EVERYWHERE + ON_REDIS)
    if RABBITMQ in urls:
        servers = replace(own, broker=urls[RABBITMQ])
        tests = EVERYWHERE + ON_RABBITMQ
        yield Pass(f"RabbitMQ as named, classic queues, {database}", servers, tests)
        quorum = replace(servers, settings={"PASSERELLE_QUORUM_QUEUES": "true"})
        yield Pass(f"RabbitMQ as named, quorum queues, {database}", quorum, tests)
    if own.postgres is not None and not {REDIS, RABBITMQ} & urls.keys():
        yield Pass(f"embedded Valkey, {database}", own, EVERYWHERE + ON_REDIS)


def tell(urls: Mapping[Server, str], versions: Mapping[Server, str]) -> None:
    for server in SERVERS:
        if server in urls:
            print(f"{server.name} {versions[server]}: {server.variable}")
        else:
            print(f"{server.name}: left out, {server.variable} is not set")
    brokers = {REDIS, RABBITMQ} & urls.keys()
    for one, is_named in (("broker", brokers), ("database", POSTGRES in urls)):
        if is_named:
            print(f"chaos: {_LEFT_OUT_OF_CHAOS[one]}")
    sys.stdout.flush()


def run(one: Pass) -> bool:
    """Whether its tests passed."""
    print(f"\n{one.title}: {', '.join(one.tests)}", flush=True)
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "3", *one.tests],
            cwd=ROOT,
            env=os.environ | {named.VARIABLE: one.servers.told()},
            check=False,
        )
    finally:
        named.take_away(one.servers)
    word = "passed" if done.returncode == 0 else "FAILED"
    print(f"{one.title}: {word} in {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode == 0


def main() -> int:
    try:
        urls = urls_of(os.environ)
        versions = reached(urls)
    except NamedError as error:
        print(error, file=sys.stderr)
        return 2
    tell(urls, versions)
    name = named.new_run()
    failed = [one.title for one in passes(urls, name) if not run(one)]
    print("\nAll passed." if not failed else f"\nFailed: {'; '.join(failed)}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
