"""An index of entries that were dropped, so that the synced ones are counted unread."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_entries_dropped",
            "entries",
            ["state"],
            unique=False,
            postgresql_where=sa.text("state IN ('discarded', 'superseded')"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
