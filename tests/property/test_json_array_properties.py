"""Arrays taken apart as text say the same as a JSON decoder, where that can read them."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from passerelle.domain.json_array import elements

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
_ARRAYS = st.lists(_VALUES, max_size=4)
_LAYOUTS = st.sampled_from([{}, {"indent": 1}, {"indent": "\t", "ensure_ascii": False}])


@given(_ARRAYS, _LAYOUTS)
def test_an_array_falls_into_what_a_decoder_finds_in_it(
    values: list[object], layout: dict[str, Any]
) -> None:
    text = json.dumps(values, **layout)
    found = elements(text.encode("utf-8", "surrogatepass"))
    assert found is not None
    texts = [one.decode("utf-8", "surrogatepass") for one in found]
    # As text, because NaN is not equal to itself.
    assert [json.dumps(json.loads(one)) for one in texts] == [json.dumps(one) for one in values]


@given(_VALUES.filter(lambda value: not isinstance(value, list)))
def test_what_is_no_array_is_not_taken_apart(value: object) -> None:
    assert elements(json.dumps(value).encode()) is None


@given(_ARRAYS, st.data())
def test_an_array_that_was_cut_off_is_not_taken_apart(
    values: list[object], data: st.DataObject
) -> None:
    text = json.dumps(values).encode()
    assert elements(text[: data.draw(st.integers(0, len(text) - 1))]) is None


@given(st.binary() | st.text(alphabet='[]{},"\\ 1').map(str.encode))
def test_taking_apart_never_raises(text: bytes) -> None:
    elements(text)
