"""The sources of the version before this one, as far as the database is concerned."""

import io
import subprocess
import tarfile
from pathlib import Path

from support.simulator import ROOT

_MIGRATIONS = "migrations/versions"


def unpack(folder: Path) -> str:
    """The commit whose sources are in the folder now: the last one before the newest migration,
    on the way of first parents, so that a branch that was merged counts as one step.

    Raises AssertionError where that commit cannot be had: what would have been tried is not.
    """
    if _git("status", "--porcelain", "--", _MIGRATIONS):
        # A migration is being written.
        commit = "HEAD"
    else:
        newest = _git("log", "-1", "--first-parent", "--format=%H", "--", _MIGRATIONS)
        commit = f"{newest.decode().strip()}^1"
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", commit))) as archive:
        archive.extractall(folder, filter="data")
    return commit


def _git(*arguments: str) -> bytes:
    told = "This test runs the previous version and needs a clone of the repository with its past"
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    except OSError as error:
        raise AssertionError(f"{told}, and git: {error}") from error
    assert done.returncode == 0, f"{told}: git {' '.join(arguments)}: {done.stderr.decode()}"
    return done.stdout
