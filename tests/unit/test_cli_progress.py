"""Promise: progress is for whoever watches, and only for them."""

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest

from passerelle.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("total", [None, 0, 3])
def test_a_terminal_shows_it_on_standard_error_alone(
    monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with (
        redirect_stderr(Terminal()) as err,
        redirect_stdout(Terminal()) as out,
        progress("Submitting [1]", total) as advance,
    ):
        for _ in range(3):
            advance(1)
    assert "Submitting [1]" in err.getvalue()
    assert out.getvalue() == ""


def test_nobody_else_sees_it() -> None:
    with redirect_stderr(io.StringIO()) as err, progress("Submitting", 3) as advance:
        advance(3)
    assert err.getvalue() == ""
