"""The migrations and the models: two ways to one schema."""

from sqlalchemy import Engine, text

from passerelle.store.deployment import metadata
from passerelle.store.engine import make_engine
from support.servers import Servers

_CATALOGUE = text("""
SELECT 'column', table_name, column_name,
       concat_ws(' ', data_type, is_nullable, column_default, is_identity)
FROM information_schema.columns
WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
UNION ALL
SELECT 'index', tablename, indexname, indexdef
FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
""")


def catalogue(engine: Engine) -> set[tuple[str, ...]]:
    with engine.connect() as connection:
        return {tuple(row) for row in connection.execute(_CATALOGUE)}


def test_the_migrations_make_exactly_what_the_models_say(engine: Engine, servers: Servers) -> None:
    with servers.database() as url:
        other = make_engine(url)
        metadata.create_all(other)
        modelled = catalogue(other)
        other.dispose()
    migrated = catalogue(engine)
    assert len(modelled) > 100
    assert migrated - modelled == set()
    assert modelled - migrated == set()
