"""`python -m support.serve`: a PostgreSQL and a Valkey, until its standard input ends."""

import json
import os
import signal
import sys
import tempfile
import threading
from pathlib import Path

from passerelle.embedded import postgres, valkey
from passerelle.embedded.folder import claim
from passerelle.embedded.supervisor import Supervisor
from support.ports import free_port


def main() -> None:
    """Tells their URLs in a line of JSON."""

    def end_with_standard_input() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    def tell(name: str, line: str) -> None:
        sys.stderr.write(f"{name}: {line}\n")

    with (
        tempfile.TemporaryDirectory(prefix="passerelle-tests-") as scratch,
        claim(Path(scratch) / "data") as folder,
        Supervisor(folder, tell) as tree,
    ):
        threading.Thread(target=end_with_standard_input, daemon=True).start()
        broker_url = valkey.start(tree, folder.path, free_port())
        postgres_url = postgres.start(tree, folder.path, free_port(), durable=False)
        sys.stdout.write(
            f"{json.dumps({'postgres_url': postgres_url, 'broker_url': broker_url})}\n"
        )
        sys.stdout.flush()
        tree.watch()


if __name__ == "__main__":
    main()
