"""Options that several commands have."""

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
