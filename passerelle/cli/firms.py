"""`passerelle firm`."""

import sys
from typing import TextIO

import click

from config.settings import Settings
from passerelle.cli import deployment
from passerelle.cli.broker import ring
from passerelle.cli.output import json_option, print_rows
from passerelle.domain.firm_keys import FirmKeys
from passerelle.store import queries
from passerelle.store.queries import Row
from passerelle.store.vault import Vault

_SHOWN = 4
_LONG_ENOUGH = 12


@click.group()
def firm() -> None:
    """Firms and their credentials."""


@firm.command()
@click.argument("code")
@click.option("--api-key", required=True, help="The firm's API key in Loop.")
@click.option("--subscription-key", required=True, help="The key of the firm's subscription.")
@click.option(
    "--api-secret-file",
    type=click.File(encoding="utf-8", errors="replace"),
    help="Holds the API secret; `-` for standard input. Without it, PASSERELLE_API_SECRET or "
    "a prompt.",
)
def add(code: str, api_key: str, subscription_key: str, api_secret_file: TextIO | None) -> None:
    """Register a firm; what waited for it is sent.

    The secret is asked for, or comes from a file or PASSERELLE_API_SECRET.
    """
    runtime = deployment.runtime()
    secret = _secret(runtime.settings, api_secret_file)
    folders = runtime.registration.add_firm(code, FirmKeys(api_key, secret, subscription_key))
    click.echo(f"Firm {code} is registered.")
    ring(runtime.settings, folders)


def _secret(settings: Settings, file: TextIO | None) -> str:
    if file is not None:
        return file.read()
    if settings.api_secret:
        return settings.api_secret
    if not sys.stdin.isatty():
        raise click.UsageError(
            "No terminal to ask for the API secret on: give --api-secret-file or set "
            "PASSERELLE_API_SECRET."
        )
    typed: str = click.prompt("API secret", hide_input=True, err=True)
    return typed


@firm.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """Firms, with the ends of their keys."""
    runtime = deployment.runtime()
    with queries.reading(runtime.engine) as connection:
        rows = (_masked(row, runtime.vault) for row in queries.firms(connection))
        columns = {
            "code": "code",
            "registered": "registered_at",
            "API key": "api_key",
            "subscription key": "subscription_key",
            "folders": "folders",
            "case": "case_id",
            "paused until": "paused_until",
            "why": "pause_reason",
        }
        print_rows(rows, columns, as_json=as_json)


def _masked(row: Row, vault: Vault) -> Row:
    keys = ("api_key", "subscription_key")
    return {**row, **{key: row[key] and _mask(vault.open(row[key])) for key in keys}}


def _mask(key: str) -> str:
    """Enough to tell two keys apart, and of a short one nothing."""
    return f"…{key[-_SHOWN:]}" if len(key) >= _LONG_ENOUGH else "…"
