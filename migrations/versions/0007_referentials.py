"""Reference data of folders, and when they are read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"

_KINDS = "kind IN ('account', 'journal', 'customer', 'supplier', 'employee', 'other')"


def _now(name: str) -> sa.Column[object]:
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _folder(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["firm_id", "folder_id"],
        ["folders.firm_id", "folders.id"],
        name=op.f(f"fk_{table}_firm_id_folder_id"),
    )


def upgrade() -> None:
    for name in ("refreshed_at", "refresh_at", "refresh_lease_until", "refresh_rung_at"):
        op.add_column("folders", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "folders", sa.Column("refresh_failures", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("folders", sa.Column("refresh_lease", sa.Uuid(), nullable=True))
    op.create_table(
        "referential_records",
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("folder_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("revision_id", sa.Text(), nullable=True),
        sa.Column("record", postgresql.JSONB(), nullable=False),
        _now("since"),
        _now("changed_at"),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gone_at", sa.DateTime(timezone=True), nullable=True),
        _folder("referential_records"),
        sa.CheckConstraint(_KINDS, name=op.f("ck_referential_records_kind")),
        sa.PrimaryKeyConstraint("folder_id", "kind", "code", name=op.f("pk_referential_records")),
    )
    op.create_index(
        "ix_referential_records_account",
        "referential_records",
        ["folder_id", sa.text("rtrim(code, '0')")],
        unique=False,
        postgresql_where=sa.text("kind = 'account'"),
    )
    op.create_table(
        "referential_flags",
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("folder_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        _now("since"),
        _folder("referential_flags"),
        sa.CheckConstraint(_KINDS, name=op.f("ck_referential_flags_kind")),
        sa.PrimaryKeyConstraint("folder_id", "kind", name=op.f("pk_referential_flags")),
    )
