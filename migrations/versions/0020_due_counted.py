"""What waits is indexed with what it is counted by, so that a backlog is told of without being read."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_entries_due",
            "entries",
            ["folder_id", "due_at", "id"],
            unique=False,
            postgresql_include=["state", "reason", "received_at"],
            postgresql_where=sa.text("state IN ('received', 'waiting')"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(
            "ix_entries_unsent",
            table_name="entries",
            postgresql_concurrently=True,
            if_exists=True,
        )
