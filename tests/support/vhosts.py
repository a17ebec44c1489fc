"""Vhosts of a RabbitMQ that is not the tests' own."""

import base64
import json
import shutil
import subprocess
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from urllib.request import Request, urlopen

from kombu import Connection

from workers import broker

_SECONDS = 5.0
_EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}


def vhost_url(url: str, vhost: str) -> str:
    return urlsplit(url)._replace(path=f"/{quote(vhost, safe='')}").geturl()


class Vhosts:
    """Makes and drops vhosts: by the management plugin of the server, else by `rabbitmqctl` here.

    Raises AssertionError: neither is there.
    """

    def __init__(self, url: str) -> None:
        # Before anybody else in this process: kombu remembers what it has found for a scheme.
        broker.install()
        self._url = url
        parts = urlsplit(url)
        self._user = unquote(parts.username or "guest")
        self._password = unquote(parts.password or "guest")
        self._api = f"http://{parts.hostname or '127.0.0.1'}:15672/api"
        self._managed = self._is_managed()
        assert self._managed or shutil.which("rabbitmqctl"), (
            "TEST_RABBITMQ_URL: a vhost of the tests' own can be made neither by the management "
            "plugin on port 15672 nor by rabbitmqctl."
        )

    def make(self, name: str, kind: str = "classic") -> None:
        """It takes connections when this returns; `kind` of what is declared without one.

        Raises AssertionError: it cannot be made.
        """
        user = self._user
        if self._managed:
            self._ask("PUT", f"/vhosts/{name}", {"default_queue_type": kind})
            self._ask("PUT", f"/permissions/{name}/{quote(user, safe='')}", _EVERYTHING)
        else:
            self._control("add_vhost", name, "--default-queue-type", kind)
            self._control("set_permissions", "--vhost", name, user, *_EVERYTHING.values())
        try:
            with Connection(vhost_url(self._url, name), connect_timeout=_SECONDS) as connection:
                connection.connect()
        except Exception:
            # What is controlled here is another server than the one that was named.
            self.drop(name)
            raise

    def drop(self, name: str) -> None:
        if self._managed:
            self._ask("DELETE", f"/vhosts/{name}")
        else:
            self._control("delete_vhost", name)

    def names(self) -> list[str]:
        if self._managed:
            return [one["name"] for one in self._ask("GET", "/vhosts")]
        return self._control("list_vhosts", "--no-table-headers", "name").splitlines()

    def _is_managed(self) -> bool:
        try:
            self._ask("GET", "/vhosts")
        except OSError:
            return False
        return True

    def _ask(self, method: str, path: str, content: object = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        proof = base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        headers = {"Authorization": f"Basic {proof}", "Content-Type": "application/json"}
        request = Request(f"{self._api}{path}", body, headers, method=method)  # noqa: S310 http
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 idem
            return json.loads(answer.read() or "null")

    def _control(self, *arguments: str) -> str:
        done = subprocess.run(
            ["rabbitmqctl", "--quiet", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}"
        return done.stdout
