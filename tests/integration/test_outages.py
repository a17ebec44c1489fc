"""Loop as a whole is down: one look for all firms, by reads, and all are back together."""

import itertools

import pytest
from sqlalchemy import Engine

from passerelle.domain.outcome import Answer
from passerelle.store import outages
from passerelle.store.pauses import IS_READY
from support.events import JsonObject, purchase
from support.workshop import AGAIN, KEYS_REFUSED, THROTTLED, UNKNOWN, Workshop, accepted

_NUMBERS = itertools.count(100)


def _at(firm: str, number: int) -> JsonObject:
    return purchase(number, firm=firm, folder=f"F{firm}")


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    made = Workshop(engine)
    for firm in "ABCD":
        made.add_firm(firm, f"F{firm}")
    return made


def since(shop: Workshop) -> object:
    return shop.row("SELECT since FROM outages")["since"]


def fail(shop: Workshop, *firms: str, answer: Answer = AGAIN) -> None:
    shop.told.answers = [answer]
    shop.submit(*(_at(firm, next(_NUMBERS)) for firm in firms))
    for firm in firms:
        shop.deliver(f"F{firm}")


def next_probe(shop: Workshop) -> None:
    shop.execute("UPDATE outages SET probe_at = now()")


@pytest.mark.parametrize("answer", [AGAIN, UNKNOWN])
def test_failures_of_several_firms_in_a_row_stop_all_of_them(
    shop: Workshop, answer: Answer
) -> None:
    fail(shop, "A", "B", answer=answer)
    assert since(shop) is None
    fail(shop, "C", answer=answer)
    assert since(shop) is not None
    shop.submit(_at("D", 1))
    posts = len(shop.told.bodies)
    assert shop.deliver("FD") is None
    bells = shop.sweep()
    assert (bells.folders, bells.imports, bells.entries) == ((), (), ())
    assert (len(shop.told.bodies), shop.state(1)) == (posts, "received")


@pytest.mark.parametrize("answer", [THROTTLED, KEYS_REFUSED, accepted()])
def test_what_concerns_one_firm_alone_is_no_outage(shop: Workshop, answer: Answer) -> None:
    fail(shop, "A", "B", "C", answer=answer)
    assert since(shop) is None


def test_an_answer_between_shows_that_loop_is_there(shop: Workshop) -> None:
    fail(shop, "A", "B")
    fail(shop, "D", answer=accepted())
    fail(shop, "C")
    assert since(shop) is None


def test_nothing_is_marked_once_loop_is_known_to_be_down(shop: Workshop) -> None:
    """The others failed while this one had its turn and had not yet made its mark."""
    fail(shop, "A", "B")
    shop.submit(_at("D", 1))

    def checkpoint(step: str) -> None:
        if step == "claim":
            fail(shop, "C")

    shop.another_delivery(checkpoint=checkpoint).deliver(shop.folder_id("FD"))
    assert shop.state(1) == "waiting"
    assert shop.rows("SELECT id FROM attempts WHERE entry_id = 'ach-2026-000001'") == []


def test_probes_are_reads_and_at_most_six_a_minute(shop: Workshop) -> None:
    fail(shop, "A", "B", "C")
    shop.told.folder = AGAIN
    posts, shop.told.asked = len(shop.told.bodies), []
    assert shop.sweep().probe
    # Any number of workers sweep.
    assert not any(shop.sweep().probe for _ in range(20))
    wait = shop.row("SELECT extract(epoch FROM probe_at - now())::float AS s FROM outages")["s"]
    assert 60 / wait < 6
    assert wait < 20
    shop.probing.probe()
    assert since(shop) is not None
    assert (len(shop.told.bodies), len(shop.told.asked)) == (posts, 1)
    next_probe(shop)
    assert shop.sweep().probe


def test_when_loop_is_back_all_go_on(shop: Workshop) -> None:
    fail(shop, "A", "B", "C")
    shop.submit(_at("D", 1))
    shop.told.answers = [accepted()]
    shop.probing.probe()
    assert since(shop) is None
    assert shop.sweep().folders == (shop.folder_id("FD"),)
    shop.deliver("FD")
    assert shop.state(1) == "posted"
    # It takes as many failures as the first time.
    fail(shop, "D")
    assert since(shop) is None


def test_after_an_outage_that_comes_again_the_probes_keep_their_distance(shop: Workshop) -> None:
    fail(shop, "A", "B", "C")
    assert shop.sweep().probe
    shop.probing.probe()
    shop.time_passes()
    shop.execute("UPDATE outages SET probe_at = now() + interval '5 s'")
    fail(shop, "A", "B", "C")
    assert since(shop) is not None
    assert not shop.sweep().probe


def test_an_answer_that_was_under_way_does_not_end_an_outage(shop: Workshop) -> None:
    shop.submit(_at("D", 1))
    other = shop.another_delivery()

    def meanwhile() -> None:
        shop.told.during = lambda: None
        fail(shop, "A", "B", "C")
        shop.told.answers = [accepted()]

    shop.told.during = meanwhile
    other.deliver(shop.folder_id("FD"))
    assert shop.state(1) == "posted"
    assert since(shop) is not None


def test_who_may_not_call_does_not_probe(shop: Workshop) -> None:
    fail(shop, "A", "B", "C")
    shop.execute("UPDATE firms SET paused_until = now() + interval '1 h'")
    shop.told.asked = []
    shop.probing.probe()
    assert shop.told.asked == []
    assert since(shop) is not None


def test_a_refused_probe_shows_that_loop_is_back(shop: Workshop) -> None:
    fail(shop, "A", "B", "C")
    shop.told.folder = KEYS_REFUSED
    shop.probing.probe()
    assert since(shop) is None
    # Nobody has sent anything: what concerns the firm is found out by what it sends.
    assert shop.cases() == []


def test_no_folder_is_asked_about_under_a_hold_if_there_is_another(shop: Workshop) -> None:
    for firm in "ABC":
        shop.hold(folder=f"F{firm}")
    shop.execute("UPDATE outages SET since = now()")
    for _ in range(8):
        with shop.engine.connect() as connection:
            found = outages.prober(connection)
        assert found is not None
        assert found.code == "FD"


def test_an_outage_is_not_a_firms_own() -> None:
    assert "outages" not in IS_READY
