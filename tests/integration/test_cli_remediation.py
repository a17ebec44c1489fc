"""`passerelle remediation`: what a case is about, and an operator's acts on it."""

import json
import uuid
from typing import Any

import pytest
from sqlalchemy import Engine

from support.command import Cli
from support.events import purchase
from support.simulator import SimulatorHandle
from support.workshop import (
    ACCESS_DENIED,
    FIRM,
    FOLDER,
    REFUSED,
    SECRET_KEY,
    UNKNOWN,
    Workshop,
    accepted,
)


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """A folder whose access Loop has refused, with three entries."""
    made = Workshop(engine)
    made.add_firm()
    made.told.answers = [ACCESS_DENIED]
    made.submit(*(purchase(number) for number in (1, 2, 3)))
    made.deliver_all()
    return made


def case(cli: Cli, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("remediation", "show", number, "--json").stdout)
    return found


@pytest.mark.usefixtures("shop")
def test_a_case_shows_its_steps_in_both_languages_and_what_waits(cli: Cli) -> None:
    assert cli("firm", "set", FIRM, "--connector", "Compta Hub").exit_code == 0
    shown = cli("remediation", "show", 1).stdout
    for heading, screen in (("What to do", "folder portfolio"), ("Que faire", "portefeuille")):
        steps = shown.partition(f"\n{heading}\n")[2].partition("\n\n")[0].splitlines()
        numbered = [line.split(". ", 1) for line in steps[1:]]
        assert [number.strip() for number, _ in numbered] == ["1", "2", "3", "4"]
        portfolio, hub = numbered[0][1], numbered[1][1]
        assert all(word in portfolio for word in (screen, FOLDER, "Action", "Compta Hub"))
        assert all(word in hub for word in ("Loop Hub", FOLDER))
    assert shown.count("ach-2026-") == 3
    found = case(cli)
    assert (found["state"], found["held"], len(found["entries"])) == ("open", 3, 3)
    assert "Compta Hub" in found["remedy"]["fr"]
    assert "connector" not in found


def test_a_release_sends_what_waited_in_order_and_is_recorded(shop: Workshop, cli: Cli) -> None:
    shop.told.answers = [accepted()]
    done = cli("remediation", "release", 1, "--why", "The connector is active now.")
    assert done.exit_code == 0
    assert "3 entries" in done.stdout
    found = case(cli)
    assert (found["state"], found["held"]) == ("released", 0)
    [act] = found["acts"]
    assert (act["act"], act["why"]) == ("released", "The connector is active now.")
    assert act["who"]
    assert "released by" in cli("remediation", "show", 1).stdout
    shop.deliver_all()
    assert shop.states() == {"posted": 3}
    assert [piece for post in shop.told.pieces()[1:] for piece in post] == [
        purchase(number)["entry"]["piece_ref"] for number in (1, 2, 3)
    ]


@pytest.mark.usefixtures("shop")
def test_nothing_is_done_twice_by_accident(cli: Cli) -> None:
    assert cli("remediation", "release", 1).exit_code == 0
    for act in (("release", 1), ("dismiss", 1, "--why", "x")):
        done = cli("remediation", *act)
        assert done.exit_code == 1
        assert "is released already" in done.stderr
    assert len(case(cli)["acts"]) == 1


def test_what_is_refused_again_waits_again(shop: Workshop, cli: Cli) -> None:
    cli("remediation", "release", 1)
    shop.deliver_all()
    assert shop.states() == {"parked": 3}
    found = case(cli)
    assert (found["state"], found["held"]) == ("open", 3)
    assert [act["act"] for act in found["acts"]] == ["released", "reopened"]


def test_what_may_be_in_loop_is_not_released(shop: Workshop, cli: Cli) -> None:
    shop.told.answers = [UNKNOWN]
    cli("remediation", "release", 1)
    shop.deliver_all()
    assert shop.states() == {"uncertain": 3}
    shop.execute("UPDATE entries SET state = 'parked', reason = 'undecided', case_id = 1")
    shop.execute("UPDATE cases SET state = 'open', closed_at = NULL, reason = 'undecided'")
    done = cli("remediation", "release", 1)
    assert done.exit_code == 1
    assert "passerelle entry settle" in done.stderr
    assert shop.states() == {"parked": 3}


