"""An index of entries by reason, so that those with one are found among millions without."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_entries_reason",
            "entries",
            ["reason", "id"],
            unique=False,
            postgresql_where=sa.text("reason IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
