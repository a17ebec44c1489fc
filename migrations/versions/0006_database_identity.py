"""Which database this is, and what may have been sent by what was lost when it went back."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "database_identity",
        sa.Column("one", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("system_identifier", sa.BigInteger(), nullable=True),
        sa.Column("timeline", sa.Text(), nullable=True),
        sa.Column("database_oid", sa.BigInteger(), nullable=True),
        sa.Column("entries_oid", sa.BigInteger(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restored_by", sa.Text(), nullable=True),
        sa.CheckConstraint("one", name=op.f("ck_database_identity_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_database_identity")),
    )
    op.add_column(
        "entries", sa.Column("doubted", sa.Boolean(), server_default="false", nullable=False)
    )
    op.create_index(
        "ix_entries_doubted",
        "entries",
        ["folder_id", "id"],
        unique=False,
        postgresql_where=sa.text("doubted"),
    )
    op.add_column(
        "imports", sa.Column("supposed", sa.Boolean(), server_default="false", nullable=False)
    )
