"""`passerelle db`."""

import click

from passerelle.cli.deployment import runtime
from passerelle.store.schema import revisions
from passerelle.store.schema import upgrade as upgrade_schema


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
def upgrade() -> None:
    """Bring the schema to this version. Harmless when it is there, and several times at once."""
    engine = runtime().engine
    before, _ = revisions(engine)
    upgrade_schema(engine)
    after, _ = revisions(engine)
    done = f"is at {after} already" if before == after else f"was brought to {after}"
    click.echo(f"The schema {done}.")
