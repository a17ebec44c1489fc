"""What went wrong, in one sentence for the person at the command line."""

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from config.settings import SettingsError
from passerelle.domain.errors import PasserelleError
from passerelle.embedded.errors import EmbeddedError


def sentence(error: Exception) -> str | None:
    """The sentence for what a person can mend; None for a bug, which keeps its traceback."""
    match error:
        case BrokenPipeError():
            # Whoever read our output has enough.
            return None
        case PasserelleError() | SettingsError() | EmbeddedError():
            return str(error)
        case OSError() if type(error).__module__ == "builtins":
            named = f"{error.filename}: " if error.filename else ""
            return f"{named}{error.strerror or error}."
        case sqlite3.OperationalError():
            return (
                f"The scratch file in {tempfile.gettempdir()} cannot be written ({error}); the "
                "variable TMPDIR names another folder."
            )
        case UnicodeEncodeError():
            return "An argument holds bytes that are not UTF-8 text."
    return _of_libraries(error)


@contextmanager
def telling_how_far(so_far: Callable[[], str]) -> Iterator[None]:
    """Where long work ends early, its error says how far it came.

    Raises:
        PasserelleError: it was interrupted, or something does not answer.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise PasserelleError(f"Interrupted. {so_far()}") from None
    except Exception as error:
        told = sentence(error)
        if told is None:
            raise
        raise PasserelleError(f"{told} {so_far()}") from error


def _of_libraries(error: Exception) -> str | None:
    # Imported here: a command that fails early has not needed them.
    from kombu.exceptions import OperationalError as BrokerError
    from psycopg import errors as postgres
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import OperationalError as DatabaseError

    from passerelle.fec.report import FecError
    from passerelle.store.vault import VaultError

    match error:
        case FecError() | VaultError():
            return str(error)
        case BrokerError():
            return f"The broker does not answer: {_first_line(error)}"
        case DBAPIError(orig=postgres.UndefinedTable() | postgres.UndefinedColumn()):
            return "The database does not have this version's schema: run `passerelle db upgrade`."
        case DBAPIError(orig=postgres.LockNotAvailable()):
            return "Somebody else held for too long what this needs: try again."
        case DatabaseError() | DBAPIError(orig=postgres.InsufficientPrivilege()):
            return f"The database does not answer: {_first_line(error.orig)}"
    return None


def _first_line(error: Any) -> str:
    return str(error).partition("\n")[0].rstrip(".") + "."
