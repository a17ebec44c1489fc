"""The schema: migrations give what the models say, and the database refuses what is no state."""

import contextlib
import enum
import multiprocessing
import re
import time

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, OperationalError

from passerelle.domain.states import CaseState, Closing, Reason, Scope, State
from passerelle.store.deployment import metadata
from passerelle.store.engine import make_engine
from passerelle.store.schema import revisions, upgrade
from support.command import Cli
from support.events import purchase
from support.servers import Servers
from support.workshop import Workshop, all_at_once

CATALOGUE = {
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default, "
    "is_identity FROM information_schema.columns WHERE table_schema = 'public'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) "
    "FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


def catalogue(engine: Engine) -> dict[str, list[tuple[object, ...]]]:
    """What the database holds of tables, but for Alembic's own."""
    with engine.connect() as connection:
        return {
            name: sorted(
                tuple(row)
                for row in connection.execute(text(statement))
                if "alembic" not in str(row)
            )
            for name, statement in CATALOGUE.items()
        }


def test_the_migrations_give_what_the_models_say(servers: Servers, engine: Engine) -> None:
    with servers.database() as url:
        modelled = make_engine(url)
        metadata.create_all(modelled)
        assert catalogue(engine) == catalogue(modelled)
        modelled.dispose()


def test_a_new_migration_would_be_empty(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", "migrations:.")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)


def test_upgrading_again_changes_nothing(engine: Engine) -> None:
    before = catalogue(engine)
    upgrade(engine)
    assert catalogue(engine) == before
    current, head = revisions(engine)
    assert current == head is not None


def _upgrade(url: str) -> None:
    engine = make_engine(url)
    upgrade(engine)
    engine.dispose()


def test_two_processes_upgrade_at_once(servers: Servers) -> None:
    with servers.database() as url:
        context = multiprocessing.get_context("spawn")
        processes = [context.Process(target=_upgrade, args=(url,)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0]
        engine = make_engine(url)
        current, head = revisions(engine)
        engine.dispose()
        assert current == head


def test_a_failed_upgrade_lets_the_next_one_in(servers: Servers) -> None:
    with servers.database() as url:
        engine = make_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE entries (id int)")
        with pytest.raises(Exception, match="already exists"):
            upgrade(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE entries")
        upgrade(engine)
        engine.dispose()


def test_a_migration_waits_for_a_table_no_longer_than_workers_can_bear(servers: Servers) -> None:
    with servers.database() as url:
        engine = make_engine(url)
        upgrade(engine)
        with engine.connect() as connection:
            connection.exec_driver_sql("LOCK TABLE alembic_version")
            started = time.monotonic()
            with pytest.raises(OperationalError, match="lock timeout"):
                upgrade(engine, lock_seconds=0.05)
            # A worker would wait for thirty.
            assert time.monotonic() - started < 20
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "30s"
        upgrade(engine)
        engine.dispose()


def test_an_empty_database_has_no_revision(servers: Servers) -> None:
    with servers.database() as url:
        engine = make_engine(url)
        assert revisions(engine)[0] is None
        engine.dispose()


@pytest.fixture
def shop(engine: Engine) -> Workshop:
    """With one entry received, one parked, one posted, and one being posted."""
    made = Workshop(engine)
    made.add_firm()
    made.submit(purchase(1))
    made.deliver()
    made.submit(purchase(2))
    made.dies_at("claim")
    made.submit(purchase(3))
    made.hold()
    made.hold(Reason.UNKNOWN_FOLDER)
    made.submit(purchase(4, folder="OTHER"))
    return made


IMPOSSIBLE = """
UPDATE entries SET state = 'lost' WHERE state = 'received'
UPDATE entries SET state = 'Received' WHERE state = 'received'
UPDATE entries SET state = NULL WHERE state = 'received'
UPDATE entries SET reason = 'because'
UPDATE entries SET state = 'parked', reason = 'internal' WHERE state = 'received'
UPDATE entries SET reason = NULL WHERE state = 'parked'
UPDATE entries SET state = 'received' WHERE state = 'parked'
UPDATE entries SET state = 'posting' WHERE state = 'received'
UPDATE entries SET state = 'waiting' WHERE state = 'posting'
UPDATE entries SET lease_until = NULL WHERE state = 'posting'
UPDATE entries SET state = 'synced' WHERE state = 'posted'
UPDATE entries SET synced_at = now() WHERE state = 'posted'
UPDATE entries SET entry_id = 'same', revision = 1
UPDATE transitions SET to_state = 'lost'
UPDATE transitions SET from_state = 'lost'
UPDATE attempts SET closed_as = 'ended'
UPDATE attempts SET closed_at = now()
UPDATE attempts SET closed_at = now(), closed_as = 'forgotten'
UPDATE cases SET state = 'released'
UPDATE cases SET closed_at = now()
UPDATE cases SET state = 'gone', closed_at = now()
UPDATE cases SET reason = 'because'
UPDATE cases SET scope = 'firm'
UPDATE cases SET scope = 'world'
UPDATE cases SET folder_id = NULL
UPDATE firms SET registered_at = NULL
UPDATE firms SET api_secret = NULL
INSERT INTO cases (scope, firm_id, reason, message) SELECT 'folder', id, 'internal', '' FROM firms
UPDATE cases SET reason = 'internal', cause = ''
"""


def possible(shop: Workshop, statements: list[str]) -> list[str]:
    """Those of the statements that the database carries out."""
    found = []
    for statement in statements:
        with contextlib.suppress(IntegrityError):
            shop.execute(statement)
            found.append(statement)
    return found


def test_the_database_refuses_what_cannot_be(shop: Workshop) -> None:
    assert possible(shop, IMPOSSIBLE.strip().splitlines()) == []


def test_a_row_belongs_to_the_firm_of_its_parent(shop: Workshop) -> None:
    shop.add_firm("OTHER", "ELSEWHERE")
    tables = ("entries", "attempts", "imports", "transitions", "events", "cases")
    change = "SET firm_id = (SELECT max(id) FROM firms)"
    assert possible(shop, [f"UPDATE {table} {change}" for table in tables]) == []


WORDS: list[tuple[str, type[enum.StrEnum]]] = [
    ("entries_state", State),
    ("entries_reason", Reason),
    ("transitions_from_state", State),
    ("transitions_to_state", State),
    ("cases_state", CaseState),
    ("cases_reason", Reason),
    ("cases_scope", Scope),
    ("attempts_closed_as", Closing),
]


def test_the_database_knows_the_words_of_the_domain_and_no_others(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint")
        )
        definitions = {row.conname: row.definition for row in rows}
    for name, words in WORDS:
        assert set(re.findall(r"'(\w+)'", definitions[f"ck_{name}"])) == set(words)


def test_several_threads_upgrade_an_empty_database_at_once(servers: Servers) -> None:
    with servers.database() as url:
        engine = make_engine(url)
        all_at_once([lambda: upgrade(engine)] * 3)
        current, head = revisions(engine)
        engine.dispose()
        assert current == head


def test_a_newer_schema_is_left_as_it_is(cli: Cli, engine: Engine) -> None:
    """Who goes back to the version before starts it by the same steps."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    done = cli("db", "upgrade")
    assert (done.exit_code, "of a newer version" in done.stdout) == (0, True)
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert kept == "9999"
