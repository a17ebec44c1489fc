"""What the migration before could not do without locking tables that grow."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_cases_remind_at",
            "cases",
            ["remind_at"],
            unique=False,
            postgresql_where=sa.text("state = 'open'"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
