import itertools

from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.batching import Size, first_batch
from passerelle.domain.limits import Limits

SIRETS = st.sampled_from([None, "73282932000074", "73282932000082", "40483304800022"])
SIZES = st.builds(Size, st.integers(2, 12), st.integers(1, 600), SIRETS)
LIMITS = st.builds(
    Limits,
    description=st.just(35),
    auxiliary_code=st.just(17),
    reference=st.just(35),
    batch_lines=st.integers(2, 20),
    batch_bytes=st.integers(100, 2000),
)


def batches(sizes: list[Size], limits: Limits, envelope: int) -> list[list[Size]]:
    left, packed = sizes, []
    while left:
        count = first_batch(left, limits, envelope=envelope)
        # Nothing taken would turn forever.
        assert count > 0
        packed.append(left[:count])
        left = left[count:]
    return packed


@given(st.lists(SIZES, max_size=40), LIMITS, st.integers(0, 100))
def test_batches_hold_every_entry_once_in_order_within_the_limits(
    sizes: list[Size], limits: Limits, envelope: int
) -> None:
    packed = batches(sizes, limits, envelope)
    assert [size for batch in packed for size in batch] == sizes
    for batch in packed:
        assert len({size.siret[:9] for size in batch if size.siret}) <= 1
        if len(batch) > 1:
            assert sum(size.lines for size in batch) <= limits.batch_lines
            assert envelope + sum(size.bytes for size in batch) <= limits.batch_bytes


@given(st.lists(SIZES, min_size=2, max_size=40), LIMITS, st.integers(0, 100))
def test_a_batch_ends_only_where_the_next_entry_does_not_fit(
    sizes: list[Size], limits: Limits, envelope: int
) -> None:
    packed = batches(sizes, limits, envelope)
    for batch, following in itertools.pairwise(packed):
        more = [*batch, following[0]]
        assert (
            sum(size.lines for size in more) > limits.batch_lines
            or envelope + sum(size.bytes for size in more) > limits.batch_bytes
            or len({size.siret[:9] for size in more if size.siret}) > 1
        )
