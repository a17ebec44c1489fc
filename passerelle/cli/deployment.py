"""The deployment that the environment names, as commands use it."""

import logging
import os
import sys
from getpass import getuser

import click
import structlog

from config.settings import Settings, read_settings
from passerelle.observe import with_trace
from passerelle.runtime import Runtime


def settings() -> Settings:
    """Raises: SettingsError."""
    found = read_settings(os.environ)
    for warning in found.warnings:
        click.echo(warning, err=True)
    return found


def runtime(found: Settings | None = None) -> Runtime:
    """The use cases, until the command ends.

    Raises:
        SettingsError: a setting is wrong, or no database is set.
    """
    # Standard output is the command's; what is below an error is for workers' logs.
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            with_trace,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    made = Runtime(settings() if found is None else found)
    # A command that needs no database is none that comes here.
    _ = made.engine
    click.get_current_context().call_on_close(made.close)
    return made


def who() -> str:
    """Who is at the command line; a container may know no name."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
