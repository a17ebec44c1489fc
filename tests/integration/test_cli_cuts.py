"""`passerelle folder cuts`: where it pays to put what matters first."""

import json
import uuid
from typing import Any

from support.command import Cli
from support.events import JsonObject, credit, debit, purchase
from support.workshop import FIRM, FOLDER, Workshop

LONG = "Papeterie Générale du Sud-Ouest fact. {}"
CODE = "FPAPETERIEGENERALESO"


def entry(number: int, *lines: tuple[str, str | None, str | None], **changes: Any) -> JsonObject:
    """Lines of 1.00, each a description, an auxiliary code and its label."""
    made = [debit(f"{len(lines)}.00", description="Total")]
    for description, code, label in lines:
        line = credit("1.00", description=description)
        if code is not None:
            line["auxiliary"] = {"code": code} | ({"label": label} if label else {})
        made.append(line)
    return purchase(number, lines=made, **changes)


def cuts(cli: Cli, folder: str = FOLDER) -> list[dict[str, Any]]:
    done = cli("folder", "cuts", FIRM, folder, "--json")
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_was_cut_is_told_by_third_party_the_most_first(shop: Workshop, cli: Cli) -> None:
    shop.submit(
        entry(1, (LONG.format("1"), CODE, "Papeterie"), ("short", CODE, None)),
        entry(2, (LONG.format("22"), CODE, "Papeterie Générale"), (LONG.format("3"), "C1", None)),
        entry(3, ("short", "C2", None), ("x" * 36, None, None)),
        entry(4, (LONG.format("1"), "C1", None), ("short", f"{'X' * 17}A", "Export")),
    )
    shop.deliver_all()
    found = cuts(cli)
    assert [(row["auxiliary"], row["journal"], row["cut"]) for row in found] == [
        (CODE, None, 2),
        ("C1", None, 2),
        (None, "ACH", 1),
        (f"{'X' * 17}A", None, 0),
    ]
    by_code = {row["auxiliary"]: row for row in found}
    assert by_code[CODE] == {
        "auxiliary": CODE,
        "label": "Papeterie Générale",
        "journal": None,
        "short": CODE[:17],
        "lines": 3,
        "cut": 2,
        "share": 0.667,
        "longest": 40,
        "from": LONG.format("22"),
        "to": "Papeterie Générale du Sud-Ouest fac",
    }
    # All lines without an auxiliary are the journal's.
    assert (by_code[None]["lines"], by_code[None]["from"]) == (5, "x" * 36)
    export = by_code[f"{'X' * 17}A"]
    assert (export["short"], export["lines"], export["longest"]) == ("X" * 17, 1, None)
    shown = cli("folder", "cuts", FIRM, FOLDER).stdout.splitlines()
    assert len(shown) == 5
    assert "67%" in next(line for line in shown if line.startswith(CODE))


def test_what_is_to_be_sent_counts_and_what_never_will_be_does_not(
    shop: Workshop, cli: Cli
) -> None:
    long = (LONG.format("1"), "C1", None)
    shop.submit(*(entry(number, long) for number in (1, 2, 3)))
    shop.deliver_all()
    shop.execute("UPDATE entries SET received_at = now() - interval '13 months' WHERE id = 1")
    shop.execute("UPDATE entries SET state = 'discarded' WHERE id = 2")
    # Not sent yet: whether it will be cut is not known.
    shop.submit(entry(4, long, event_id=str(uuid.uuid4())))
    [row] = cuts(cli)
    assert (row["lines"], row["cut"], row["share"]) == (2, 1, 0.5)


def test_a_folder_is_told_of_by_itself(shop: Workshop, cli: Cli) -> None:
    shop.add_firm("OTHER")
    event = entry(1, (LONG.format("1"), "C1", None)) | {"firm": "OTHER"}
    shop.submit(event)
    shop.delivery.deliver(shop.row("SELECT max(id) AS id FROM folders")["id"])
    assert shop.states() == {"posted": 1}
    assert cuts(cli) == []
    done = cli("folder", "cuts", FIRM, "NONE", "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "passerelle folder add" in done.stderr


def test_a_long_entry_is_gone_through_once(shop: Workshop, cli: Cli) -> None:
    """To look at all its cuts for each of its lines would take minutes."""
    shop.submit(entry(1, (LONG.format("1"), "C1", None)))
    shop.deliver_all()
    shop.execute(
        """
        UPDATE entries SET
            entry = jsonb_set(entry, '{lines}', (
                SELECT jsonb_agg(line) FROM generate_series(1, 20000),
                    LATERAL (SELECT entry -> 'lines' -> 1 AS line) l)),
            cuts = (
                SELECT jsonb_agg(cut) FROM generate_series(0, 19999) n,
                    LATERAL (SELECT cuts -> 0 || jsonb_build_object('line', n) AS cut) c)
        """
    )
    name = shop.engine.url.database
    shop.execute(f"ALTER DATABASE \"{name}\" SET statement_timeout = '15s'")
    [row] = cuts(cli)
    assert (row["lines"], row["cut"]) == (20_000, 20_000)
