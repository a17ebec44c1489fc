"""`passerelle db`."""

import datetime as dt

import click

from passerelle.cli.deployment import runtime, who
from passerelle.cli.options import time_option
from passerelle.domain.errors import PasserelleError
from passerelle.store.schema import is_newer, revisions
from passerelle.store.schema import upgrade as upgrade_schema


@click.group()
def db() -> None:
    """The database: its schema, its secrets, and what to do when it was restored."""


@db.command()
def upgrade() -> None:
    """Bring the schema to this version. Harmless when it is there, and several times at once."""
    engine = runtime().engine
    before, _ = revisions(engine)
    if is_newer(engine):
        click.echo(f"The schema is at {before}, of a newer version; this one works on it as it is.")
        return
    upgrade_schema(engine)
    after, _ = revisions(engine)
    done = f"is at {after} already" if before == after else f"was brought to {after}"
    click.echo(f"The schema {done}.")


@db.command()
@time_option("--since", "The time that it went back to.")
def restored(since: dt.datetime) -> None:
    """The database went back in time: a restored backup, or a standby that lagged.

    What was sent after T is not known to it. Every entry that is not final, and every one that is
    yet to come and was validated before now, is looked for in Loop before anything of it is sent:
    what is there is synced, what is proven absent after an hour or more is sent.

    A restored dump, a recovery and a standby that took over are noticed, and nothing is sent until
    this command has run to its end. A snapshot of the disk is not: stop the workers before you
    restore one, and start them after this. It does no harm where nothing went back, it only costs
    that time. Cut off, run it again.
    """
    count = runtime().restoring.restore(since, who())
    click.echo(f"Entries that are looked for in Loop before anything of them is sent: {count}.")


@db.command(name="rotate-secrets")
def rotate_secrets() -> None:
    """Encrypt every firm's keys with the first key of PASSERELLE_SECRET_KEYS.

    Once every process knows that key, with the old one behind it; then the old one may go. Run
    again, it does no harm.
    """
    done = runtime().registration.reseal()
    click.echo(f"Firms whose keys are encrypted with the first secret key: {done.count}.")
    faults = []
    if done.unreadable:
        faults.append(
            f"The keys of {', '.join(done.unreadable)} cannot be decrypted: add the key that they "
            "were stored with to PASSERELLE_SECRET_KEYS, last, and run this again, or give the "
            "firm new ones, all three, with `passerelle firm rotate`."
        )
    if done.doubled:
        faults.append(
            f"The API key of {', '.join(done.doubled)} is another firm's, too: give one of the two "
            "a key of its own with `passerelle firm rotate`, and run this again."
        )
    if faults:
        raise PasserelleError(" ".join(faults))
