"""Promises of `reconcile`: each line is accounted for, and what is unknown is recorded."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine

from support.command import Cli, stored
from support.events import purchase, purchase_name
from support.servers import Servers
from support.workshop import FIRM, FOLDER, REFUSED, Workshop

BOM = b"\xef\xbb\xbf"


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """One entry synced, one parked, and one received whose first revision is superseded."""
    made = Workshop(engine)
    made.add_firm()
    made.submit(purchase(1))
    made.deliver()
    made.follow_up()
    made.submit(purchase(2))
    made.told.answers = [REFUSED]
    made.deliver()
    made.submit(purchase(3, revision=2))
    return made


def lines(*objects: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects)


def document(done: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_each_named_entry_is_in_loop_or_told_with_the_reason_why_not(
    shop: Workshop, cli: Cli, tmp_path: Path
) -> None:
    file = tmp_path / "sent"
    file.write_bytes(BOM + lines(*map(purchase_name, (1, 2, 3, 4)), purchase_name(1, revision=2)))
    done = cli("reconcile", file, "--json")
    assert done.exit_code == 1
    told = document(done)
    assert (told["named"], told["in_loop"], told["wrong_lines"]) == (5, 1, 0)
    assert told["unknown"] == [purchase_name(4), purchase_name(1, revision=2)]
    ids = {"id": shop.entry(2)["id"], "known_revision": 1}
    parked = {"state": "parked", "reason": "refused_by_loop", "message": REFUSED.message}
    later = {"id": shop.entry(3, 2)["id"], "known_revision": 2, "state": "received"}
    assert told["not_in_loop"] == [
        purchase_name(2) | ids | parked,
        purchase_name(3) | later | {"reason": None, "message": None},
    ]
    assert done.stderr == "Error: Entries unknown here: 2. Sending them again is harmless.\n"
    assert stored(shop.engine, "missing_entries") == 2
    assert json.loads(cli("status", "--json").stdout)["missing"] == 2

    shop.submit(purchase(4))
    assert json.loads(cli("status", "--json").stdout)["missing"] == 1
    assert "missing                 1\n" in cli("status").stdout


def test_people_get_a_line_for_each_entry_that_is_not_in_loop(shop: Workshop, cli: Cli) -> None:
    done = cli("reconcile", "-", stdin=lines(*map(purchase_name, (1, 2, 3, 4))))
    assert done.exit_code == 1
    told, _, counts = done.stdout.partition("\n\n")
    assert [line.split("\t")[:5] for line in told.splitlines()] == [
        ["state", "firm", "folder", "entry", "revision"],
        ["unknown", FIRM, FOLDER, "ach-2026-000004", "1"],
        ["parked", FIRM, FOLDER, "ach-2026-000002", "1"],
        ["received", FIRM, FOLDER, "ach-2026-000003", "1, here 2"],
    ]
    assert REFUSED.message in told
    facts = dict(line.rsplit(maxsplit=1) for line in counts.splitlines())
    assert facts == {
        "named": "4",
        "in Loop": "1",
        "not in Loop": "2",
        "unknown": "1",
        "wrong lines": "0",
    }


def test_where_nothing_is_missing_it_says_so(shop: Workshop, cli: Cli) -> None:
    done = cli("reconcile", "-", stdin=lines(purchase_name(1)))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("named")
    assert done.stdout.endswith("\nNothing is missing.\n")
    # What is here and not in Loop is on its way, or has its case.
    assert cli("reconcile", "-", stdin=lines(purchase_name(2))).exit_code == 0
    assert cli("reconcile", "-").exit_code == 0
    empty = {"named": 0, "in_loop": 0, "not_in_loop": [], "unknown": [], "wrong_lines": 0}
    assert document(cli("reconcile", "-", "--json")) == empty


def test_a_wrong_line_is_told_with_its_number_and_the_others_are_looked_at(
    shop: Workshop, cli: Cli
) -> None:
    wrong = [
        b"no json\n",
        lines(purchase_name(1, firm="A\0", revision="1")),
        lines([purchase_name(1)]),
        b"\xff\n",
    ]
    done = cli("reconcile", "-", "--json", stdin=b"\n".join([lines(purchase_name(1)), *wrong, b""]))
    assert done.exit_code == 1
    assert document(done) | {"named": 1, "in_loop": 1, "wrong_lines": 4} == document(done)
    for told in (
        "standard input, line 3, is not JSON that can be read: ",
        "standard input, line 5, names no entry: /firm must not hold U+0000, ",
        "; /revision must be an integer, not a string.\n",
        "standard input, line 7, names no entry: it must be an object, not an array.\n",
        "standard input, line 9, is not JSON that can be read: byte 0xFF ",
        "Error: Lines that name no entry: 4.\n",
    ):
        assert told in done.stderr
    assert stored(shop.engine, "missing_entries") == 0

    done = cli("reconcile", "-", stdin=b"{}\n" * 300)
    assert len(done.stderr.splitlines()) == 22
    assert "280 more lines name no entry.\n" in done.stderr


def test_a_list_longer_than_a_batch_is_looked_up_whole(shop: Workshop, cli: Cli) -> None:
    names = [purchase_name(number) for number in range(2_501)]
    for _ in range(2):
        done = cli("reconcile", "-", "--json", stdin=lines(*names))
        assert document(done)["unknown"] == [names[0], *names[4:]]
    assert stored(shop.engine, "missing_entries") == 2_498


def test_no_database_and_no_schema_are_one_sentence_each_and_no_document(
    cli: Cli, environ: dict[str, str], servers: Servers
) -> None:
    def told() -> str:
        done = cli("reconcile", "-", "--json", stdin=lines(purchase_name(1)))
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        return done.stderr

    environ["PASSERELLE_DATABASE_URL"] = "postgresql://passerelle:hidden@127.0.0.1:1/none"
    assert "The database does not answer" in told()
    assert "0 entries were looked up before" in told()
    with servers.database() as url:
        environ["PASSERELLE_DATABASE_URL"] = url
        assert "run `passerelle db upgrade`" in told()
    del environ["PASSERELLE_DATABASE_URL"]
    assert "PASSERELLE_DATABASE_URL is not set" in told()
