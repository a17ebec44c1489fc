"""What entries lack of their folders, and how old the knowledge of that is."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for table, name in (("entries", "lacking_since"), ("folders", "refreshed_from")):
        op.add_column(table, sa.Column(name, sa.DateTime(timezone=True), nullable=True))
