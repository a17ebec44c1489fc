"""What Loop was asked about uncertain entries, and how long they have settled."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "imports",
        sa.Column("settled_seconds", sa.Float(), server_default="0", nullable=False),
    )
    op.add_column("imports", sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("entries", sa.Column("read_again_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_entries_read_again_at",
        "entries",
        ["read_again_at"],
        unique=False,
        postgresql_where=sa.text("read_again_at IS NOT NULL"),
    )
    op.add_column("attempts", sa.Column("absent_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "questions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "asked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("rows_found", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "verdict IN ('present', 'twice', 'absent', 'partial', 'different', 'incomplete')",
            name=op.f("ck_questions_verdict"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "entry"],
            ["entries.firm_id", "entries.id"],
            name=op.f("fk_questions_firm_id_entry"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "import_id"],
            ["imports.firm_id", "imports.id"],
            name=op.f("fk_questions_firm_id_import_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_questions")),
    )
    op.create_index(
        "ix_imports_done",
        "imports",
        ["firm_id", "ended_at"],
        unique=False,
        postgresql_where=sa.text("status = 3"),
    )
    op.create_index("ix_questions_entry", "questions", ["entry"], unique=False)
    op.create_index(
        "ix_entries_uncertain",
        "entries",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("state = 'uncertain'"),
    )
