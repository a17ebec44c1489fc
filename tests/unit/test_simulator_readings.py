"""A page of a long list costs no more than its own rows."""

from typing import Any

import pytest

from simulator.filters import of_list
from simulator.readings import Reading, page, rows

MANY = 100_000


@pytest.mark.parametrize("query", [{"skip": "99000", "take": "100"}, {"skip": "0", "take": "100"}])
def test_a_page_without_filter_and_sort_makes_its_own_rows_alone(query: dict[str, str]) -> None:
    made = []

    def shown(number: int) -> dict[str, Any]:
        made.append(number)
        return {"code": str(number)}

    found = rows(range(MANY), shown, (), page(query), Reading())
    first = int(query["skip"])
    assert made == list(range(first, first + 100))
    assert found == [{"code": str(number)} for number in made]


def test_a_filter_looks_at_all_and_one_that_is_ignored_at_none() -> None:
    condition = of_list('code=="7"')

    def ask(reading: Reading) -> list[dict[str, Any]]:
        return rows(
            range(10), lambda n: {"code": str(n)}, condition, page({"skip": "0", "take": "2"}),
            reading,
        )  # fmt: skip

    assert ask(Reading()) == [{"code": "7"}]
    assert ask(Reading(filter_ignored=True)) == [{"code": "0"}, {"code": "1"}]
