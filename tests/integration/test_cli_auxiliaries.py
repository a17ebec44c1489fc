"""`passerelle folder map-auxiliary`: an auxiliary code gets a code of its own in Loop."""

import json
from typing import Any

import pytest

from support.command import Cli, messages
from support.events import with_auxiliary
from support.workshop import FIRM, FOLDER, REFUSED, UNKNOWN, Workshop, accepted

FIRST, SECOND, THIRD = ("FPAPETERIEGENERAL" + tail for tail in ("ESO", "ESE", "ENO"))
SHORT = FIRST[:17]


def mapped(cli: Cli, code: str, loop_code: str) -> str:
    done = cli("folder", "map-auxiliary", FIRM, FOLDER, code, loop_code)
    assert done.exit_code == 0, done.stderr
    return str(done.stdout)


def refused(cli: Cli, code: str, loop_code: str, folder: str = FOLDER) -> str:
    done = cli("folder", "map-auxiliary", FIRM, folder, code, loop_code)
    assert (done.exit_code, done.stdout) == (1, "")
    return str(done.stderr)


def case(cli: Cli, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("remediation", "show", number, "--json").stdout)
    return found


def sent(shop: Workshop) -> list[tuple[str, str]]:
    """Piece and third party of every entry that was sent, in order."""
    lines = [line for body in shop.told.bodies for line in body["data"]["ecritures"]]
    return [(line["refPiece"], line["tiers"]) for line in lines if "tiers" in line]


def codes(shop: Workshop) -> dict[str, str]:
    rows = shop.rows("SELECT code, loop_code FROM auxiliary_codes")
    return {row["code"]: row["loop_code"] for row in rows}


def test_a_code_of_its_own_heals_the_collision_and_what_waited_goes_in_order(
    shop: Workshop, cli: Cli
) -> None:
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND), with_auxiliary(3, SECOND))
    shop.submit(with_auxiliary(4, THIRD))
    told = mapped(cli, SECOND, "FPAPETERIESE")
    assert "Case 1 is healed: 2 entries go on." in told
    found = case(cli)
    assert (found["state"], found["held"]) == ("healed", 0)
    [act] = found["acts"]
    assert act["act"] == "healed"
    assert act["who"] not in {"", "passerelle"}
    assert act["why"] == f"{SECOND} goes to Loop as FPAPETERIESE."
    shop.submit(with_auxiliary(5, SECOND))
    shop.deliver_all()
    assert sent(shop) == [
        ("FA-2026-1", SHORT),
        ("FA-2026-2", "FPAPETERIESE"),
        ("FA-2026-3", "FPAPETERIESE"),
        ("FA-2026-5", "FPAPETERIESE"),
    ]
    # A code of its own is another name and no cut; the other code still waits.
    assert "auxiliary.code" not in [cut["field"] for cut in shop.entry(2)["cuts"]]
    assert shop.state(4) == "parked"
    assert [state for _, _, state in shop.cases()] == ["healed", "open"]


def test_the_folders_that_go_on_are_rung_for(shop: Workshop, cli: Cli, broker_url: str) -> None:
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND))
    arguments = ("folder", "map-auxiliary", FIRM, FOLDER, SECOND, "SE")
    assert cli(*arguments, PASSERELLE_BROKER_URL=broker_url).exit_code == 0
    [bell] = messages(broker_url, "delivery")
    assert bell["args"] == [shop.folder_id()]


def test_both_codes_are_normalised(shop: Workshop, cli: Cli) -> None:
    shop.submit(with_auxiliary(1, "E\u0301COLE  1"))
    mapped(cli, " École\t1".upper(), " DUPONT \n E\u0301 ")
    shop.deliver_all()
    assert sent(shop) == [("FA-2026-1", "DUPONT É")]


@pytest.mark.parametrize(
    ("code", "loop_code", "words"),
    [
        (SECOND, "  ", "at least one character"),
        ("\t", "SE", "at least one character"),
        (SECOND, "X" * 18, "X has 18 characters, and Loop keeps 17"),
        (SECOND, SHORT, f"{SHORT} is what {FIRST} goes by"),
        (SECOND, "OTHER", "OTHER is what OTHER goes by"),
    ],
)
def test_a_code_that_cannot_be_given_changes_nothing(
    shop: Workshop, cli: Cli, code: str, loop_code: str, words: str
) -> None:
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND), with_auxiliary(3, "OTHER"))
    before = codes(shop)
    assert words in refused(cli, code, loop_code)
    assert codes(shop) == before
    assert shop.cases() == [("folder", "auxiliary_collision", "open")]


