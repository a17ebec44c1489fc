"""Auxiliary codes that arrive, collide and are given codes of their own, in any order.

No two codes of a folder are ever sent under one code in Loop, and a code heals what waits for it.
"""

import contextlib
import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from passerelle.auxiliaries import Auxiliaries, AuxiliaryError
from passerelle.domain.outcome import Answer
from passerelle.store.columns import metadata
from support.events import with_auxiliary
from support.workshop import REFUSED, UNKNOWN, Workshop, accepted

SHORT = "F" * 17
# Some are equal by the cut, and some are what others are cut or mapped to.
CODES = st.sampled_from([f"{SHORT}A", f"{SHORT}B", SHORT, "X"])
# What arrives, how Loop answers it, what it is mapped to then, and whether cases are released.
STEPS = st.tuples(
    CODES,
    st.sampled_from([accepted(), REFUSED, UNKNOWN]) | st.none(),
    st.tuples(CODES, st.sampled_from([SHORT, "X", "Y"])) | st.none(),
    st.booleans(),
)


Step = tuple[str, Answer | None, tuple[str, str] | None, bool]


class Folder:
    """What was done to one folder, and what it shows."""

    def __init__(self, engine: Engine) -> None:
        with engine.begin() as connection:
            names = ", ".join(table.name for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        self.shop = Workshop(engine)
        self.shop.add_firm()
        self.auxiliaries = Auxiliaries(engine, self.shop.limits)
        self.arrived: list[str] = []

    def arrive(self, code: str) -> None:
        self.shop.submit(with_auxiliary(len(self.arrived), code))
        self.arrived.append(code)

    def deliver(self, answer: Answer) -> None:
        self.shop.told.answers = [answer]
        self.shop.time_passes()
        self.shop.deliver_all()

    def give(self, code: str, loop_code: str) -> None:
        self.auxiliaries.give(self.shop.folder_id(), code, loop_code, "somebody")

    def waiting(self) -> dict[int, str]:
        """Case and code of whatever waits for a code of its own."""
        rows = self.shop.rows(
            "SELECT id, cause FROM cases WHERE state = 'open' AND reason = 'auxiliary_collision'"
        )
        return {row["id"]: row["cause"] for row in rows}

    def sent(self) -> set[tuple[str, str]]:
        """Code in Loop and code of every line that was sent, unless Loop refused it."""
        rows = self.shop.rows(
            "SELECT a.entry_id, line ->> 'tiers' AS tiers FROM attempts a, "
            "jsonb_array_elements(a.lines) line WHERE line ? 'tiers' "
            "AND a.closed_as IS DISTINCT FROM 'refused'"
        )
        return {(row["tiers"], self.arrived[int(row["entry_id"][-6:])]) for row in rows}


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, min_size=2, max_size=6))
def test_no_two_codes_are_ever_one_in_loop_and_every_collision_heals(
    engine: Engine, steps: list[Step]
) -> None:
    folder = Folder(engine)
    for code, answer, mapping, release in steps:
        folder.arrive(code)
        if answer is not None:
            folder.deliver(answer)
        if mapping is not None:
            with contextlib.suppress(AuxiliaryError):
                folder.give(*mapping)
        for case_id in folder.waiting() if release else ():
            folder.shop.release(case_id)
    folder.deliver(accepted())
    fresh = (f"NEW{number}" for number in itertools.count())
    while waiting := folder.waiting():
        for code in waiting.values():
            folder.give(code, next(fresh))
        folder.deliver(accepted())
    sent = folder.sent()
    # Of each code in Loop one code.
    assert len({loop_code for loop_code, _ in sent}) == len(sent)
    assert not folder.shop.rows("SELECT FROM entries WHERE reason = 'auxiliary_collision'")
