"""Whether what Loop shows is what was sent."""

from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.verdict import MOST_ROWS, Moved, Row, Verdict, judge, moved

ORIGIN = "24d61dbb-674d-5d13-a9e7-91b519531d88"
OTHER = "8c5f2f0e-3b0e-5d0b-9c4e-7a1f0c9d2e55"
SENT = [
    moved("606400", None, 100.0, 0),
    moved("445660", None, 20.0, 0),
    moved("401000", "FPAP", 0, 120.0),
]


def rows(*lines: Moved, origin: str | None = ORIGIN) -> list[Row]:
    return [Row(line, origin) for line in lines]


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
        (rows(*SENT, origin=OTHER), Verdict.ABSENT),
        (rows(*SENT, origin=None), Verdict.ABSENT),
        (rows(*SENT[:2]), Verdict.PARTIAL),
        (rows(moved("401000", "ATTENTE", 0, 120), *SENT[:2]), Verdict.DIFFERENT),
        (rows(moved("401000", "FPAP", 120, 0), *SENT[:2]), Verdict.DIFFERENT),
        (rows(moved("401000", "FPAP", 0, 120.01), *SENT[:2]), Verdict.DIFFERENT),
        (rows(moved("401100", "FPAP", 0, 120), *SENT[:2]), Verdict.DIFFERENT),
        (rows(*SENT, *SENT[:1]), Verdict.DIFFERENT),
        (rows(*SENT[:2], origin=OTHER) * 50, Verdict.INCOMPLETE),
        (rows(*SENT[:1]) * MOST_ROWS, Verdict.INCOMPLETE),
    ],
)
def test_lines_are_compared_as_what_they_move(shown: list[Row], verdict: Verdict) -> None:
    assert judge(SENT, shown, ORIGIN) is verdict


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


@given(st.lists(lines, min_size=2, max_size=6), st.lists(lines, max_size=130), st.data())
def test_an_entry_is_present_only_where_exactly_its_lines_are(
    sent: list[Moved], others: list[Moved], data: st.DataObject
) -> None:
    shown = [
        Row(line, ORIGIN) for line in data.draw(st.sampled_from([sent, others, sent + others]))
    ]
    shown += [Row(line, OTHER) for line in others]
    verdict = judge(sent, data.draw(st.permutations(shown)), ORIGIN)
    of_ours = Counter(row.moved for row in shown if row.origin == ORIGIN)
    assert (verdict is Verdict.PRESENT) == (of_ours == Counter(sent))
    if verdict is Verdict.ABSENT:
        assert not of_ours
        assert len(shown) < MOST_ROWS
