"""`python -m benchmarks.serve POSTGRES_PORT BROKER_PORT`: a PostgreSQL and a Valkey.

As `passerelle up` starts them, until standard input ends; with `--quick`, for tests, less durable.
Imports little: each of the processes that share the tests starts one.
"""

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


def main(postgres_port: str, broker_port: str, *options: str) -> None:
    """Tells their URLs in a line of JSON."""

    def end_with_standard_input() -> None:
        sys.stdin.buffer.read()
        os.kill(os.getpid(), signal.SIGTERM)

    def tell(name: str, line: str) -> None:
        sys.stderr.write(f"{name}: {line}\n")

    durable = "--quick" not in options
    with (
        tempfile.TemporaryDirectory(prefix="passerelle-servers-") as scratch,
        claim(Path(scratch) / "data") as folder,
        Supervisor(folder, tell) as tree,
    ):
        threading.Thread(target=end_with_standard_input, daemon=True).start()
        urls = {
            "valkey": valkey.start(tree, folder.path, int(broker_port)),
            "postgres": postgres.start(tree, folder.path, int(postgres_port), durable=durable),
        }
        sys.stdout.write(f"{json.dumps(urls)}\n")
        sys.stdout.flush()
        tree.watch()


if __name__ == "__main__":
    main(*sys.argv[1:])
