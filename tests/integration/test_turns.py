"""Fairness: folders of a firm take turns, and no firm takes what the others need."""

import contextlib
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from passerelle.turns import DELIVERING, READING, Kind, Turns
from support.events import JsonObject, purchase
from support.workshop import Workshop


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    made = Workshop(engine, batch_lines=2, pace=(1e6, 1e6))
    made.add_firm("A", "BIG", "SMALL", *(f"F{number}" for number in range(20)))
    made.add_firm("B", "OTHER")
    return made


def _of(folder: str, number: int, firm: str = "A") -> JsonObject:
    event = purchase(number, firm=firm, folder=folder)
    event["entry"]["lines"] = event["entry"]["lines"][:1] + event["entry"]["lines"][-1:]
    event["entry"]["lines"][0]["debit"] = event["entry"]["lines"][1]["credit"]
    return event


def firm_id(shop: Workshop, code: str) -> int:
    found: int = shop.row("SELECT id FROM firms WHERE code = :code", code=code)["id"]
    return found


def folder_codes(shop: Workshop) -> list[str]:
    """The folder of each POST, in order."""
    return [body["codeIbs"] for body in shop.told.bodies]


def test_a_small_folder_is_next_though_a_large_one_has_much_to_send(shop: Workshop) -> None:
    shop.submit(*(_of("BIG", number) for number in range(100, 110)))
    following = shop.deliver("BIG")
    assert following == shop.folder_id("BIG")
    shop.submit(_of("SMALL", 1))
    # Somebody of the firm was sent away, so whoever has waited longest is next.
    _send_away(shop, "SMALL")
    following = shop.deliver("BIG")
    assert following == shop.folder_id("SMALL")


def test_folders_that_are_sent_away_have_turns_one_after_the_other(shop: Workshop) -> None:
    """Only bells that the deliveries themselves ring: nobody's turn is lost."""
    folders = [f"F{number}" for number in range(5)]
    shop.submit(*(_of(code, number * 10 + n) for number, code in enumerate(folders, 2)
                  for n in range(3)))  # fmt: skip
    following: int | None = shop.folder_id("F0")
    for number in range(15):
        _send_away(shop, folders[(number + 1) % 5])
        assert following is not None
        following = shop.delivery.deliver(following)
    assert folder_codes(shop) == folders * 3
    assert following is None


def test_who_is_sent_away_keeps_its_place(shop: Workshop) -> None:
    shop.submit(_of("F1", 1), _of("F2", 2))
    with _full(shop.turns, firm_id(shop, "A"), DELIVERING):
        assert shop.deliver("F1") is None
    assert shop.told.bodies == []
    # The bell was heard: the next sweep, which has one turn to give, rings again.
    shop.execute("UPDATE firms SET pace = 0.5")
    assert shop.sweep().folders == (shop.folder_id("F1"),)


def test_a_bell_that_came_too_early_does_not_delay_the_next(shop: Workshop) -> None:
    shop.submit(_of("F1", 1))
    assert shop.sweep().folders == (shop.folder_id("F1"),)
    shop.execute("UPDATE firms SET paused_until = now() + interval '1 h'")
    assert shop.deliver("F1") is None
    shop.execute("UPDATE firms SET paused_until = NULL")
    assert shop.sweep().folders == (shop.folder_id("F1"),)


def test_of_a_firm_no_more_folders_are_rung_for_than_can_have_their_turn(shop: Workshop) -> None:
    shop.submit(*(_of(f"F{number}", number) for number in range(20)), _of("OTHER", 50, "B"))
    shop.execute("UPDATE firms SET pace = 3.5")
    served = [shop.folder_id(f"F{number}") for number in range(10)]
    shop.execute("UPDATE folders SET gather_until = now() WHERE id = ANY(:ids)", ids=served)
    rung = set(shop.sweep().folders)
    assert len(rung) == 5
    assert shop.folder_id("OTHER") in rung
    assert not rung & set(served)


def test_at_most_so_many_calls_of_a_firm_are_made_at_once(shop: Workshop) -> None:
    a, b = firm_id(shop, "A"), firm_id(shop, "B")
    with _full(shop.turns, a, DELIVERING):
        for firm, kind, granted in (
            (a, DELIVERING, False), (a, READING, True), (b, DELIVERING, True)
        ):  # fmt: skip
            with shop.turns.turn(firm, kind) as found:
                assert found is granted
    with shop.turns.turn(a, DELIVERING) as found:
        assert found


def test_a_place_is_given_back_though_the_call_fails(shop: Workshop) -> None:
    for _ in range(DELIVERING.at_once + 1):
        with contextlib.suppress(KeyError), shop.turns.turn(firm_id(shop, "A"), DELIVERING) as had:
            assert had
            raise KeyError


def test_reading_takes_no_more_than_half_of_what_the_pace_gives(shop: Workshop) -> None:
    shop.prove()
    shop.submit(*(_of("BIG", number) for number in range(30)))
    shop.deliver_all()
    shop.time_passes()
    shop.execute("UPDATE firms SET pace = 10")
    bells = shop.sweep()
    assert sum(map(len, bells.imports)) == 5


def _send_away(shop: Workshop, folder: str) -> None:
    with _full(shop.turns, firm_id(shop, "A"), DELIVERING):
        assert shop.deliver(folder) is None


@contextlib.contextmanager
def _full(turns: Turns, firm: int, kind: Kind) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(kind.at_once):
            assert stack.enter_context(turns.turn(firm, kind))
        yield
