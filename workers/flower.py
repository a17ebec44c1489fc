"""Flower shows and, unless it is read-only, commands the workers: not to whoever passes by."""

import sys
from typing import Any

import click
from tornado.options import options

from config.settings import is_loopback


def ask_who_looks(**_: Any) -> None:
    """Before Flower listens: elsewhere than on loopback it does not start without authentication.

    Called by Celery where modules are imported, which Flower asks for once its options are read.
    """
    context = click.get_current_context(silent=True)
    if context is None or context.info_name != "flower":
        return
    # No address is every address.
    private = bool(options.unix_socket) or is_loopback(options.address)
    if not private and not any(options.basic_auth or ()) and not options.auth:
        sys.exit(
            f"Flower would be open to everybody who reaches {options.address or 'any address'} of "
            "this machine: give --address=127.0.0.1, or --basic-auth=USER:PASSWORD (in a file for "
            "--conf, since arguments can be seen), or --auth with an auth provider."
        )
