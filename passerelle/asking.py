"""Asking Loop whether what is uncertain is there (engine rules 8 and 10 to 12)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.backoff import A_DAY, ask_delay
from passerelle.domain.conclusion import Conclusion, conclude
from passerelle.domain.outcome import Answer
from passerelle.domain.states import Closing, Reason, Scope, State
from passerelle.domain.verdict import MOST_ROWS, Row, Verdict, holds, judge
from passerelle.loop_api.client import Credentials, Loop, Place
from passerelle.observe import log
from passerelle.store import pauses, questions
from passerelle.store.cases import Cause, hold, of_entry, open_case
from passerelle.store.imports import lock_import
from passerelle.store.questions import Control, Question
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move
from passerelle.store.unanswered import heed
from passerelle.store.vault import Vault
from schemas.loop import sent_moves

# Time between two answers of Loop counts as settling only so far: it may have been down between.
_LONGEST_GAP = 900.0
# While one entry of a request is asked for, the others wait a little longer than it.
_BEHIND = 60.0
_SOON = 1.0
# Loop may have lost the origin of one entry, or somebody may have deleted it there.
_MOST_CONTROLS = 3

_NO_ORIGIN = "It was sent without an origin, by which Loop could be asked for it."
_LOOK = " Look for it there and settle it by hand."
_NOBODY_KNOWS = "Nobody can tell whether it is in Loop: "
_IN_PART = f"{_NOBODY_KNOWS}some of its lines are there, and some are not.{_LOOK}"
_NO_CONTROL = (
    f"{_NOBODY_KNOWS}it was not found there for a day, and nothing else was, either.{_LOOK}"
)
_LIKE_IT = (
    f"{_NOBODY_KNOWS}not under its origin, but lines like its own may be there under its piece."
    f"{_LOOK}"
)
_DIFFERENTLY = "It is in Loop with other accounts, third parties or amounts than were sent."
_TWICE = "All lines of the entry are in Loop more than once."
_FAILED = "Loop ended the import with an error."
_ABSENT = "It is not in Loop and will not come: seen twice, beside an entry that was found."
_EXHAUSTED = "Sent alone {} times, each time without an answer and without a trace in Loop."


@dataclass(frozen=True, slots=True)
class AskingTerms:
    """How Loop is asked; seconds, and requests a second at first and at most.

    `ask_seconds`: how long a question may take before somebody else asks it again. `settle_seconds`
    pass before absence is believed, from `allowed_seconds` after the mark; `read_gap_seconds`
    between two reads of which the second confirms the first.
    """

    ask_seconds: float
    allowed_seconds: float
    settle_seconds: float
    read_gap_seconds: float
    max_attempts: int
    pace: tuple[float, float]


class Asking:
    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        vault: Vault,
        terms: AskingTerms,
        chance: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._vault = vault
        self._terms = terms
        self._chance = chance
        self._sleep = sleep

    def ask(self, entries: Sequence[int]) -> None:
        """Ask Loop about each of these that is uncertain and due, and record what it says.

        They are of one folder: a control that is found serves all of them.
        """
        control: bool | None = None
        for entry in entries:
            with self._engine.begin() as connection:
                question = questions.take_question(connection, entry, self._terms.ask_seconds)
            if question is None:
                self._look_again(entry)
                continue
            if question.lines[0].get("ecritureOrigine") is None:
                self._cannot_ask(question)
                continue
            seen = self._look_for(question, question)
            if seen is None:
                continue
            verdict, rows = seen
            settled = self._heard(question, verdict, rows)
            # What has failed need not be waited for (rule 16).
            over = settled or question.failed_seconds is not None
            if verdict is Verdict.ABSENT and over and control is None:
                control = self._control(question)
                if control is None:
                    continue
            self._conclude(question, verdict, settled=settled, control=bool(control))

    def _look_again(self, entry: int) -> None:
        """Whether an entry that was sent twice is there twice (rule 5)."""
        with self._engine.begin() as connection:
            question = questions.take_second_look(connection, entry, _LONGEST_GAP)
        if question is None or question.lines[0].get("ecritureOrigine") is None:
            return
        seen = self._look_for(question, question)
        if seen is None:
            return
        verdict, rows = seen
        with self._engine.begin() as connection:
            questions.note(connection, question, verdict, rows, "")
            if verdict is Verdict.TWICE:
                open_case(connection, _cause(question, Reason.LANDED_TWICE, _TWICE))
            questions.looked_again(connection, entry)

    def _look_for(self, question: Question, sent: Question | Control) -> tuple[Verdict, int] | None:
        """What Loop shows by the origin of what was sent, and in how many rows; None as `_read`."""
        origin = sent.lines[0]["ecritureOrigine"]
        said = self._read(
            question, sent.folder_id, lambda keys: self._loop.find_entry(keys, sent.folder, origin)
        )
        return None if said is None else (judge(sent_moves(sent.lines), said, origin), len(said))

    def _read(
        self,
        question: Question,
        folder_id: int,
        call: Callable[[Credentials], list[Row] | Answer],
    ) -> list[Row] | None:
        """The rows of one read; None where there was no turn or no answer: asked again later."""
        with self._engine.begin() as connection:
            wait = pauses.take_turn(connection, question.firm_id, *self._terms.pace)
            if wait is None:
                questions.ask_again(connection, question.entry, pauses.LONGEST_WAIT)
        if wait is None:
            return None
        self._sleep(wait)
        said = call(Credentials.opened(question, self._vault.open))
        if isinstance(said, Answer):
            self._not_answered(question, folder_id, said)
            return None
        with self._engine.begin() as connection:
            pauses.answered(connection, question.firm_id, self._terms.pace[1])
        return said

    def _heard(self, question: Question, verdict: Verdict, rows: int) -> bool:
        """Write it down; whether Loop has had its time by now."""
        terms = self._terms
        with self._engine.begin() as connection:
            questions.note(connection, question, verdict, rows, "")
            settled = questions.settle_more(
                connection,
                question.import_id,
                allowed=terms.allowed_seconds,
                needed=terms.settle_seconds,
                longest=_LONGEST_GAP,
            )
        log.info(
            "asked for an entry", entry=question.entry, verdict=verdict, rows=rows, settled=settled
        )
        return settled

    def _control(self, question: Question) -> bool | None:
        """Whether an entry that Loop has for sure is found in the same way; None: not known now."""
        with self._engine.begin() as connection:
            controls = questions.controls_for(connection, question, _MOST_CONTROLS)
        for control in controls:
            seen = self._look_for(question, control)
            if seen is None:
                return None
            if seen[0] in {Verdict.PRESENT, Verdict.TWICE}:
                return True
        return False

    def _conclude(
        self, question: Question, verdict: Verdict, *, settled: bool, control: bool
    ) -> None:
        before = None if question.before is None else Verdict(question.before)
        conclusion = conclude(
            verdict,
            before,
            settled=settled,
            control=control,
            absent_seconds=question.absent_seconds,
            open_seconds=question.open_seconds,
            failed_seconds=question.failed_seconds,
            read_gap_seconds=self._terms.read_gap_seconds,
        )
        message = _IN_PART if verdict is Verdict.PARTIAL else _NO_CONTROL
        if conclusion in {Conclusion.ABSENT, Conclusion.REFUSED}:
            line = question.lines[0]
            place = Place(line["journal"], line["refPiece"], line["date"][:10])
            # Loop may have lost the origin of this entry alone.
            said = self._read(
                question,
                question.folder_id,
                lambda keys: self._loop.find_piece(keys, question.folder, place),
            )
            if said is None:
                return
            if len(said) >= MOST_ROWS or holds(said, sent_moves(question.lines)):
                conclusion, message = Conclusion.UNDECIDED, _LIKE_IT
        counts = verdict is Verdict.ABSENT and settled and control
        with self._engine.begin() as connection:
            # The import first, as whoever records an answer to it does.
            lock_import(connection, question.import_id)
            if not questions.is_open(connection, question):
                # An answer came while Loop was asked.
                return
            if conclusion is Conclusion.OPEN:
                questions.note_absence(connection, question, absent=counts)
                self._later(connection, question, verdict, to_wait=not counts)
            else:
                self._apply(connection, question, conclusion, message)

    def _apply(
        self, connection: Connection, question: Question, conclusion: Conclusion, message: str
    ) -> None:
        match conclusion:
            case Conclusion.IN_LOOP:
                self._found(connection, question)
            case Conclusion.IN_LOOP_TWICE:
                self._found(connection, question)
                open_case(connection, _cause(question, Reason.LANDED_TWICE, _TWICE))
            case Conclusion.LANDED_DIFFERENTLY:
                _park(connection, question, Reason.LANDED_DIFFERENTLY, _DIFFERENTLY)
            case Conclusion.UNDECIDED:
                _park(connection, question, Reason.UNDECIDED, message)
            case Conclusion.ABSENT_ONCE:
                questions.note_absence(connection, question, absent=True)
                gap = self._terms.read_gap_seconds
                questions.ask_again(connection, question.entry, gap)
            case Conclusion.ABSENT:
                self._absent(connection, question)
            case Conclusion.REFUSED:
                self._refused(connection, question)

    @staticmethod
    def _found(connection: Connection, question: Question) -> None:
        questions.close_attempt(connection, question.entry, question.import_id, Closing.ENDED)
        change = Change(State.SYNCED, message="Found in Loop.", import_id=question.import_id)
        move(connection, [question.entry], {State.UNCERTAIN}, change)
        settle(connection, [question.entry])
        questions.look_again(connection, [question.entry])
        # What was sent with it may be there, too, or be on its way (rule 12).
        questions.settle_anew(connection, question.import_id)
        questions.ask_others(connection, question, 0.0)

    def _absent(self, connection: Connection, question: Question) -> None:
        """It has its turn again; in halves, because one entry may be why Loop did not answer."""
        entry = question.entry
        questions.close_attempt(connection, entry, question.import_id, Closing.PROVEN_ABSENT)
        times = questions.alone_and_absent(connection, entry)
        if times >= self._terms.max_attempts:
            _park(connection, question, Reason.EXHAUSTED, _EXHAUSTED.format(times))
            return
        half = questions.half_of(connection, question)
        change = Change(State.WAITING, message=_ABSENT, import_id=question.import_id, half=half)
        move(connection, [entry], {State.UNCERTAIN}, change)
        settle(connection, [entry])

    @staticmethod
    def _refused(connection: Connection, question: Question) -> None:
        """In halves, until the one that Loop would not have is alone."""
        message = question.message or _FAILED
        questions.close_attempt(connection, question.entry, question.import_id, Closing.ENDED)
        half = questions.half_of(connection, question)
        if half is None:
            _park(connection, question, Reason.REFUSED_BY_LOOP, message)
            return
        change = Change(State.WAITING, message=message, import_id=question.import_id, half=half)
        move(connection, [question.entry], {State.UNCERTAIN}, change)
        settle(connection, [question.entry])

    def _later(
        self, connection: Connection, question: Question, verdict: Verdict | None, *, to_wait: bool
    ) -> None:
        """`to_wait`: what was sent with it has nothing else to expect."""
        delay = ask_delay(question.asked + 1, self._chance())
        if verdict in {Verdict.PARTIAL, Verdict.DIFFERENT}:
            delay = max(delay, self._terms.read_gap_seconds)
        elif question.failed_seconds is not None:
            delay = max(_SOON, self._terms.read_gap_seconds - question.failed_seconds)
            questions.ask_others(connection, question, delay + _SOON)
        elif verdict is Verdict.ABSENT:
            # Time counts as settling only while Loop is seen to answer.
            delay = min(delay, _LONGEST_GAP)
            if to_wait:
                questions.ask_others(connection, question, delay + _BEHIND)
        questions.ask_again(connection, question.entry, delay)

    def _cannot_ask(self, question: Question) -> None:
        with self._engine.begin() as connection:
            lock_import(connection, question.import_id)
            questions.note(connection, question, None, None, _NO_ORIGIN)
            if question.open_seconds > A_DAY:
                message = f"{_NOBODY_KNOWS}{_NO_ORIGIN}{_LOOK}"
                _park(connection, question, Reason.UNDECIDED, message)
            else:
                questions.ask_again(connection, question.entry, A_DAY - question.open_seconds)

    def _not_answered(self, question: Question, folder_id: int, answer: Answer) -> None:
        """`folder_id` is whose lines were asked for: a control may be of another."""
        with self._engine.begin() as connection:
            questions.note(connection, question, None, None, answer.message)
            questions.stand_still(connection, question.import_id)
            heed(connection, question.firm_id, folder_id, answer, self._chance())
            self._later(connection, question, None, to_wait=True)


def _park(connection: Connection, question: Question, reason: Reason, message: str) -> None:
    """While the attempt is open, nothing is sent again before a person has settled it."""
    if reason is Reason.LANDED_DIFFERENTLY:
        # What made this entry land so may do it to the others of its folder.
        place = (question.firm_id, question.folder_id)
        case_id = hold(connection, Cause(Scope.FOLDER, *place, reason, message))
    else:
        case_id = open_case(connection, _cause(question, reason, message))
    change = Change(State.PARKED, reason, message, case_id, question.import_id)
    move(connection, [question.entry], {State.UNCERTAIN}, change)


def _cause(question: Question, reason: Reason, message: str) -> Cause:
    return of_entry(question.firm_id, question.folder_id, question.entry, reason, message)
