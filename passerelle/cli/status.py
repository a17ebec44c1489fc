"""`passerelle status`."""

import click

from passerelle.cli import deployment
from passerelle.cli.broker import look
from passerelle.cli.output import json_option, print_facts, print_json, shown
from passerelle.domain.states import State
from passerelle.store import queries


@click.command()
@json_option
def status(*, as_json: bool) -> None:
    """Counts by state, age of the oldest waiting entry, open cases, holds, queues, workers."""
    runtime = deployment.runtime()
    with queries.reading(runtime.engine) as connection:
        counts = dict(queries.status(connection))
    counts["entries"] = {state: counts["entries"].get(state, 0) for state in State}
    traffic = look(runtime.settings)
    if as_json:
        seen = {"queues": traffic and traffic.queues, "workers": traffic and traffic.workers}
        print_json(counts | seen)
        return
    facts = {f"entries {state}": count for state, count in counts.pop("entries").items()}
    since, message = counts.pop("loop_down_since"), counts.pop("loop_down_message")
    facts["Loop"] = (
        "not known to be down" if since is None else f"down since {shown(since)}: {message}"
    )
    if counts.pop("database_went_back"):
        facts["database"] = "went back: nothing is sent before `passerelle db restored`"
    facts |= {name.replace("_", " "): value for name, value in counts.items()}
    if traffic is None:
        facts["broker"] = "cannot be reached"
    else:
        facts |= {f"queue {name}": length for name, length in traffic.queues.items()}
        facts["workers"] = ", ".join(traffic.workers) or "none answers"
        if traffic.refuses is not None:
            facts["broker"] = f"takes no messages: {traffic.refuses}"
    print_facts(facts)
