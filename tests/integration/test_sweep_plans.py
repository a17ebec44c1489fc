"""However PostgreSQL plans it, of each firm no more is rung for than its share.

Where it looks for what is due once for each row that it may change, it finds another each time.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event

from passerelle.domain.states import Reason
from passerelle.store.engine import make_engine
from support.events import purchase
from support.workshop import UNKNOWN, Workshop

FOLDERS = [f"F{number}" for number in range(12)]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """With nothing but loops in loops."""
    made = make_engine(database_url)

    @event.listens_for(made, "connect")
    def _(connection: object, _record: object) -> None:
        with connection.cursor() as cursor:  # type: ignore[attr-defined]
            for kind in ("hashjoin", "mergejoin", "hashagg", "sort", "material"):
                cursor.execute(f"SET enable_{kind} = off")
        connection.commit()  # type: ignore[attr-defined]

    yield made
    made.dispose()


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    made = Workshop(engine, batch_lines=3)
    made.add_firm("CABINET42", *FOLDERS)
    made.submit(*(purchase(number, folder=folder) for number, folder in enumerate(FOLDERS)))
    made.execute("UPDATE firms SET pace = 2")
    return made


def test_folders_to_deliver_and_to_read(shop: Workshop) -> None:
    bells = shop.sweep()
    assert (len(bells.folders), len(bells.refreshes)) == (2, 1)


def test_imports_to_ask_about(shop: Workshop) -> None:
    shop.execute("UPDATE firms SET pace = 1000")
    shop.deliver_all()
    shop.time_passes()
    shop.execute("UPDATE firms SET pace = 2")
    assert sum(map(len, shop.sweep().imports)) == 1


def test_entries_to_ask_about(shop: Workshop) -> None:
    shop.execute("UPDATE firms SET pace = 1000")
    shop.told.answers = [UNKNOWN]
    for folder in FOLDERS:
        shop.time_passes()
        shop.deliver(folder)
    shop.time_passes()
    shop.execute("UPDATE firms SET pace = 2")
    shop.execute("UPDATE outages SET since = NULL")
    assert sum(map(len, shop.sweep().entries)) == 1


def test_cases_to_probe(shop: Workshop) -> None:
    for folder in FOLDERS:
        shop.hold(Reason.ACCESS_DENIED, folder)
    shop.execute("UPDATE cases SET probe_at = now()")
    assert len(shop.sweep().cases.to_probe) == 1
