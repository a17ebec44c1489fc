"""Asking Loop whether an entry is there (engine rules 5, 8 and 10 to 16)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from passerelle.domain.backoff import A_DAY, ask_delay
from passerelle.domain.conclusion import Conclusion, conclude
from passerelle.domain.outcome import Answer, Outcome, Sort
from passerelle.domain.states import Closing, Reason, Scope, State
from passerelle.domain.verdict import Strategy, Verdict
from passerelle.lookup import NO_TURN, Lookup
from passerelle.observe import log
from passerelle.store import absence, questions
from passerelle.store.cases import Cause, hold, of_entry, open_case, refused
from passerelle.store.imports import apply, end_if_read, lock_import
from passerelle.store.pauses import LONGEST_WAIT
from passerelle.store.questions import Question, Seen, Sent
from passerelle.store.revisions import settle
from passerelle.store.transitions import Change, move
from passerelle.store.unanswered import heed

# Time between two answers of Loop counts as settling only so far: it may have been down between.
_LONGEST_GAP = 900.0
# While one entry of a request is asked for, the others wait a little longer than it.
_BEHIND = 60.0
_SOON = 1.0
# Loop may have lost the origin of one entry, or somebody may have deleted it there.
_MOST_CONTROLS = 3

_THERE = {Verdict.PRESENT, Verdict.TWICE}
_NOTHING = {Verdict.ABSENT, Verdict.INCOMPLETE}
# What says that an import did not do what its status 3 says.
_NOT_AS_SENT = {Verdict.ABSENT, Verdict.PARTIAL, Verdict.DIFFERENT}

_LOOK = " Look for it there and settle it by hand."
_NOBODY_KNOWS = "Nobody can tell whether it is in Loop: "
_LIKE_IT = (
    f"{_NOBODY_KNOWS}lines like its own are there under its journal, piece and date, but they may "
    f"be another entry's.{_LOOK}"
)
_UNDECIDED = {
    Verdict.PARTIAL: f"{_NOBODY_KNOWS}some of its lines are there, and some are not.{_LOOK}",
    Verdict.AMBIGUOUS: _LIKE_IT,
    Verdict.ABSENT: (
        f"{_NOBODY_KNOWS}it was not found there for a day, and nothing else was, either.{_LOOK}"
    ),
}
_NOT_SHOWN = (
    f"{_NOBODY_KNOWS}for a day Loop showed more lines than it can show at once, or others than it "
    f"was asked for.{_LOOK}"
)
_DIFFERENTLY = "It is in Loop with other accounts, third parties or amounts than were sent."
_TWICE = "All lines of the entry are in Loop more than once."
_FAILED = "Loop ended the import with an error."
_ABSENT = "It is not in Loop and will not come: seen twice, beside an entry that was found."
_EXHAUSTED = "Sent alone {} times, each time without an answer and without a trace in Loop."
_NOT_TRUE = "Loop calls the import done, but one of its entries is not there as it was sent."


@dataclass(frozen=True, slots=True)
class AskingTerms:
    """How Loop is asked; in seconds.

    `ask_seconds`: how long a question may take before somebody else asks it again. `settle_seconds`
    pass before absence is believed, from `allowed_seconds` after the mark; `read_gap_seconds`
    between two reads of which the second confirms the first. `atomic`: Loop is known to import all
    or nothing.
    """

    ask_seconds: float
    allowed_seconds: float
    settle_seconds: float
    read_gap_seconds: float
    max_attempts: int
    atomic: bool


class Asking:
    def __init__(
        self, engine: Engine, lookup: Lookup, terms: AskingTerms, chance: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._lookup = lookup
        self._terms = terms
        self._chance = chance

    def ask(self, entries: Sequence[int]) -> None:
        """Ask Loop about each of these that is due, and record what it says.

        They are of one folder: a control that is found serves all of them.
        """
        controls: dict[Strategy, bool] = {}
        for entry in entries:
            with self._engine.begin() as connection:
                question = questions.take_question(connection, entry, self._terms.ask_seconds)
            if question is None:
                self._look_again(entry)
            elif question.failed_seconds is None or not self._left_nothing(question, controls):
                self._ask(question, controls)

    def _ask(self, question: Question, controls: dict[Strategy, bool]) -> None:
        seen = self._look(question, question.sent, question.sent.strategy)
        if seen is None:
            return
        settled = self._settled(question)
        # What Loop calls ended need not be waited for.
        over = settled or question.done or question.failed_seconds is not None
        if not over or seen.verdict not in _NOTHING:
            self._conclude(question, seen, settled=settled, control=False)
            return
        control = self._control(question, seen.strategy, controls)
        # Loop may keep no origins, or not show them.
        if seen.strategy is Strategy.ORIGIN and (
            control is False or seen.verdict is Verdict.INCOMPLETE
        ):
            seen = self._look(question, question.sent, Strategy.PIECE)
            control = None if seen is None else self._control(question, seen.strategy, controls)
        if seen is not None and control is not None:
            self._conclude(question, seen, settled=settled, control=control)

    def _left_nothing(self, question: Question, controls: dict[Strategy, bool]) -> bool:
        """Whether nothing like it is there after its import has failed, whatever became of its
        origin: then one read is enough (rule 16). True also where Loop did not say.
        """
        said = self._lookup.look_for_trace(question, question.sent)
        if isinstance(said, Answer):
            self._not_answered(question, question.sent.folder_id, said)
            return True
        if said.verdict is not Verdict.ABSENT:
            return False
        control = self._control(question, said.strategy, controls)
        if control is not None:
            self._conclude(question, said, settled=False, control=control)
        return True

    def _look_again(self, entry: int) -> None:
        """At a sample of what Loop calls done (rule 14), or at what was sent twice (rule 5)."""
        with self._engine.begin() as connection:
            question = questions.take_second_look(connection, entry, self._terms.ask_seconds)
        if question is None:
            return
        said = self._best_look(question)
        if isinstance(said, Answer) and not _gives_up(question, said):
            self._not_answered(question, question.sent.folder_id, said)
            return
        seen, message = (None, said.message) if isinstance(said, Answer) else (said, None)
        with self._engine.begin() as connection:
            request = lock_import(connection, question.import_id)
            questions.note(connection, question, seen, message)
            questions.looked_again(connection, entry)
            is_sample = questions.is_open(connection, question)
            if is_sample and seen is not None and seen.verdict in _NOT_AS_SENT:
                apply(connection, request, Outcome(State.UNCERTAIN), _NOT_TRUE)
                return
            if seen is not None and _is_twice(seen, question.sent):
                open_case(connection, _cause(question, Reason.LANDED_TWICE, _TWICE))
            if is_sample:
                end_if_read(connection, request)

    def _best_look(self, question: Question) -> Seen | Answer:
        """By its origin and then by piece: Loop may have lost its origin, or that of its double."""
        said = self._lookup.look(question, question.sent, question.sent.strategy)
        is_sample = question.state is State.POSTED
        enough = _THERE | {Verdict.DIFFERENT} if is_sample else {Verdict.TWICE}
        if (
            isinstance(said, Seen)
            and said.strategy is Strategy.ORIGIN
            and said.verdict not in enough
        ):
            return self._lookup.look(question, question.sent, Strategy.PIECE)
        return said

    def _look(self, question: Question, sent: Sent, strategy: Strategy) -> Seen | None:
        """What Loop shows of what was sent; None where it did not say: asked again later."""
        said = self._lookup.look(question, sent, strategy)
        if isinstance(said, Answer):
            self._not_answered(question, sent.folder_id, said)
            return None
        return said

    def _settled(self, question: Question) -> bool:
        """Loop answered; whether it has had its time by now."""
        terms = self._terms
        with self._engine.begin() as connection:
            return absence.settle_more(
                connection,
                question.import_id,
                allowed=terms.allowed_seconds,
                needed=terms.settle_seconds,
                longest=_LONGEST_GAP,
            )

    def _control(
        self, question: Question, strategy: Strategy, known: dict[Strategy, bool]
    ) -> bool | None:
        """Whether an entry that Loop has for sure is found in the same way; None: not known now."""
        if strategy in known:
            return known[strategy]
        with self._engine.begin() as connection:
            controls = absence.controls_for(connection, question, strategy, _MOST_CONTROLS)
        for control in controls:
            seen = self._look(question, control, strategy)
            if seen is None:
                return None
            if seen.verdict not in _NOTHING:
                known[strategy] = True
                return True
        known[strategy] = False
        return False

    def _conclude(self, question: Question, seen: Seen, *, settled: bool, control: bool) -> None:
        conclusion = conclude(
            seen.verdict,
            question.before,
            settled=settled,
            control=control,
            absent_seconds=question.absent_seconds,
            open_seconds=question.open_seconds,
            failed_seconds=question.failed_seconds,
            read_gap_seconds=self._terms.read_gap_seconds,
        )
        message = _UNDECIDED.get(seen.verdict, _NOT_SHOWN)
        looks = [seen]
        gives_up = conclusion in {Conclusion.ABSENT, Conclusion.REFUSED}
        if gives_up and seen.strategy is Strategy.ORIGIN:
            # Loop may have lost the origin of this entry alone.
            trace = self._look(question, question.sent, Strategy.PIECE)
            if trace is None:
                return
            looks.append(trace)
            if trace.verdict is Verdict.INCOMPLETE and question.open_seconds <= A_DAY:
                # One answer that shows too much, or not what was asked for, decides nothing.
                conclusion = Conclusion.OPEN
            elif trace.verdict is not Verdict.ABSENT:
                conclusion = Conclusion.UNDECIDED
                message = _NOT_SHOWN if trace.verdict is Verdict.INCOMPLETE else _LIKE_IT
        counts = seen.verdict is Verdict.ABSENT and settled and control
        with self._engine.begin() as connection:
            # The import first, as whoever records an answer to it does.
            lock_import(connection, question.import_id)
            for look in looks:
                questions.note(connection, question, look)
            if not questions.is_open(connection, question):
                # An answer came while Loop was asked.
                return
            if conclusion is Conclusion.OPEN:
                absence.note_absence(connection, question, absent=counts)
                to_wait = not counts and not question.done
                self._later(connection, question, seen.verdict, to_wait=to_wait)
            else:
                self._apply(connection, question, conclusion, message)
        log.info(
            "asked for an entry",
            entry=question.entry,
            strategy=seen.strategy,
            verdict=seen.verdict,
            rows=seen.rows,
            settled=settled,
            conclusion=conclusion.name,
        )

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
                absence.note_absence(connection, question, absent=True)
                gap = self._terms.read_gap_seconds
                questions.ask_again(connection, question.entry, gap)
            case Conclusion.ABSENT:
                self._absent(connection, question)
            case Conclusion.REFUSED:
                self._refused(connection, question)

    @staticmethod
    def _found(connection: Connection, question: Question) -> None:
        entries = [question.entry]
        questions.close_attempts(connection, entries, question.import_id, Closing.ENDED)
        change = Change(State.SYNCED, message="Found in Loop.", import_id=question.import_id)
        move(connection, entries, {State.UNCERTAIN}, change)
        settle(connection, entries)
        questions.look_again(connection, entries)
        # What was sent with it may be there, too, or be on its way (rule 12).
        absence.settle_anew(connection, question.import_id)
        questions.ask_others(connection, question, 0.0)

    def _absent(self, connection: Connection, question: Question) -> None:
        """It has its turn again; in halves, because one entry may be why Loop did not answer."""
        entries = [question.entry]
        import_id = question.import_id
        questions.close_attempts(connection, entries, import_id, Closing.PROVEN_ABSENT)
        times = absence.alone_and_absent(connection, question.entry)
        if times >= self._terms.max_attempts:
            _park(connection, question, Reason.EXHAUSTED, _EXHAUSTED.format(times))
            return
        half = questions.half_of(connection, question)
        name = None if half is None else half.name
        change = Change(State.WAITING, message=_ABSENT, import_id=import_id, half=name)
        move(connection, entries, {State.UNCERTAIN}, change)
        settle(connection, entries)

    def _refused(self, connection: Connection, question: Question) -> None:
        """In halves, until the one that Loop would not have is alone."""
        message, import_id = question.message or _FAILED, question.import_id
        half = questions.half_of(connection, question)
        if half is None:
            questions.close_attempts(connection, [question.entry], import_id, Closing.ENDED)
            _park(connection, question, Reason.REFUSED_BY_LOOP, message)
            return
        # Of an import that is all or nothing one that is absent speaks for the half.
        entries = half.entries if self._terms.atomic else [question.entry]
        change = Change(State.WAITING, message=message, import_id=import_id, half=half.name)
        moved = move(connection, entries, {State.UNCERTAIN}, change)
        questions.close_attempts(connection, moved, import_id, Closing.ENDED)
        settle(connection, moved)

    def _later(
        self, connection: Connection, question: Question, verdict: Verdict | None, *, to_wait: bool
    ) -> None:
        """`to_wait`: what was sent with it has nothing else to expect."""
        delay = ask_delay(question.asked + 1, self._chance())
        gap = self._terms.read_gap_seconds
        failed = question.failed_seconds
        if verdict in {Verdict.PARTIAL, Verdict.DIFFERENT, Verdict.AMBIGUOUS}:
            delay = max(delay, gap)
        elif failed is not None and failed < gap:
            delay = max(_SOON, gap - failed)
            questions.ask_others(connection, question, delay + _SOON)
        elif verdict is Verdict.ABSENT:
            # Time counts as settling only while Loop is seen to answer.
            delay = min(delay, _LONGEST_GAP)
            if to_wait:
                questions.ask_others(connection, question, delay + _BEHIND)
        questions.ask_again(connection, question.entry, delay)

    def _not_answered(self, question: Question, folder_id: int, answer: Answer) -> None:
        """`folder_id` is whose lines were asked for: a control may be of another."""
        with self._engine.begin() as connection:
            delay = LONGEST_WAIT
            if answer is not NO_TURN:
                delay = ask_delay(question.asked + 1, self._chance())
                questions.note(connection, question, None, answer.message)
                heed(connection, question.firm_id, folder_id, answer, self._chance())
            if question.state is not State.UNCERTAIN:
                questions.look_later(connection, question.entry, delay)
            elif answer is NO_TURN:
                questions.ask_again(connection, question.entry, delay)
            else:
                absence.stand_still(connection, question.import_id)
                self._later(connection, question, None, to_wait=True)


def _gives_up(question: Question, answer: Answer) -> bool:
    """Whether what is to be read again cannot be: no answer for a day, or one that nobody can read.

    Then what Loop said of the import is believed, as without samples.
    """
    if answer is NO_TURN:
        return False
    passes = answer.down or answer.reason is not None or answer.sort in {Sort.AGAIN, Sort.PAUSE}
    return not passes or question.open_seconds > A_DAY


def _is_twice(seen: Seen, sent: Sent) -> bool:
    by_piece = seen.verdict is Verdict.AMBIGUOUS and sent.alone
    return seen.verdict is Verdict.TWICE or by_piece


def _park(connection: Connection, question: Question, reason: Reason, message: str) -> None:
    """While the attempt is open, nothing is sent again before a person has settled it."""
    place = (question.firm_id, question.sent.folder_id)
    if reason is Reason.LANDED_DIFFERENTLY:
        # What made this entry land so may do it to the others of its folder.
        case_id = hold(connection, Cause(Scope.FOLDER, *place, reason, message))
    elif reason is Reason.REFUSED_BY_LOOP:
        case_id = open_case(connection, refused(*place, message))
    else:
        case_id = open_case(connection, _cause(question, reason, message))
    change = Change(State.PARKED, reason, message, case_id, question.import_id)
    move(connection, [question.entry], {State.UNCERTAIN}, change)


def _cause(question: Question, reason: Reason, message: str) -> Cause:
    return of_entry(question.firm_id, question.sent.folder_id, question.entry, reason, message)
