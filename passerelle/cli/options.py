"""Options that several commands have."""

import click

direct_option = click.option(
    "--direct",
    is_flag=True,
    help="Straight into the database: when it returns 0, every event is committed or listed as "
    "refused.",
)
