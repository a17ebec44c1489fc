"""Until when entries of a folder gather at most."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("folders", sa.Column("gather_limit", sa.DateTime(timezone=True), nullable=True))
