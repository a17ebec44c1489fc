"""What is concluded from a read: the whole table."""

import itertools
from typing import Any

import pytest

from passerelle.domain.backoff import A_DAY
from passerelle.domain.conclusion import Conclusion, conclude
from passerelle.domain.verdict import Verdict

GAP = 60.0
AT_EASE: dict[str, Any] = {
    "settled": True,
    "control": True,
    "absent_seconds": None,
    "open_seconds": 7200.0,
    "failed_seconds": None,
    "read_gap_seconds": GAP,
}


def concluded(verdict: Verdict, before: Verdict | None = None, **changes: Any) -> Conclusion:
    return conclude(verdict, before, **{**AT_EASE, **changes})


@pytest.mark.parametrize(
    ("verdict", "before", "changes", "conclusion"),
    [
        (Verdict.PRESENT, None, {"settled": False, "control": False}, Conclusion.IN_LOOP),
        (Verdict.TWICE, None, {"settled": False}, Conclusion.IN_LOOP_TWICE),
        (Verdict.PARTIAL, None, {}, Conclusion.OPEN),
        (Verdict.PARTIAL, Verdict.ABSENT, {}, Conclusion.OPEN),
        (Verdict.PARTIAL, Verdict.PARTIAL, {}, Conclusion.UNDECIDED),
        (Verdict.DIFFERENT, Verdict.PARTIAL, {}, Conclusion.OPEN),
        (Verdict.DIFFERENT, Verdict.DIFFERENT, {}, Conclusion.LANDED_DIFFERENTLY),
        (Verdict.INCOMPLETE, Verdict.INCOMPLETE, {}, Conclusion.OPEN),
        (Verdict.INCOMPLETE, None, {"open_seconds": A_DAY + 1}, Conclusion.UNDECIDED),
        (Verdict.ABSENT, None, {}, Conclusion.ABSENT_ONCE),
        (Verdict.ABSENT, None, {"absent_seconds": GAP - 1}, Conclusion.OPEN),
        (Verdict.ABSENT, None, {"absent_seconds": GAP}, Conclusion.ABSENT),
        (Verdict.ABSENT, None, {"absent_seconds": GAP, "settled": False}, Conclusion.OPEN),
        (Verdict.ABSENT, None, {"absent_seconds": GAP, "control": False}, Conclusion.OPEN),
        (
            Verdict.ABSENT,
            None,
            {"control": False, "open_seconds": A_DAY + 1},
            Conclusion.UNDECIDED,
        ),
        # Its import has failed: nothing comes any more.
        (Verdict.ABSENT, None, {"failed_seconds": GAP, "settled": False}, Conclusion.REFUSED),
        (Verdict.ABSENT, None, {"failed_seconds": GAP - 1}, Conclusion.OPEN),
        (Verdict.ABSENT, None, {"failed_seconds": GAP, "control": False}, Conclusion.OPEN),
        (
            Verdict.ABSENT,
            None,
            {"failed_seconds": 2 * A_DAY, "open_seconds": 2 * A_DAY, "control": False},
            Conclusion.UNDECIDED,
        ),
        (Verdict.PRESENT, None, {"failed_seconds": 0.0}, Conclusion.IN_LOOP),
        # Loop may be down for days.
        (Verdict.ABSENT, None, {"settled": False, "open_seconds": 9 * A_DAY}, Conclusion.OPEN),
    ],
)
def test_the_table(
    verdict: Verdict, before: Verdict | None, changes: dict[str, Any], conclusion: Conclusion
) -> None:
    assert concluded(verdict, before, **changes) is conclusion


def test_it_is_sent_again_only_where_everything_speaks_for_it() -> None:
    befores = [None, *Verdict]
    for verdict, before, settled, control, absent, age in itertools.product(
        Verdict, befores, (False, True), (False, True), (None, 0.0, GAP), (0.0, 2 * A_DAY)
    ):
        found = concluded(
            verdict,
            before,
            settled=settled,
            control=control,
            absent_seconds=absent,
            open_seconds=age,
        )
        everything = verdict is Verdict.ABSENT and settled and control and absent == GAP
        assert (found is Conclusion.ABSENT) == everything
        in_loop = found in {Conclusion.IN_LOOP, Conclusion.IN_LOOP_TWICE}
        assert in_loop == (verdict in {Verdict.PRESENT, Verdict.TWICE})
