"""Findings, for people: a verdict a line, and what to do under it."""

from collections.abc import Sequence
from dataclasses import asdict

import click

from passerelle.cli.output import Row, shown
from passerelle.domain.finding import Finding


def as_rows(findings: Sequence[Finding]) -> list[Row]:
    return [asdict(finding) | {"ok": finding.wrong is None} for finding in findings]


def print_findings(findings: Sequence[Finding]) -> None:
    for finding in findings:
        if finding.wrong is None:
            click.echo(f"ok     {finding.name}")
        else:
            word = "WRONG" if finding.grave else "note "
            click.echo(f"{word}  {finding.name}: {shown(finding.wrong)}")
            click.echo(f"       {finding.remedy}")


def any_grave(findings: Sequence[Finding]) -> bool:
    return any(finding.against for finding in findings)
