"""Flower shows and, unless it is read-only, commands the workers: not to whoever passes by."""

import sys

import click
from tornado.options import options

from config.settings import Settings, is_loopback
from passerelle.observe import configure_logs

FLOWER_OPTIONS = (
    "--read_only=True",
    # What it has seen, over restarts. It writes that down at its end, and meanwhile (milliseconds),
    # since it may be killed.
    "--persistent=True",
    "--db=flower",
    "--state_save_interval=300000",
    # Some 80 MB, and half as much again while it saves; its own 100,000 take 640 MB then.
    "--max_tasks=20000",
    # A container that was replaced has another name, and would be offline for ever.
    "--purge_offline_workers=86400",
    # In its second (milliseconds) not every worker of a busy machine has said what it consumes.
    "--inspect_timeout=5000",
    # Workers have them on, unless PASSERELLE_TASK_EVENTS says otherwise.
    "--enable_events=False",
    # With what each task is about.
    "--tasks_columns=name,args,state,received,runtime,worker,uuid",
)


def prepare(settings: Settings) -> None:
    """Before Flower listens: elsewhere than on loopback it does not start without authentication,
    and it logs as the others do.

    Called by Celery where modules are imported, which Flower asks for once its options are read.
    """
    context = click.get_current_context(silent=True)
    if context is None or context.info_name != "flower":
        return
    configure_logs(as_text=settings.logs == "text")
    # No address is every address.
    private = bool(options.unix_socket) or is_loopback(options.address)
    if not private and not any(options.basic_auth or ()) and not options.auth:
        sys.exit(
            f"Flower would be open to everybody who reaches {options.address or 'any address'} of "
            "this machine: give --address=127.0.0.1, or --basic-auth=USER:PASSWORD (in a file for "
            "--conf, since arguments can be seen), or --auth with an auth provider."
        )
