"""What people have done about cases; the connector's name in Loop, as each firm sees it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("firms", sa.Column("connector", sa.Text(), nullable=True))
    op.create_table(
        "case_acts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint("act IN ('released', 'dismissed')", name=op.f("ck_case_acts_act")),
        sa.ForeignKeyConstraint(
            ["firm_id", "case_id"],
            ["cases.firm_id", "cases.id"],
            name=op.f("fk_case_acts_firm_id_case_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_case_acts")),
    )
    op.create_index("ix_case_acts_case_id", "case_acts", ["case_id"], unique=False)
