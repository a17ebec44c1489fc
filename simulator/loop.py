"""Loop as far as its public API shows it: requests in, answers out. Knows no network.

Where the reference is silent the assumptions of its section 10 hold; each is named where it acts.
"""

import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from simulator import filters, gateway, payload, readings, referentials, routes, wordings
from simulator.answers import Answer, RefusedError, answered, refused
from simulator.attachments import Fetch
from simulator.booking import Booking
from simulator.faults import Faults, Rule, WireFault
from simulator.folders import Access, Folder, Folders
from simulator.gateway import Gateway, Key
from simulator.imports import Course, Import, Status, verdict
from simulator.ledger import Ledger
from simulator.payload import Payload
from simulator.readings import Reading
from simulator.routes import Route
from simulator.scenario import Scenario
from simulator.traffic import Traffic
from simulator.wordings import Language

ROW_CAP = 100

R = TypeVar("R")
Clock = Callable[[], dt.datetime]
# Calls the function after so many seconds.
Later = Callable[[float, Callable[[], None]], object]


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One request.

    `body` is None where there is none or it is no JSON, `domain` where its key is nobody's.
    """

    method: str
    route: Route | None
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: object
    domain: str | None
    folder: str | None


class Loop:
    """The state of the stand-in, made anew by `reset`.

    `clock` gives aware UTC. Without `fetch` no document is fetched, whatever the settings say.
    """

    def __init__(
        self, scenario: Scenario, clock: Clock, later: Later, fetch: Fetch | None = None
    ) -> None:
        self._scenario = scenario
        self._later = later
        self._fetch = fetch
        self.clock = clock
        self._start()

    def _start(self) -> None:
        scenario = self._scenario
        self.settings = scenario.settings
        self.folders = Folders(scenario.folders)
        self.ledger = Ledger()
        self.traffic = Traffic()
        self.imports: dict[str, Import] = {}
        self._gateway = Gateway(scenario.keys)
        self.faults = Faults(scenario.faults, scenario.seed)

    def reset(self) -> None:
        """Back to the scenario; requests and imports under way are forgotten."""
        self._start()

    def set_faults(self, rules: tuple[Rule, ...]) -> None:
        self.faults = Faults(rules, self._scenario.seed)

    def change_settings(self, fields: Mapping[str, Any]) -> None:
        self.settings = dataclasses.replace(self.settings, **fields)

    def read(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Call:
        """The request, understood as far as faults need it."""
        path, _, text = target.partition("?")
        route = routes.at(path)
        query = dict(parse_qsl(text, keep_blank_values=True))
        parsed = _json(body) if method == "POST" else None
        domain = self.domain(headers)
        folder = query.get("codeDossier")
        if route in routes.IMPORTS:
            code = parsed.get("codeIbs") if isinstance(parsed, dict) else None
            folder = code if isinstance(code, str) else None
        elif route is Route.STATUS:
            imported = self._imported(domain, query)
            folder = None if imported is None else imported.folder.code
        return Call(method, route, query, headers, parsed, domain, folder)

    def domain(self, headers: Mapping[str, str]) -> str | None:
        """The domain of a request's key; None: it is nobody's."""
        key = self._gateway.key(headers)
        return None if key is None else key.domain

    def _imported(self, domain: str | None, query: Mapping[str, str]) -> Import | None:
        """The import that is asked about, as far as the domain sees it."""
        imported = self.imports.get(query.get("accountingImportRequestId", ""))
        return imported if imported is not None and imported.folder.domain == domain else None

    def wire_fault(self, call: Call) -> tuple[WireFault, Rule] | None:
        return self.faults.on_wire(call.route, call.domain, call.folder)

    def answer(self, call: Call) -> Answer:
        """Work the request off."""
        key = self._gateway.admit(call.headers, self.settings.rate_limit, self.clock())
        if isinstance(key, Answer):
            return key
        try:
            return self._routed(call, key)
        except RefusedError as refusal:
            return refused(str(refusal))

    def _routed(self, call: Call, key: Key) -> Answer:
        route = call.route
        if route in routes.IMPORTS:
            return self._import(call, key)
        if route is None or call.method != "GET":
            return gateway.not_found()
        if route is Route.STATUS:
            return self._status(call, key)
        if route is Route.DEPOSIT:
            return _deposit(call)
        return self._list(call, route, key)

    def _list(self, call: Call, route: Route, key: Key) -> Answer:
        if route is Route.FOLDERS:
            reached = [one for one in self.folders.of(key.domain) if _reaches(key, one)]
            reading = self.faults.on_read(Reading(), route, key.domain, call.folder)
            return _listed(call, reached, referentials.dossier, reading)
        folder = self._reachable(call, key)
        if route is Route.ENTRIES:
            return self._entries(call, folder)
        reading = self.faults.on_read(Reading(), route, folder.domain, folder.code)
        named = filters.named(filters.of_list(call.query.get("filter", "")))
        return _listed(call, *referentials.records(route, folder, named), reading)

    def _entries(self, call: Call, folder: Folder) -> Answer:
        """Reference: Loop API 3.6."""
        reading = Reading(cap=ROW_CAP)
        reading = self.faults.on_read(reading, Route.ENTRIES, folder.domain, folder.code)
        conditions = filters.of_entries(call.query.get("filter", ""))
        searched = () if reading.filter_ignored else conditions
        found = self.ledger.rows(folder.domain, folder.code, searched, self.clock())
        return answered(readings.rows(found, dict, conditions, readings.page(call.query), reading))

    def _reachable(self, call: Call, key: Key) -> Folder:
        """The folder of a read. That reads are refused as imports are is an assumption."""
        if not call.folder:
            raise RefusedError("le codeDossier n'est pas renseigné")
        folder = self._folder(key, call.folder)
        if not _reaches(key, folder):
            raise RefusedError(_access_refused(folder, folder.language))
        return folder

    def _folder(self, key: Key, code: str) -> Folder:
        folder = self.folders.get(key.domain, code, strict=self.settings.strict_folders)
        if folder is None:
            raise RefusedError(wordings.folder_unknown(code))
        return folder

    def _import(self, call: Call, key: Key) -> Answer:
        """Reference: Loop API 3.7; a wrong method is answered like a missing body."""
        try:
            body = payload.body(call.body if call.method == "POST" else None)
            folder = self._folder(key, payload.folder_code(body))
            attached = payload.has_attachment(body)
            course = self._course(call, folder, key, attached=attached)
            if course.access is Access.REFUSED_AT_POST:
                message = _access_refused(folder, course.language)
                return refused(wordings.of_import(message, course.language))
            if call.route is Route.IMPORT_JSON:
                return self._queue(folder, payload.checked(body, folder), course)
            payload.check_file(body)
            return self._queue(folder, None, course)
        except RefusedError as refusal:
            return refused(wordings.of_import(str(refusal)))

    def _course(self, call: Call, folder: Folder, key: Key, *, attached: bool) -> Course:
        access = folder.access if key.reaches(folder.code) else Access.REFUSED_AT_POST
        course = Course(access, folder.language)
        if call.route is Route.IMPORT_JSON:
            course = self.faults.on_import(course, folder.domain, folder.code, attached=attached)
        if not course.folder_known:
            raise RefusedError(wordings.folder_unknown(folder.code))
        return course

    def _queue(self, folder: Folder, content: Payload | None, course: Course) -> Answer:
        """Status 1 and 2 last half the import's time each, and what a fault adds to one."""
        now = self.clock()
        half = dt.timedelta(milliseconds=self.settings.import_ms) / 2
        running_at = now + half + dt.timedelta(seconds=course.spent_at(Status.WAITING))
        ends_at = running_at + half + dt.timedelta(seconds=course.spent_at(Status.RUNNING))
        imported = Import(
            request_id=str(uuid.uuid4()),
            folder=folder,
            payload=content,
            course=course,
            received_at=now,
            running_at=running_at,
            sent_lines=0 if content is None else len(content.lines),
        )
        self.imports[imported.request_id] = imported
        if course.ends:
            self._later((ends_at - now).total_seconds(), lambda: self._end(imported))
        return answered({"accountingImportRequestId": imported.request_id}, "accepted")

    def _end(self, imported: Import) -> None:
        if self.imports.get(imported.request_id) is not imported:
            return  # Loop was reset meanwhile.
        content, imported.payload = imported.payload, None
        imported.ended_at = self.clock()
        if content is None:
            # Files are not fetched here: importFEC and importPerso stand for their refusals alone.
            imported.ended, imported.reason = Status.FAILED, "aucun fichier n'est lu"
            return
        end = verdict(content, imported.folder, imported.course)
        if end.bookable:
            fetch = self._fetch if self.settings.fetch_attachments else None
            booking = Booking(self.ledger, imported, imported.ended_at, fetch)
            imported.booked_entries = booking.book(content, end)
        imported.ended, imported.reason, imported.message = end.status, end.reason, end.message

    def _status(self, call: Call, key: Key) -> Answer:
        """Reference: Loop API 3.10. How an unknown request is answered is an assumption."""
        reading = self.faults.on_read(Reading(), Route.STATUS, key.domain, call.folder)
        imported = self._imported(key.domain, call.query)
        if imported is None or not reading.request_known:
            request_id = call.query.get("accountingImportRequestId", "")
            raise RefusedError(f"la demande d'import {request_id} est inconnue")
        body: dict[str, Any] = readings.status_body(imported.status(self.clock()), reading)
        if imported.message is not None:
            # Only refusals of access and of a document have words (assumptions 1 and 17; reference:
            # Loop API 10).
            body["message"] = imported.message
        return answered(body)


def _reaches(key: Key, folder: Folder) -> bool:
    return folder.access is not Access.REFUSED_AT_POST and key.reaches(folder.code)


def _listed(
    call: Call, found: Iterable[R], shown: Callable[[R], dict[str, Any]], reading: Reading
) -> Answer:
    conditions = filters.of_list(call.query.get("filter", ""))
    return answered(readings.rows(found, shown, conditions, readings.page(call.query), reading))


def _access_refused(folder: Folder, language: Language) -> str:
    return wordings.access_refused(language, folder.collaborator, folder.code)


def _deposit(call: Call) -> Answer:
    """Reference: Loop API 3.9. The address is one that nobody can reach."""
    name = call.query.get("filename", "")
    if name.rpartition(".")[2].lower() not in {"tra", "txt", "csv"} or "." not in name:
        raise RefusedError("le nom de fichier attend une extension tra, txt ou csv")
    uri = f"depot/{uuid.uuid4()}/{name}"
    return answered({"depositUrl": f"https://depot.invalid/{uri}?sig=x", "uri": uri})


def _json(body: bytes) -> object:
    """The body with exact amounts; None where it is no JSON."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
