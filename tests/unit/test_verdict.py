"""Whether what Loop shows is what was sent."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.verdict import (
    Found,
    Moved,
    Place,
    Row,
    Verdict,
    judge_by_origin,
    judge_by_piece,
    moved,
    twin_key,
)

ORIGIN = "24d61dbb-674d-5d13-a9e7-91b519531d88"
OTHER = "8c5f2f0e-3b0e-5d0b-9c4e-7a1f0c9d2e55"
SENT = [
    moved("606400", None, 100.0, 0),
    moved("445660", None, 20.0, 0),
    moved("401000", "FPAP", 0, 120.0),
]


PLACE = Place("ACH", "F-1", "2026-11-20")


def rows(*lines: Moved, origin: str | None = ORIGIN, place: Place | None = PLACE) -> list[Row]:
    return [Row(line, line.account, origin, place) for line in lines]


@pytest.mark.parametrize(
    ("shown", "verdict"),
    [
        (rows(*SENT), Verdict.PRESENT),
        (rows(*reversed(SENT)), Verdict.PRESENT),
        (rows(*SENT, origin=ORIGIN.upper()), Verdict.PRESENT),
        (rows(*SENT, origin=f"{{{ORIGIN}}}"), Verdict.PRESENT),
        # A chart may be longer than the hub's.
        (rows(moved("6064", None, "100.00", 0), *SENT[1:]), Verdict.PRESENT),
        # The server may have ignored the filter.
        ([*rows(*SENT), *rows(*SENT, origin=OTHER)], Verdict.PRESENT),
        ([*rows(*SENT), *rows(*SENT[:1], origin=OTHER) * 200], Verdict.PRESENT),
        (rows(*SENT, *SENT), Verdict.TWICE),
        (rows(*SENT, *SENT, *SENT), Verdict.TWICE),
        ([], Verdict.ABSENT),
        # Who shows what was not asked for may have left out what was.
        (rows(*SENT, origin=OTHER), Verdict.INCOMPLETE),
        (rows(*SENT, origin=None), Verdict.INCOMPLETE),
        (rows(*SENT[:2]), Verdict.PARTIAL),
        (rows(moved("401000", "ATTENTE", 0, 120), *SENT[:2]), Verdict.DIFFERENT),
        (rows(moved("401000", "FPAP", 120, 0), *SENT[:2]), Verdict.DIFFERENT),
        (rows(moved("401000", "FPAP", 0, 120.01), *SENT[:2]), Verdict.DIFFERENT),
        (rows(moved("401100", "FPAP", 0, 120), *SENT[:2]), Verdict.DIFFERENT),
        (rows(*SENT, *SENT[:1]), Verdict.DIFFERENT),
    ],
)
def test_lines_are_compared_as_what_they_move(shown: list[Row], verdict: Verdict) -> None:
    assert judge_by_origin(SENT, Found(shown, complete=True), ORIGIN) is verdict


@pytest.mark.parametrize("shown", [[], rows(*SENT[:1]), rows(*SENT, *SENT), rows(SENT[0]) * 100])
def test_where_not_all_is_shown_only_presence_is_proven(shown: list[Row]) -> None:
    assert judge_by_origin(SENT, Found(shown, complete=False), ORIGIN) is Verdict.INCOMPLETE
    assert by_piece(shown, complete=False) is Verdict.INCOMPLETE
    whole = Found(rows(*SENT), complete=False)
    assert judge_by_origin(SENT, whole, ORIGIN) is Verdict.PRESENT


def by_piece(
    shown: list[Row],
    *,
    twins: tuple[str, ...] = (),
    before: int | None = 0,
    complete: bool = True,
) -> Verdict:
    return judge_by_piece(SENT, Found(shown, complete), PLACE, twins, before)


ELSEWHERE = Place("ACH", "F-2", "2026-11-20")
TO_ANOTHER = moved("401000", "ATTENTE", 0, 120)


@pytest.mark.parametrize(
    ("shown", "before", "verdict"),
    [
        ([], 0, Verdict.ABSENT),
        ([], None, Verdict.ABSENT),
        (rows(*SENT), 0, Verdict.PRESENT),
        (rows(*SENT, origin=None), 0, Verdict.PRESENT),
        (rows(*SENT, origin=OTHER), 0, Verdict.PRESENT),
        # Another entry stands under the same piece.
        (rows(*SENT, moved("512000", None, 7, 0), moved("580000", None, 0, 7)), 0, Verdict.PRESENT),
        (rows(moved("512000", None, 7, 0), moved("580000", None, 0, 7)), 0, Verdict.ABSENT),
        # Twins (engine rule 13): one more is present, as many are absent, all else is undecided.
        (rows(*SENT), 1, Verdict.ABSENT),
        (rows(*SENT, *SENT), 1, Verdict.PRESENT),
        (rows(*SENT, *SENT), 0, Verdict.AMBIGUOUS),
        (rows(*SENT, *SENT, *SENT), 1, Verdict.AMBIGUOUS),
        ([], 1, Verdict.AMBIGUOUS),
        (rows(*SENT), None, Verdict.AMBIGUOUS),
        (rows(*SENT[:2]), 0, Verdict.PARTIAL),
        (rows(*SENT, *SENT[:2]), 1, Verdict.PARTIAL),
        (rows(TO_ANOTHER, *SENT[:2]), 0, Verdict.DIFFERENT),
        (rows(TO_ANOTHER, *SENT[:2], *SENT), 1, Verdict.DIFFERENT),
        # The server may have ignored the filter, and may not tell where its lines stand.
        (rows(*SENT, place=ELSEWHERE), 0, Verdict.INCOMPLETE),
        ([*rows(*SENT), *rows(*SENT, place=ELSEWHERE)], 0, Verdict.PRESENT),
        (rows(*SENT, place=None), 0, Verdict.INCOMPLETE),
        ([*rows(*SENT), *rows(*SENT, place=None)], 0, Verdict.INCOMPLETE),
    ],
)
def test_by_piece_it_is_counted_how_often_such_an_entry_is_there(
    shown: list[Row], before: int | None, verdict: Verdict
) -> None:
    assert by_piece(shown, before=before) is verdict


def test_what_has_the_origin_of_a_twin_is_the_twins() -> None:
    shown = [*rows(*SENT, origin=OTHER.upper()), *rows(*SENT)]
    assert by_piece(shown, twins=(OTHER,)) is Verdict.PRESENT
    assert by_piece(shown[:3], twins=(OTHER,)) is Verdict.ABSENT


def test_twins_have_one_key_however_their_lines_are_ordered_and_written() -> None:
    key = twin_key(PLACE, SENT)
    assert key == twin_key(PLACE, [*SENT[1:], moved("6064", "", "100.00", 0)])
    assert key != twin_key(ELSEWHERE, SENT)
    assert key != twin_key(PLACE, [*SENT, SENT[0]])
    assert key != twin_key(PLACE, [TO_ANOTHER, *SENT[:2]])


lines = st.builds(
    lambda account, party, cents, is_debit: moved(
        account,
        party,
        Decimal(cents).scaleb(-2) if is_debit else 0,
        0 if is_debit else Decimal(cents).scaleb(-2),
    ),
    st.sampled_from(["401", "401000", "512", "606400"]),
    st.sampled_from([None, "", "F1", "F2"]),
    st.integers(1, 3),
    st.booleans(),
)


@given(st.lists(lines, min_size=2, max_size=6), st.lists(lines, max_size=30), st.data())
def test_an_entry_is_present_only_where_exactly_its_lines_are(
    sent: list[Moved], others: list[Moved], data: st.DataObject
) -> None:
    ours = data.draw(st.sampled_from([sent, others, sent + others]))
    shown = [*rows(*ours), *rows(*others, origin=OTHER)]
    found = Found(data.draw(st.permutations(shown)), data.draw(st.booleans()))
    verdict = judge_by_origin(sent, found, ORIGIN)
    assert (verdict is Verdict.PRESENT) == (Counter(ours) == Counter(sent))
    if verdict is Verdict.ABSENT:
        assert not shown
        assert found.complete
