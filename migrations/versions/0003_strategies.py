"""How Loop was asked, and what tells twins apart where it is asked by piece."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("twin_key", sa.LargeBinary(), nullable=True))
    op.add_column("attempts", sa.Column("count_before", sa.Integer(), nullable=True))
    op.create_index(
        "uq_attempts_open_twin",
        "attempts",
        ["folder_id", "twin_key"],
        unique=True,
        postgresql_where=sa.text(
            "closed_at IS NULL AND ((lines -> 0) ->> 'ecritureOrigine') IS NULL"
        ),
    )
    op.create_index("ix_attempts_twin_key", "attempts", ["folder_id", "twin_key"], unique=False)
    op.create_index(
        "ix_imports_done_folder",
        "imports",
        ["folder_id"],
        unique=False,
        postgresql_where=sa.text("status = 3"),
    )
    op.add_column("questions", sa.Column("strategy", sa.Text(), nullable=True))
    op.create_check_constraint(
        op.f("ck_questions_strategy"), "questions", "strategy IN ('origin', 'piece')"
    )
    op.drop_constraint(op.f("ck_questions_verdict"), "questions")
    op.create_check_constraint(
        op.f("ck_questions_verdict"),
        "questions",
        "verdict IN ('present', 'twice', 'absent', 'partial', 'different', 'ambiguous', "
        "'incomplete')",
    )
