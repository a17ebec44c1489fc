"""The model without a network: time stands still until the test moves it."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.faults import FAULTS, Rule
from simulator.loop import Loop
from simulator.routes import Route, at
from simulator.scenario import Scenario

HEADERS = {"x-apikey": "K:S", "Ocp-Apim-Subscription-Key": "X"}


class Time:
    """A clock and a timer that the test moves."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        self._due: list[tuple[dt.datetime, int, Callable[[], None]]] = []

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self._due.append((self.now + dt.timedelta(seconds=seconds), len(self._due), act))

    def move(self, seconds: float) -> None:
        end = self.now + dt.timedelta(seconds=seconds)
        for at_, _, act in sorted(due for due in self._due if due[0] <= end):
            self.now = at_
            act()
        self._due = [due for due in self._due if due[0] > end]
        self.now = end


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def loop(time: Time) -> Loop:
    return Loop(Scenario(), lambda: time.now, time.later)


def ask(loop: Loop, method: str, target: str, body: object = None) -> Any:
    content = b"" if body is None else json.dumps(body).encode()
    return json.loads(loop.answer(loop.read(method, target, HEADERS, content)).body)


def request(*lines: tuple[str, str, str, int]) -> dict[str, Any]:
    """Lines of piece, origin, account, and cents: debit above zero, credit below."""
    return {
        "codeIbs": "D",
        "data": {
            "options": {"multiPeriode": True},
            "ecritures": [
                {
                    "date": "2026-01-15T00:00:00.000Z",
                    "journal": "ACH",
                    "refPiece": piece,
                    "ecritureOrigine": origin,
                    "compte": account,
                    "debit": {"amount": max(cents, 0) / 100},
                    "credit": {"amount": max(-cents, 0) / 100},
                    "fichier": {"uri": "https://files.example.com/1.pdf"},
                }
                for piece, origin, account, cents in lines
            ],
        },
    }


def balanced(piece: str, origin: str, cents: int = 100) -> list[tuple[str, str, str, int]]:
    return [(piece, origin, "601", cents), (piece, origin, "401", -cents)]


def status(loop: Loop, request_id: str) -> int:
    found: int = ask(loop, "GET", f"/getImportStatus?accountingImportRequestId={request_id}")[
        "status"
    ]
    return found


def posted(loop: Loop, document: dict[str, Any]) -> str:
    request_id: str = ask(loop, "POST", "/importJson", document)["accountingImportRequestId"]
    return request_id


def test_an_import_takes_its_time_half_waiting_half_running(loop: Loop, time: Time) -> None:
    request_id = posted(loop, request(*balanced("F1", "o")))
    seen = []
    for _ in range(5):
        seen.append((status(loop, request_id), len(loop.ledger)))
        time.move(0.05)
    assert seen == [(1, 0), (1, 0), (2, 0), (2, 0), (3, 1)]


def test_a_late_import_waits_for_its_delay_and_then_takes_its_time(loop: Loop, time: Time) -> None:
    loop.set_faults((Rule("late", seconds=7200),))
    request_id = posted(loop, request(*balanced("F1", "o")))
    time.move(7200)
    assert status(loop, request_id) == 1
    time.move(0.1)
    assert status(loop, request_id) == 2
    time.move(0.1)
    assert (status(loop, request_id), len(loop.ledger)) == (3, 1)


def test_what_is_hidden_shows_when_its_time_has_come(loop: Loop, time: Time) -> None:
    loop.set_faults((Rule("hidden", seconds=300),))
    posted(loop, request(*balanced("F1", "o")))
    time.move(1)
    read = '/EcritureComptable?codeDossier=D&filter=ecritureOrigine=="o"'
    assert ask(loop, "GET", read) == []
    time.move(300)
    assert len(ask(loop, "GET", read)) == 2


