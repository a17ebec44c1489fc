"""What is told to the hub and to people."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("url", sa.LargeBinary(), nullable=True),
        sa.Column("after_id", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("most", sa.Integer(), server_default=sa.text("500"), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("down_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("audience IN ('outcome', 'alert')", name=op.f("ck_endpoints_audience")),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name=op.f("fk_endpoints_firm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("firm_id", "audience", name=op.f("uq_endpoints_firm_id_audience")),
        sa.UniqueConstraint("firm_id", "id", name=op.f("uq_endpoints_firm_id_id")),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("endpoint_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "webhook_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False
        ),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("first_sequence", sa.BigInteger(), nullable=True),
        sa.Column("last_sequence", sa.BigInteger(), nullable=True),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column("folder_id", sa.BigInteger(), nullable=True),
        sa.Column("seen", JSONB(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(type = 'entries.outcome') = (first_sequence IS NOT NULL)",
            name=op.f("ck_messages_outcomes"),
        ),
        sa.CheckConstraint(
            "(type = 'folder.state') = (folder_id IS NOT NULL)", name=op.f("ck_messages_folder")
        ),
        sa.CheckConstraint(
            "(type LIKE 'case.%') = (case_id IS NOT NULL)", name=op.f("ck_messages_case")
        ),
        sa.CheckConstraint(
            "type IN ('entries.outcome', 'folder.state', 'case.opened', 'case.healed', 'case.reminder')",
            name=op.f("ck_messages_type"),
        ),
        sa.CheckConstraint(
            "(first_sequence IS NULL) = (last_sequence IS NULL)", name=op.f("ck_messages_sequences")
        ),
        sa.CheckConstraint(
            "(first_sequence IS NULL) = (seen IS NOT NULL)", name=op.f("ck_messages_seen")
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "case_id"],
            ["cases.firm_id", "cases.id"],
            name=op.f("fk_messages_firm_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "endpoint_id"],
            ["endpoints.firm_id", "endpoints.id"],
            name=op.f("fk_messages_firm_id_endpoint_id"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "folder_id"],
            ["folders.firm_id", "folders.id"],
            name=op.f("fk_messages_firm_id_folder_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("firm_id", "id", name=op.f("uq_messages_firm_id_id")),
    )
    op.create_index(
        "ix_messages_case_id",
        "messages",
        ["case_id", "id"],
        unique=False,
        postgresql_where=sa.text("case_id IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_folder_id",
        "messages",
        ["folder_id", "id"],
        unique=False,
        postgresql_where=sa.text("folder_id IS NOT NULL"),
    )
    op.create_index(
        "ix_messages_waiting",
        "messages",
        ["endpoint_id", "created_at", sa.literal_column("coalesce(first_sequence, 0)"), "id"],
        unique=False,
        postgresql_where=sa.text("told_at IS NULL"),
    )
    op.create_table(
        "outcomes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=True),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("entry_id", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state IN ('refused', 'missing')) = (entry IS NULL)", name=op.f("ck_outcomes_entry")
        ),
        sa.CheckConstraint(
            "state IN ('synced', 'parked', 'superseded', 'discarded', 'refused', 'missing')",
            name=op.f("ck_outcomes_state"),
        ),
        sa.CheckConstraint(
            "(sequence IS NULL) = (message_id IS NULL)", name=op.f("ck_outcomes_sequence")
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "case_id"],
            ["cases.firm_id", "cases.id"],
            name=op.f("fk_outcomes_firm_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "entry"],
            ["entries.firm_id", "entries.id"],
            name=op.f("fk_outcomes_firm_id_entry"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "message_id"],
            ["messages.firm_id", "messages.id"],
            name=op.f("fk_outcomes_firm_id_message_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
    )
    op.create_index(
        "ix_outcomes_entry",
        "outcomes",
        ["entry", "id"],
        unique=False,
        postgresql_where=sa.text("entry IS NOT NULL"),
    )
    op.create_index(
        "ix_outcomes_untold",
        "outcomes",
        ["firm_id", "id"],
        unique=False,
        postgresql_where=sa.text("sequence IS NULL"),
    )
    op.create_index(
        "uq_outcomes_sequence",
        "outcomes",
        ["firm_id", "sequence"],
        unique=True,
        postgresql_where=sa.text("sequence IS NOT NULL"),
    )
    op.add_column(
        "cases",
        sa.Column(
            "remind_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now() + interval '1 day'"),
            nullable=True,
        ),
    )
    op.add_column("firms", sa.Column("webhook_secrets", sa.LargeBinary(), nullable=True))
