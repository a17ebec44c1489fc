"""The tables of answers and of outcomes are total, and no way leads out of a final state."""

import datetime as dt
import json

from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.outcome import Answer, Sort, of_post, of_status
from passerelle.domain.states import FINAL, TRANSITIONS, Reason, State
from passerelle.loop_api.answers import Exchange, sort_failure, sort_import, sort_status
from passerelle.store.imports import MOVED_FROM

REFUSABLE = [Reason.ACCESS_DENIED, Reason.UNKNOWN_FOLDER, Reason.CREDENTIALS_REFUSED]
WORDS = st.text() | st.sampled_from(
    [
        *("SIRET est invalide", "n'a pas accès au dossier", "n'existe pas sur le domaine"),
        *("Out of call volume quota. Quota will be replenished in 07:01:20.", "x" * 5000),
    ]
)
JSON_BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["accountingImportRequestId", "error", "message", "instanceId", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
).map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "WWW-Authenticate", "Date"]),
    st.text(max_size=30)
    | st.from_regex(r"[0-9]{1,400}", fullmatch=True)
    | st.from_regex(r"Mon, [0-9]{1,2} Jan [0-9]{1,12} [0-9]{2}:00:00 [-+]?[0-9A-Z]{3,9}"),
)
EXCHANGES = st.builds(
    Exchange,
    status=st.integers(100, 599) | st.sampled_from([200, 401, 403, 408, 429, 500]),
    headers=HEADERS,
    body=st.binary(max_size=200) | JSON_BODIES,
)
FAILURES = st.builds(Exchange, failure=st.text(), written=st.booleans())
AT = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Every answer that the client can give."""
    sort = draw(st.sampled_from(Sort))
    return Answer(
        sort,
        draw(WORDS),
        draw(st.none() | st.integers(100, 599)),
        reason=draw(st.sampled_from(REFUSABLE)) if sort is Sort.PERSON else None,
        request_id=draw(st.uuids()).hex if sort is Sort.ACCEPTED else None,
        retry_after=draw(st.none() | st.floats(0, 10**9)) if sort is Sort.PAUSE else None,
        down=draw(st.booleans()),
    )


@given(EXCHANGES | FAILURES)
def test_everything_that_can_come_back_is_sorted_and_can_be_stored(exchange: Exchange) -> None:
    answer = sort_import(exchange)
    answer.message.encode()
    assert "\0" not in answer.message or answer.message == exchange.failure
    assert (answer.sort is Sort.PERSON) == (answer.reason is not None)
    assert (answer.sort is Sort.ACCEPTED) == (answer.request_id is not None)
    assert answer.retry_after is None or answer.retry_after >= 0
    of_post(answer, 1)


@given(EXCHANGES)
def test_an_import_is_accepted_or_refused_by_the_body_of_a_200_alone(exchange: Exchange) -> None:
    if exchange.status != 200:
        answer = sort_status(exchange, AT)
        assert answer.sort in {Sort.UNKNOWN, Sort.PAUSE, Sort.PERSON}
        harmless = answer.sort is not Sort.UNKNOWN
        assert not harmless or exchange.status in {401, 403, 429}


@given(FAILURES)
def test_what_was_written_is_never_sent_again_unasked(exchange: Exchange) -> None:
    assert (sort_failure(exchange).sort is Sort.AGAIN) == (not exchange.written)


@given(answers(), st.integers(1, 500))
def test_every_answer_has_an_outcome_that_the_states_allow(answer: Answer, entries: int) -> None:
    outcome = of_post(answer, entries)
    assert outcome.to in TRANSITIONS[State.POSTING]
    # An attempt stays open where the entries may be in Loop, and only there.
    assert (outcome.closing is None) == (outcome.to in {State.POSTED, State.UNCERTAIN})
    assert (outcome.to is State.UNCERTAIN) == (answer.sort is Sort.UNKNOWN)
    assert (outcome.to is State.PARKED) == (outcome.reason is not None)
    assert not outcome.halve or entries > 1


@given(st.none() | st.integers(), st.none() | st.sampled_from(REFUSABLE))
def test_every_status_has_an_outcome_that_the_states_allow(
    status: int | None, reason: Reason | None
) -> None:
    outcome = of_status(status, reason)
    assert (outcome is None) == (status not in {3, 4})
    if outcome is not None:
        assert outcome.to in TRANSITIONS[State.POSTED]
        assert (outcome.closing is None) == (outcome.to is State.UNCERTAIN)


@given(st.lists(st.sampled_from(State), min_size=1))
def test_no_way_leads_out_of_a_final_state(way: list[State]) -> None:
    here = State.RECEIVED
    for step in way:
        if step in TRANSITIONS[here]:
            assert here not in FINAL
            here = step


@given(answers(), st.integers(1, 500))
def test_an_answer_moves_no_entry_that_is_final(answer: Answer, entries: int) -> None:
    moved_from = MOVED_FROM[of_post(answer, entries).to]
    assert not moved_from & FINAL
    assert State.POSTING in moved_from
    # A late answer finds its entry uncertain.
    assert answer.sort is Sort.UNKNOWN or State.UNCERTAIN in moved_from