def test_an_import_under_way_lands_nothing_after_a_reset(loop: Loop, time: Time) -> None:
    posted(loop, request(*balanced("F1", "o")))
    loop.reset()
    time.move(10)
    assert len(loop.ledger) == 0


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10**12)), min_size=1, max_size=40),
    st.randoms(use_true_random=False),
)
def test_lines_in_any_order_make_the_same_entries_to_the_cent(
    wanted: list[tuple[int, int]], random: Any
) -> None:
    time = Time()
    loop = Loop(Scenario(), lambda: time.now, time.later)
    lines = [line for n, cents in wanted for line in balanced(f"F{n}", f"o{n}", cents)]
    random.shuffle(lines)
    request_id = posted(loop, request(*lines))
    time.move(1)
    assert status(loop, request_id) == 3
    totals = loop.ledger.totals()
    euros, cents = divmod(sum(cents for _, cents in wanted), 100)
    assert totals["debit"] == totals["credit"] == f"{euros}.{cents:02d}"
    assert totals["lines"] == len(lines)
    assert totals["entries"] == len({n for n, _ in wanted})
    for entry in loop.ledger.entries("D"):
        assert entry.piece_ref is not None
        own = entry.piece_ref.replace("F", "o")
        assert {row["ecritureOrigine"] for row in entry.rows()} == {own}


@given(
    st.sampled_from(sorted(FAULTS)),
    st.sampled_from(Route),
    st.none() | st.just("D"),
    st.sampled_from([None, "", "OTHER"]),
)
def test_every_fault_acts_on_its_routes_and_on_no_other(
    name: str, route: Route, folder: str | None, domain: str | None
) -> None:
    time = Time()
    loop = Loop(Scenario(), lambda: time.now, time.later)
    loop.set_faults((Rule(name, folder=folder, domain=domain),))
    call = loop.read("GET", f"/{route}?codeDossier=D&filter=codeLettrage==null", HEADERS, b"")
    if route is Route.IMPORT_JSON:
        body = json.dumps(request(*balanced("F1", "o"))).encode()
        call = loop.read("POST", f"/{route}", HEADERS, body)
    loop.faults.resets(route, call.domain)
    if loop.wire_fault(call) is None:
        loop.answer(call)
        time.move(1)
    fired = loop.faults.as_json()[0]["fired"]
    placed = (folder is None or call.folder == folder) and domain != "OTHER"
    assert fired == (route in FAULTS[name].routes and placed and not (name == "reset" and folder))


@given(st.text(alphabet="/loop-api-publiquescompteTIERS?", max_size=40))
def test_only_a_whole_name_is_a_route(path: str) -> None:
    route = at(path)
    assert route is None or path.lower().endswith("/" + route.lower())


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_request_breaks_the_model(target: bytes, body: bytes) -> None:
    time = Time()
    loop = Loop(Scenario(), lambda: time.now, time.later)
    for path in ("/importJson", "/EcritureComptable", "/compte", "/getImportStatus", ""):
        text = f"{path}?{target.decode('latin-1')}"
        for method in ("GET", "POST"):
            answer = loop.answer(loop.read(method, text, HEADERS, body))
            assert answer.status in {200, 404}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
KEYS = [
    "date", "debit", "credit", "journal", "compte", "libelle", "tiers", "refPiece", "SIRET",
    "ecritureOrigine", "dateJustif", "debCutOff", "codeLettrage", "journalLib", "compteLib",
    "fichier",
]  # fmt: skip
OTHERWISE = JSON | st.just("2026-01-15") | st.just({"amount": 1})
CHANGES = st.dictionaries(st.sampled_from(KEYS), OTHERWISE, max_size=2)


@given(CHANGES, CHANGES, JSON | st.just({}), st.sampled_from(sorted(FAULTS)))
def test_no_import_breaks_the_model(
    first: dict[str, Any], second: dict[str, Any], options: Any, fault: str
) -> None:
    time = Time()
    loop = Loop(Scenario(), lambda: time.now, time.later)
    loop.set_faults((Rule(fault),))
    document = request(*balanced("F1", "o"), *balanced("F2", "p"))
    document["data"]["contexte"] = {"from": "2026-01-01", "to": "2026-01-01"}
    document["data"]["options"] = options
    document["data"]["ecritures"][0].update(first)
    document["data"]["ecritures"][1].update(second)
    answer = ask(loop, "POST", "/importJson", document)
    time.move(1)
    assert set(answer) & {"accountingImportRequestId", "error"}
    rows = ask(loop, "GET", "/EcritureComptable?codeDossier=D&filter=codeLettrage==null&sort=debit")
    assert rows == [] or len(loop.ledger) > 0
    for entry in loop.ledger.entries():
        assert json.loads(entry.as_json())["folder"] == "D"