def test_a_folder_that_is_not_registered_is_told(shop: Workshop, cli: Cli) -> None:
    assert "passerelle folder add" in refused(cli, SECOND, "SE", "NONE")


def test_a_code_that_no_entry_has_used_yet_is_taken_and_in_force_from_the_first(
    shop: Workshop, cli: Cli
) -> None:
    assert "No entry" in mapped(cli, SECOND, "SE")
    # Also against the cut: this code is whole in Loop, but it is another's.
    shop.submit(with_auxiliary(1, SECOND), with_auxiliary(2, FIRST), with_auxiliary(3, "SE"))
    shop.deliver_all()
    assert sent(shop) == [("FA-2026-1", "SE"), ("FA-2026-2", SHORT)]
    assert shop.row("SELECT cause FROM cases")["cause"] == "SE"


def test_the_same_again_changes_nothing_and_says_so(shop: Workshop, cli: Cli) -> None:
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND))
    mapped(cli, SECOND, "SE")
    before = shop.rows("SELECT * FROM auxiliary_codes ORDER BY code")
    assert mapped(cli, SECOND, "SE") == f"{SECOND} goes to Loop as SE already.\n"
    assert shop.rows("SELECT * FROM auxiliary_codes ORDER BY code") == before
    assert len(case(cli)["acts"]) == 1


def test_what_was_sent_under_the_code_before_is_told(shop: Workshop, cli: Cli) -> None:
    shop.told.answers = [accepted(), REFUSED, UNKNOWN, accepted()]
    for number in range(1, 5):
        shop.submit(with_auxiliary(number, FIRST))
        shop.time_passes()
        shop.deliver_all()
    shop.submit(with_auxiliary(5, FIRST))
    told = mapped(cli, FIRST, "FIRST")
    # One of the four was refused, and of one nobody knows.
    assert f"3 entries were sent as {SHORT}: merge the two third parties in Loop." in told
    shop.deliver_all()
    assert sent(shop)[-1] == ("FA-2026-5", "FIRST")


def test_a_code_that_entries_were_sent_under_stays_taken(shop: Workshop, cli: Cli) -> None:
    shop.submit(with_auxiliary(1, FIRST))
    shop.deliver_all()
    mapped(cli, FIRST, "FIRST")
    shop.submit(with_auxiliary(2, SECOND))
    assert shop.state(2) == "parked"
    assert f"Entries of {FIRST} were sent as {SHORT}" in refused(cli, SECOND, SHORT)
    # It is free for the code whose it was, and what that went by meanwhile is free again.
    mapped(cli, FIRST, SHORT)
    mapped(cli, SECOND, "FIRST")
    shop.submit(with_auxiliary(3, FIRST))
    shop.deliver_all()
    assert sent(shop) == [("FA-2026-1", SHORT), ("FA-2026-2", "FIRST"), ("FA-2026-3", SHORT)]
    cut = {"line": 1, "field": "auxiliary.code", "from": FIRST, "to": SHORT}
    assert cut in shop.entry(3)["cuts"]


def test_a_code_that_became_free_is_given_by_a_person_as_long_as_entries_wait(
    shop: Workshop, cli: Cli
) -> None:
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND))
    mapped(cli, FIRST, "FIRST")
    # It would overtake the one that waits.
    shop.submit(with_auxiliary(3, SECOND))
    assert (shop.state(2), shop.state(3)) == ("parked", "parked")
    mapped(cli, SECOND, SHORT)
    shop.deliver_all()
    assert sent(shop) == [("FA-2026-1", "FIRST"), ("FA-2026-2", SHORT), ("FA-2026-3", SHORT)]


def test_revisions_and_holds_are_heeded(shop: Workshop, cli: Cli) -> None:
    shop.submit(with_auxiliary(1, FIRST), with_auxiliary(2, SECOND))
    shop.hold()
    assert "Case 1 is healed" in mapped(cli, SECOND, "SE")
    assert shop.entry(2)["reason"] == "access_denied"


def test_codes_are_a_folder_s_own(shop: Workshop, cli: Cli) -> None:
    assert cli("folder", "add", FIRM, "OTHER").exit_code == 0
    for number, code in ((1, FIRST), (2, SECOND)):
        shop.submit(
            with_auxiliary(number, code), with_auxiliary(number + 10, code) | {"folder": "OTHER"}
        )
    mapped(cli, SECOND, "SE")
    assert (shop.state(2), shop.state(12)) == ("received", "parked")
    assert cli("folder", "map-auxiliary", FIRM, "OTHER", SECOND, "SE").exit_code == 0
    assert shop.state(12) == "received"