@pytest.mark.parametrize(
    "reason", ["unknown_firm", "landed_differently", "already_synced", "landed_twice"]
)
def test_a_case_whose_release_would_send_too_much_is_not_released(
    shop: Workshop, cli: Cli, reason: str
) -> None:
    shop.execute("UPDATE cases SET reason = :reason", reason=reason)
    done = cli("remediation", "release", 1)
    assert done.exit_code == 1
    assert "cannot be released" in done.stderr
    assert case(cli)["state"] == "open"


def test_what_a_refused_entry_waited_for_is_tried_again(engine: Engine, cli: Cli) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    shop.told.answers = [REFUSED, accepted()]
    shop.submit(purchase(1))
    shop.deliver_all()
    assert shop.state() == "parked"
    assert cli("remediation", "release", 1).exit_code == 0
    shop.deliver_all()
    assert shop.state() == "posted"


def test_a_case_that_holds_entries_is_not_dismissed(shop: Workshop, cli: Cli) -> None:
    done = cli("remediation", "dismiss", 1, "--why", "never mind")
    assert done.exit_code == 1
    assert "3 entries wait on case 1" in done.stderr
    assert shop.states() == {"parked": 3}


def test_a_case_without_entries_is_dismissed_with_a_reason(shop: Workshop, cli: Cli) -> None:
    cli("remediation", "release", 1)
    shop.execute("UPDATE cases SET state = 'open', closed_at = NULL, reason = 'landed_twice'")
    assert cli("remediation", "dismiss", 1).exit_code == 2
    assert cli("remediation", "dismiss", 1, "--why", " ").exit_code == 2
    assert cli("remediation", "dismiss", 1, "--why", "One of them is deleted.").exit_code == 0
    found = case(cli)
    assert found["state"] == "dismissed"
    assert [act["act"] for act in found["acts"]] == ["released", "dismissed"]


def test_a_case_that_is_not_there_is_said_so(cli: Cli) -> None:
    for command in (("show", 7), ("release", 7), ("dismiss", 7, "--why", "x")):
        done = cli("remediation", *command)
        assert done.exit_code == 1
        assert "no case 7" in done.stderr
    assert "firm add" in cli("firm", "set", "NOBODY", "--connector", "x").stderr


def test_a_person_has_loop_asked_at_once(shop: Workshop, cli: Cli, loop: SimulatorHandle) -> None:
    here = {"PASSERELLE_LOOP_URL": loop.base_url, "PASSERELLE_SECRET_KEYS": SECRET_KEY}
    loop.patch_folder(FOLDER, access="refused_at_post")
    done = cli("remediation", "probe", 1, **here)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Loop still refuses: ")
    assert FOLDER in done.stderr
    loop.patch_folder(FOLDER, access="granted")
    done = cli("remediation", "probe", 1, **here)
    assert done.exit_code == 0
    assert "Entry #1 is sent to see, and is received" in done.stdout
    assert shop.states() == {"received": 1, "parked": 2}
    found = case(cli)
    assert found["probe_entry"] == 1
    assert [act["act"] for act in found["acts"]] == ["probed", "probed"]
    shop.execute("UPDATE entries SET state = 'discarded', case_id = NULL")
    assert "Case 1 is healed." in cli("remediation", "probe", 1, **here).stdout
    assert case(cli)["state"] == "healed"
    assert "healed already" in cli("remediation", "probe", 1, **here).stderr
    assert "no case 7" in cli("remediation", "probe", 7, **here).stderr


# Acts on one entry.


def refuse(shop: Workshop, *numbers: int) -> None:
    """Entries that Loop has refused, each for itself."""
    for number in numbers:
        shop.told.answers = [REFUSED]
        shop.submit(purchase(number))
        shop.deliver_all()


