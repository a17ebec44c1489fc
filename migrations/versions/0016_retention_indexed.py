"""What the migration before could not do without locking tables that grow."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_entries_settled",
            "entries",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text(
                "state IN ('discarded', 'superseded', 'synced') AND erased_at IS NULL"
            ),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_refused_events_taken_in_at",
            "refused_events",
            ["taken_in_at"],
            unique=False,
            postgresql_where=sa.text("taken_in_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
