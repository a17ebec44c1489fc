"""Whether a case is over, and what its end lets go on; what passerelle itself does about cases."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("cases", sa.Column("probes", sa.Integer(), server_default="0", nullable=False))
    for name in ("probe_at", "rung_at"):
        op.add_column("cases", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("probe_entry", sa.BigInteger(), nullable=True))
    op.add_column("entries", sa.Column("freed_by", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_cases_firm_id_probe_entry"),
        "cases",
        "entries",
        ["firm_id", "probe_entry"],
        ["firm_id", "id"],
        postgresql_not_valid=True,
    )
    op.create_foreign_key(
        op.f("fk_entries_firm_id_freed_by"),
        "entries",
        "cases",
        ["firm_id", "freed_by"],
        ["firm_id", "id"],
        postgresql_not_valid=True,
    )
    op.drop_constraint(op.f("ck_case_acts_act"), "case_acts")
    op.create_check_constraint(
        op.f("ck_case_acts_act"),
        "case_acts",
        "act IN ('released', 'dismissed', 'probed', 'healed', 'reopened')",
    )
