import pytest

from passerelle.domain.batching import Size, first_batch
from passerelle.domain.limits import Limits

LIMITS = Limits(
    description=35, auxiliary_code=17, reference=35, batch_lines=10, batch_bytes=1000
)  # fmt: skip
SMALL = Size(2, 100)
ONE, OTHER_BRANCH, OTHER_COMPANY = "73282932000074", "73282932000082", "40483304800022"


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], 0),
        ([SMALL], 1),
        ([SMALL] * 5, 5),
        ([SMALL] * 6, 5),
        ([Size(2, 400), Size(2, 500), SMALL], 2),
        ([Size(2, 400), Size(2, 501)], 1),
        ([Size(11, 100), SMALL], 1),
        ([Size(2, 5000), SMALL], 1),
        ([SMALL, Size(11, 100), SMALL], 1),
        ([SMALL, Size(2, 5000), SMALL], 1),
    ],
    ids=[
        "nothing due",
        "one",
        "lines to the limit",
        "lines over the limit",
        "bytes to the limit with the envelope",
        "bytes one over",
        "too many lines goes alone",
        "too many bytes goes alone",
        "a long one waits and is not overtaken",
        "a big one waits and is not overtaken",
    ],
)
def test_a_batch_is_what_fits_from_the_front(sizes: list[Size], expected: int) -> None:
    assert first_batch(sizes, LIMITS, envelope=100) == expected


@pytest.mark.parametrize(
    ("sirets", "expected"),
    [
        ([ONE, ONE], 2),
        ([ONE, OTHER_BRANCH], 2),
        ([ONE, OTHER_COMPANY], 1),
        ([None, ONE, None, OTHER_BRANCH], 4),
        ([None, ONE, None, OTHER_COMPANY], 3),
        ([None, None], 2),
    ],
)
def test_a_batch_holds_one_company(sirets: list[str | None], expected: int) -> None:
    sizes = [Size(2, 100, siret) for siret in sirets]
    assert first_batch(sizes, LIMITS, envelope=100) == expected
