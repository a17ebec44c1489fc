"""What holds in every session of ours, whatever the server's own defaults."""

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from passerelle.store.engine import make_engine
from support.events import purchase
from support.servers import database_name
from support.workshop import Workshop


def test_what_was_committed_stays_whatever_the_default(database_url: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f'ALTER DATABASE "{database_name(database_url)}" SET synchronous_commit = off'
        )
    other = make_engine(database_url)
    with other.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    other.dispose()


def becomes_read_only(engine: Engine) -> None:
    """As what a pool holds where the server behind it became a standby."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = on")


def test_a_session_that_takes_no_writes_any_more_counts_as_lost(engine: Engine) -> None:
    becomes_read_only(engine)
    with pytest.raises(OperationalError), engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE something ()")
    # And is not used again.
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE something ()")


def test_what_arrives_meanwhile_is_neither_refused_nor_lost(engine: Engine) -> None:
    shop = Workshop(engine)
    shop.add_firm()
    becomes_read_only(engine)
    assert shop.submit(purchase(1), purchase(2)).new == 2
    assert (shop.states(), shop.refused()) == ({"received": 2}, [])
