"""Options that several commands have."""

import datetime as dt
from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

direct_option = click.option(
    "--direct",
    is_flag=True,
    help="Straight into the database: when it returns 0, every event is committed or listed as "
    "refused.",
)


def why_option(help_: str) -> Callable[[Function], Function]:
    """The reason of an act, which is kept."""

    def filled(_: click.Context, __: click.Parameter, value: str) -> str:
        if not value.strip():
            raise click.BadParameter("is blank")
        return value

    return click.option("--why", required=True, callback=filled, help=help_)


def _time(_: click.Context, __: click.Parameter, value: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter("is no time like 2026-01-31T04:00:00+01:00.") from None
    if time.utcoffset() is None:
        raise click.BadParameter("has no offset: 2026-01-31T04:00:00+01:00, say.")
    return time


def time_option(name: str, help_: str) -> Callable[[Function], Function]:
    """A moment, with its offset."""
    return click.option(name, required=True, callback=_time, metavar="T", help=help_)
