"""The stand-in for Loop as a process of its own, for tests of every kind.

with running_simulator({"import_ms": 20}) as loop:
    loop.set_faults({"fault": "dropped_stored", "route": "importJson", "count": 1})
    …  # PASSERELLE_LOOP_URL = loop.base_url
    assert loop.totals()["entries"] == 3
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import requests

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"x-apikey": "KEY:SECRET", "Ocp-Apim-Subscription-Key": "SUBSCRIPTION"}
_PAGE = 1_000
_TIMEOUT = 30
_SELDOM = 0.3
_T = TypeVar("_T")


def until(
    read: Callable[[], _T], good: Callable[[_T], bool], seconds: float = 20, every: float = 0.01
) -> _T:
    """The first reading that is good. Raises TimeoutError: none was, with the last one.

    What takes long is looked at less often: looking takes the time of what is waited for.
    """
    began = time.monotonic()
    while True:
        found = read()
        if good(found):
            return found
        waited = time.monotonic() - began
        if waited > seconds:
            raise TimeoutError(f"after {seconds} s still {found!r}")
        time.sleep(max(every, min(waited / 10, _SELDOM)))


@dataclass(frozen=True, slots=True)
class SimulatorHandle:
    """`url` is the server's own, `base_url` Loop's; what is changed here acts at once.

    With a `domain` only what is that domain's is read, and faults act on its requests alone.
    """

    url: str
    process: subprocess.Popen[str]
    domain: str | None = None
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def base_url(self) -> str:
        return f"{self.url}/loop-api-publiques"

    def admin(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        """What the test's own door answers. Raises requests.HTTPError: with the faults found."""
        query = {"domain": self.domain} | query
        answer = self.session.request(
            method, f"{self.url}/_simulator/{path}", json=body, params=query, timeout=_TIMEOUT
        )
        if not answer.ok:
            raise requests.HTTPError(f"{answer.status_code}: {answer.text}", response=answer)
        return answer.json()

    def call(self, method: str, route: str, **options: Any) -> requests.Response:
        """One request to Loop with keys that pass; `options` are those of requests.

        A connection of its own: a fault that breaks it harms no other request.
        """
        headers = KEYS | options.pop("headers", {})
        return requests.request(
            method, f"{self.base_url}/{route}", headers=headers, timeout=_TIMEOUT, **options
        )

    def post(self, body: object) -> dict[str, Any]:
        """What importJson answers to the body, unless the answer is no JSON object."""
        answer: dict[str, Any] = self.call("POST", "importJson", json=body).json()
        return answer

    def status(self, request_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.call(
            "GET", "getImportStatus", params={"accountingImportRequestId": request_id}
        ).json()
        return answer

    def ended(self, request_id: str) -> dict[str, Any]:
        """The answer of getImportStatus once the import has ended. Raises TimeoutError."""
        return until(lambda: self.status(request_id), lambda body: body.get("status") in {3, 4})

    def ledger(self, folder: str | None = None) -> list[dict[str, Any]]:
        """Every entry in the books, in the order of booking."""
        return self._all("ledger", "entries", folder)

    def imports(self, folder: str | None = None) -> list[dict[str, Any]]:
        return self._all("imports", "imports", folder)

    def _all(self, path: str, key: str, folder: str | None) -> list[dict[str, Any]]:
        query = {} if folder is None else {"folder": folder}
        found: list[dict[str, Any]] = []
        while True:
            page = self.admin("GET", path, **query, offset=len(found), limit=_PAGE)
            found += page[key]
            if len(found) >= page["total"] or not page[key]:
                return found

    def totals(self) -> dict[str, Any]:
        found: dict[str, Any] = self.admin("GET", "ledger/totals")
        return found

    def requests(self) -> dict[str, Any]:
        """`total`, `counts` by route, folder and kind, and the `last` ones with their times."""
        found: dict[str, Any] = self.admin("GET", "requests")
        return found

    def count(self, route: str | None = None, **wanted: str) -> int:
        """How many requests had this route, and this `kind` or `folder` where they are given."""
        if route is not None:
            wanted["route"] = route
        return sum(
            row["count"]
            for row in self.requests()["counts"]
            if all(row[key] == value for key, value in wanted.items())
        )

    def faults(self) -> list[dict[str, Any]]:
        """The rules in force, with how often each was `seen` to fit and `fired`."""
        found: list[dict[str, Any]] = self.admin("GET", "faults")["faults"]
        return found

    def set_faults(self, *rules: dict[str, Any]) -> None:
        """Replace all rules; without any nothing goes wrong."""
        self.admin("PUT", "faults", [{"domain": self.domain} | rule for rule in rules])

    def patch_folder(self, code: str, **fields: Any) -> None:
        self.admin("PATCH", f"folders/{quote(code, safe='')}", fields)

    def patch_settings(self, **fields: Any) -> dict[str, Any]:
        settings: dict[str, Any] = self.admin("PATCH", "settings", fields)
        return settings

    def reset(self) -> None:
        """Back to the scenario it was started with, with empty books."""
        self.admin("POST", "reset")


@contextlib.contextmanager
def running_simulator(
    scenario: dict[str, Any] | None = None, port: int = 0
) -> Iterator[SimulatorHandle]:
    """A simulator on a free port of loopback, or on a given one; ended with the block.

    Raises RuntimeError where it does not start, or where it failed in itself on the way.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "simulator", "--port", str(port)]
        if scenario is not None:
            path = Path(folder, "scenario.json")
            path.write_text(json.dumps(scenario), encoding="utf-8")
            command += ["--scenario", str(path)]
        with (
            Path(folder, "stderr").open("w+", encoding="utf-8") as stderr,
            subprocess.Popen(
                command,
                cwd=ROOT,
                # The program finds its package by the working directory, not by an installation.
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            ) as process,
        ):
            try:
                line = _first_line(process)
                if not line.startswith("READY "):
                    stderr.seek(0)
                    raise RuntimeError(f"The simulator did not start: {line}{stderr.read()}")
                handle = SimulatorHandle(line.removeprefix("READY ").strip(), process)
                with handle.session:
                    yield handle
            finally:
                process.kill()
            process.wait()
            stderr.seek(0)
            said = stderr.read()
            if said:
                raise RuntimeError(f"The simulator complained: {said}")


def _first_line(process: subprocess.Popen[str]) -> str:
    """The line it prints when it listens; "" where it ended or says nothing in time."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        return process.stdout.readline() if selector.select(_TIMEOUT) else ""
