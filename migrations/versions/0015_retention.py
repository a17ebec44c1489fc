"""When the contents of an entry were erased."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("entries", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
