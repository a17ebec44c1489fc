"""The command line inside a test, and what it leaves in the database and the broker."""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from redis import Redis
from sqlalchemy import Engine, func, select

from passerelle.cli.main import main
from passerelle.store.columns import metadata

Cli = Callable[..., Result]


def deployment_environ(database_url: str, data_dir: Path) -> dict[str, str]:
    return {
        "PASSERELLE_DATABASE_URL": database_url,
        "PASSERELLE_SECRET_KEYS": Fernet.generate_key().decode(),
        "PASSERELLE_DATA_DIR": str(data_dir),
    }


@contextmanager
def commands(environ: dict[str, str]) -> Iterator[Cli]:
    def run(*arguments: object, stdin: str | bytes = b"", **env: str) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(main, words, stdin, env=environ | env, catch_exceptions=False)

    yield run
    # Commands set up logs for their process, which is the tests' here.
    structlog.reset_defaults()


def stored(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        counting = select(func.count()).select_from(metadata.tables[table])
        return int(connection.execute(counting).scalar_one())


def messages(broker_url: str, queue: str) -> list[dict[str, Any]]:
    """Headers and arguments of what is in a queue, first sent first."""
    with Redis.from_url(broker_url) as redis:
        raw: list[bytes] = redis.lrange(queue, 0, -1)
    found = map(json.loads, reversed(raw))
    return [
        {
            "task": one["headers"]["task"],
            "shown": one["headers"]["argsrepr"],
            "args": json.loads(base64.b64decode(one["body"]))[0],
        }
        for one in found
    ]