def test_an_entry_is_retried_and_its_case_is_over(engine: Engine, cli: Cli) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    refuse(shop, 1, 2)
    done = cli("entry", "retry", "ach-2026-000001")
    assert done.stdout == f"#1  {FIRM}, {FOLDER}, ach-2026-000001, revision 1, received\n"
    assert (shop.state(1), shop.state(2)) == ("received", "parked")
    assert case(cli)["state"] == "open"
    assert cli("entry", "retry", "ach-2026-000002").exit_code == 0
    assert case(cli)["state"] == "released"
    shop.told.answers = [accepted()]
    shop.deliver_all()
    assert shop.states() == {"posted": 2}
    life = json.loads(cli("entry", "show", "ach-2026-000001", "--json").stdout)
    assert any("retries it" in (one["message"] or "") for one in life["transitions"])
    again = cli("entry", "retry", "ach-2026-000001")
    assert again.exit_code == 1
    assert "not parked" in again.stderr


def test_an_entry_is_discarded_with_a_reason(engine: Engine, cli: Cli) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    refuse(shop, 1)
    assert cli("entry", "discard", "ach-2026-000001").exit_code == 2
    assert cli("entry", "discard", "ach-2026-000001", "--why", " ").exit_code == 2
    assert cli("entry", "discard", "ach-2026-000001", "--why", "Booked by hand.").exit_code == 0
    row = shop.entry(1)
    assert (row["state"], row["case_id"]) == ("discarded", None)
    assert row["message"].endswith("discards it: Booked by hand.")
    assert [state for _, _, state in shop.cases()] == ["dismissed"]
    # The hub may send a corrected revision all the same.
    shop.told.answers = [accepted()]
    shop.submit(purchase(1, revision=2, event_id=str(uuid.uuid4())))
    shop.deliver_all()
    assert shop.state(1, revision=2) == "posted"


def test_a_number_that_may_be_two_entries_touches_neither(shop: Workshop, cli: Cli) -> None:
    event = purchase(4)
    event["entry"]["id"] = "1"
    shop.submit(event)
    done = cli("entry", "discard", "1", "--why", "x")
    assert done.exit_code == 1
    assert "#1  " in done.stderr
    assert "#4  " in done.stderr
    assert shop.states() == {"parked": 4}
    assert cli("entry", "discard", "#4", "--why", "x").stdout.endswith("1, revision 1, discarded\n")
    assert shop.states() == {"parked": 3, "discarded": 1}


def test_an_entry_of_a_folder_that_waits_is_not_sent_alone(shop: Workshop, cli: Cli) -> None:
    done = cli("entry", "retry", "ach-2026-000001")
    assert done.exit_code == 1
    assert "passerelle remediation release 1" in done.stderr
    assert cli("entry", "discard", "ach-2026-000001", "--why", "x").exit_code == 0
    # The folder waits as before.
    assert shop.states() == {"parked": 2, "discarded": 1}
    assert case(cli)["state"] == "open"


def test_an_entry_that_may_be_in_loop_is_neither_sent_nor_dropped(engine: Engine, cli: Cli) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    refuse(shop, 1)
    shop.execute("UPDATE attempts SET closed_at = NULL, closed_as = NULL")
    for command in (("retry", "1"), ("discard", "1", "--why", "x")):
        done = cli("entry", *command)
        assert done.exit_code == 1
        assert "passerelle entry settle" in done.stderr
    shop.execute("UPDATE attempts SET closed_at = now(), closed_as = 'refused'")
    shop.execute("UPDATE entries SET doubted = true")
    assert "may be in Loop" in cli("entry", "retry", "1").stderr
    assert shop.states() == {"parked": 1}


def test_a_second_revision_of_what_is_in_loop_is_discarded_and_never_sent(
    engine: Engine, cli: Cli
) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    shop.submit(purchase(1))
    shop.deliver_all()
    shop.follow_up()
    shop.submit(purchase(1, revision=2, event_id=str(uuid.uuid4())))
    assert shop.entry(1, revision=2)["reason"] == "already_synced"
    done = cli("entry", "retry", str(shop.entry(1, revision=2)["id"]))
    assert done.exit_code == 1
    assert "booked beside it" in done.stderr
    id_ = str(shop.entry(1, revision=2)["id"])
    assert cli("entry", "discard", id_, "--why", "Corrected in Loop.").exit_code == 0
    assert shop.states() == {"synced": 1, "discarded": 1}
