"""The account under which PostgreSQL, which refuses to run as root, runs when root starts it."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from passerelle.embedded.errors import EmbeddedError

ACCOUNT = "nobody"


def hand_over(folder: Path) -> None:
    """As root, make `folder` the account's; anybody else keeps it.

    Raises:
        EmbeddedError: this system does not let root do so.
    """
    if os.geteuid() != 0:
        return
    try:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)
    except KeyError:
        raise _refused(f"this system has no account `{ACCOUNT}`") from None
    except OSError as error:
        raise _refused(f"{folder} cannot be given to `{ACCOUNT}`: {error.strerror}") from error


def as_owner(folder: Path) -> tuple[str, ...]:
    """As root, the words before a command that is to run as the owner of `folder`; else none.

    The command keeps the one right to pass over file modes: the data folder and the program may
    stand below folders that only root may enter, and no mode is changed for it.

    Raises:
        EmbeddedError: this system does not let root do so.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise _refused("`setpriv` of util-linux is not installed")
    owner = folder.stat()
    words = (
        setpriv,
        f"--reuid={owner.st_uid}",
        f"--regid={owner.st_gid}",
        "--clear-groups",
        # Ambient: what a program inherits that is not root's and has no rights of its own.
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
        # Without it access(2), by which PostgreSQL finds its own files, forgets that right.
        "--securebits=+no_setuid_fixup",
        "--",
    )
    tried = subprocess.run((*words, "true"), capture_output=True, text=True, check=False)  # noqa: S603 -- as above
    if tried.returncode != 0:
        raise _refused(tried.stderr.strip())
    return words


def _refused(why: str) -> EmbeddedError:
    return EmbeddedError(
        f"PostgreSQL does not run as root and cannot be started as another account here ({why}): "
        "run passerelle as an ordinary user, or set PASSERELLE_DATABASE_URL."
    )
