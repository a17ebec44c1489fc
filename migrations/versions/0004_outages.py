"""Whether Loop is down, the pace at which it throttled, and what is due by firm."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_DUE = (
    ("ix_imports_poll_at", "imports", "poll_at", "poll_at IS NOT NULL"),
    ("ix_entries_uncertain", "entries", "due_at", "state = 'uncertain'"),
    ("ix_entries_read_again_at", "entries", "read_again_at", "read_again_at IS NOT NULL"),
)


def upgrade() -> None:
    op.create_table(
        "outages",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_outages_one")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outages")),
    )
    op.execute("INSERT INTO outages (id) VALUES (1)")
    op.add_column("firms", sa.Column("throttled_pace", sa.Float(), nullable=True))
    for name, table, column, where in _DUE:
        op.drop_index(name, table)
        op.create_index(name, table, ["firm_id", column], postgresql_where=sa.text(where))
