"""`passerelle firm`."""

import sys
from collections.abc import Callable
from typing import TextIO
from urllib.parse import urlsplit

import click

from config.settings import Settings
from passerelle.cli import deployment
from passerelle.cli.broker import ring
from passerelle.cli.output import json_option, print_json, print_rows
from passerelle.connecting import KeyChange
from passerelle.domain.firm_keys import FirmKeys
from passerelle.store import queries
from passerelle.store.outbox_models import Audience
from passerelle.store.queries import Row
from passerelle.store.vault import Vault, VaultError

_SHOWN = 4
_LONG_ENOUGH = 12

_secret_file_option = click.option(
    "--api-secret-file",
    type=click.File(encoding="utf-8", errors="replace"),
    help="Holds the API secret; `-` for standard input. Without it, PASSERELLE_API_SECRET or "
    "a prompt.",
)


@click.group()
def firm() -> None:
    """Firms and their credentials."""


@firm.command()
@click.argument("code")
@click.option("--api-key", required=True, help="The firm's API key in Loop.")
@click.option("--subscription-key", required=True, help="The key of the firm's subscription.")
@_secret_file_option
def add(code: str, api_key: str, subscription_key: str, api_secret_file: TextIO | None) -> None:
    """Register a firm whose keys Loop takes; what waited for it is sent.

    The secret is asked for, or comes from a file or PASSERELLE_API_SECRET. The keys are tried
    first, and nothing is saved unless they pass.
    """
    runtime = deployment.runtime()
    secret = _secret(runtime.settings, api_secret_file)
    keys = FirmKeys(api_key, secret, subscription_key)
    folders = runtime.registration.add_firm(code, keys, runtime.connecting.try_keys)
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


@firm.command()
@click.argument("code")
@json_option
@click.pass_context
def check(context: click.Context, code: str, *, as_json: bool) -> None:
    """Try a firm's stored keys against Loop.

    That Loop takes them heals a case of refused credentials. The exit code is 1 if it does not.
    """
    runtime = deployment.runtime()
    checked = runtime.connecting.check(code)
    cure = f" Replace what is wrong with `passerelle firm rotate {code}`."
    message = checked.message + (cure if checked.refused else "")
    if as_json:
        print_json({"firm": code, "ok": checked.ok, "message": message})
    elif checked.ok:
        click.echo(f"ok: {message}")
    else:
        click.echo(f"Error: {message}", err=True)
    ring(runtime.settings, checked.folders)
    if not checked.ok:
        context.exit(1)


@firm.command()
@click.argument("code")
@click.option("--api-key", help="The new API key; its secret is asked for, too.")
@click.option("--subscription-key", help="The new key of the firm's subscription.")
@_secret_file_option
@click.option(
    "--other-domain",
    is_flag=True,
    help="The keys lead to another Loop domain: what is not known to have ended is left to you.",
)
@click.option("--why", help="With --other-domain: why; kept with the entries that are left.")
def rotate(
    code: str,
    api_key: str | None,
    subscription_key: str | None,
    api_secret_file: TextIO | None,
    *,
    other_domain: bool,
    why: str | None,
) -> None:
    """Replace keys of a firm by new ones that Loop takes.

    What is not given stays. A new API key has a new secret: it is asked for, or comes from a file
    or PASSERELLE_API_SECRET. With --subscription-key alone the secret stays, unless a file or
    PASSERELLE_API_SECRET gives one. With nothing given, only the secret is replaced.

    The keys are tried first, and nothing is saved unless they pass. They must lead to the Loop
    domain that the firm's folders are known from.
    """
    if other_domain != bool(why and why.strip()):
        raise click.UsageError("--other-domain and --why go together.")
    runtime = deployment.runtime()
    new_secret = api_key is not None or api_secret_file is not None or subscription_key is None
    secret = (
        _secret(runtime.settings, api_secret_file)
        if new_secret
        else runtime.settings.api_secret or None
    )
    change = KeyChange(api_key, secret, subscription_key)
    moved = why if other_domain else None
    folders = runtime.connecting.rotate(code, change, deployment.who(), moved)
    click.echo(f"The keys of firm {code} are replaced.")
    ring(runtime.settings, folders)


@firm.command(name="set")
@click.argument("code")
@click.option(
    "--connector",
    help="The connector's name as the firm's people see it in Loop; empty for the usual one.",
)
@click.option("--outcome-url", help="Where the hub is told what became of entries; empty: nowhere.")
@click.option("--alert-url", help="Where people are told of cases; empty: nowhere.")
@click.option(
    "--webhook-secret-file",
    type=click.File(encoding="utf-8-sig", errors="replace"),
    help="Holds the secret that messages are signed with, `whsec_…`; while it is replaced two, the "
    "new one first, a line each. `-` for standard input.",
)
def set_(
    code: str,
    connector: str | None,
    outcome_url: str | None,
    alert_url: str | None,
    webhook_secret_file: TextIO | None,
) -> None:
    """Change what is known of a firm; what is not given stays."""
    given = {Audience.OUTCOME: outcome_url, Audience.ALERT: alert_url}
    urls = {audience: url for audience, url in given.items() if url is not None}
    if any(url and not url.strip() for url in urls.values()):
        raise click.UsageError('An address is blank; "" is nowhere.')
    if connector is None and not urls and webhook_secret_file is None:
        raise click.UsageError("Nothing to change is given.")
    runtime = deployment.runtime()
    if urls or webhook_secret_file is not None:
        secrets = None if webhook_secret_file is None else webhook_secret_file.read()
        runtime.subscribing.set_firm(code, urls, secrets)
    if connector is not None:
        runtime.registration.set_firm(code, connector)
    click.echo(f"Firm {code} is changed.")
    for audience, url in urls.items():
        if not url:
            click.echo(f"{audience} messages are told nowhere from now on; what waits is kept.")


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
            "outcome URL": "outcome_url",
            "alert URL": "alert_url",
        }
        print_rows(rows, columns, as_json=as_json)


def _masked(row: Row, vault: Vault) -> Row:
    masks = {
        "api_key": _mask,
        "subscription_key": _mask,
        "outcome_url": _mask_url,
        "alert_url": _mask_url,
    }
    return {**row, **{key: row[key] and _opened(row[key], vault, masks[key]) for key in masks}}


def _opened(sealed: bytes, vault: Vault, mask: Callable[[str], str]) -> str:
    try:
        return mask(vault.open(sealed))
    except VaultError:
        return "cannot be decrypted"


def _mask(key: str) -> str:
    """Enough to tell two keys apart, and of a short one nothing."""
    return f"…{key[-_SHOWN:]}" if len(key) >= _LONG_ENOUGH else "…"


def _mask_url(url: str) -> str:
    """Whom it leads to; what follows may be a secret."""
    parts = urlsplit(url)
    rest = "" if parts.path in {"", "/"} and not parts.query else "/…"
    return f"{parts.scheme}://{parts.netloc}{rest}"
