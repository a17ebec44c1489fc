"""The command `passerelle`: what commands there are. Each is imported when it is run."""

import importlib

import click

# The module and the object in it, and what the command does.
_COMMANDS = {
    "up": ("passerelle.cli.up:up", "Run everything: servers, workers, beat, Flower."),
    "demo": ("passerelle.cli.demo:demo", "Show the main job from end to end on sample data."),
    "db": ("passerelle.cli.db:db", "The database's schema."),
    "firm": ("passerelle.cli.firms:firm", "Firms and their credentials."),
    "folder": ("passerelle.cli.folders:folder", "Folders of the firms."),
    "submit": ("passerelle.cli.submit:submit", "Submit events."),
    "reconcile": (
        "passerelle.cli.reconcile:reconcile",
        "Find what the hub has sent and is not here, or not in Loop.",
    ),
    "submit-fec": ("passerelle.cli.submit_fec:submit_fec", "Submit the entries of an FEC file."),
    "entry": ("passerelle.cli.entries:entry", "Entries: where they are and what happened."),
    "referential": (
        "passerelle.cli.referentials:referential",
        "Reference data: accounts, journals, third parties.",
    ),
    "remediation": ("passerelle.cli.cases:remediation", "Cases: what a person must act on."),
    "outcome": (
        "passerelle.cli.outcomes:outcome",
        "What is told to the hub and to people.",
    ),
    "intake": ("passerelle.cli.intake:intake", "Events that were refused at the door."),
    "status": ("passerelle.cli.status:status", "Counts, age of what waits, queues, workers."),
    "doctor": ("passerelle.cli.doctor:doctor", "Try everything; say what is wrong."),
    "metrics": ("passerelle.cli.metrics:metrics", "Figures for Prometheus."),
    "simulator": ("passerelle.cli.simulator:simulator", "A stand-in for Cegid Loop."),
}


class _Commands(click.Group):
    """Neither `--help` nor another command imports what only one command needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 idem
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 idem
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as error:
            from passerelle.cli.errors import sentence

            told = sentence(error)
            if told is None:
                raise
            raise click.ClickException(told) from error


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="passerelle")
def main() -> None:
    """Puts validated accounting entries into Cegid Loop, each exactly once."""


if __name__ == "__main__":
    main()
