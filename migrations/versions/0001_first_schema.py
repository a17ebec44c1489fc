"""The first schema."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "firms",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("api_key", sa.LargeBinary(), nullable=True),
        sa.Column("api_secret", sa.LargeBinary(), nullable=True),
        sa.Column("subscription_key", sa.LargeBinary(), nullable=True),
        sa.Column("api_key_hash", sa.LargeBinary(), nullable=True),
        sa.Column("held_by", sa.BigInteger(), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pace", sa.Float(), nullable=True),
        sa.Column("next_turn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "(registered_at IS NULL) = (api_key IS NULL) AND (registered_at IS NULL) = (api_secret IS NULL) AND (registered_at IS NULL) = (subscription_key IS NULL)",
            name=op.f("ck_firms_registered"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firms")),
        sa.UniqueConstraint("api_key_hash", name=op.f("uq_firms_api_key_hash")),
        sa.UniqueConstraint("code", name=op.f("uq_firms_code")),
    )
    op.create_index(
        "uq_firms_code_key_registered",
        "firms",
        ["code_key"],
        unique=True,
        postgresql_where=sa.text("registered_at IS NOT NULL"),
    )
    op.create_table(
        "refused_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("errors", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("deliveries", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "last_received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("taken_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_events")),
        sa.UniqueConstraint("content_hash", name=op.f("uq_refused_events_content_hash")),
    )
    op.create_table(
        "folders",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("code_key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("open_from", sa.Date(), nullable=True),
        sa.Column("open_to", sa.Date(), nullable=True),
        sa.Column("create_accounts", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_by", sa.BigInteger(), nullable=True),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("gather_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name=op.f("fk_folders_firm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_folders")),
        sa.UniqueConstraint("firm_id", "code", name=op.f("uq_folders_firm_id_code")),
        sa.UniqueConstraint("firm_id", "id", name=op.f("uq_folders_firm_id_id")),
    )
    op.create_index(
        "uq_folders_code_key_registered",
        "folders",
        ["firm_id", "code_key"],
        unique=True,
        postgresql_where=sa.text("registered_at IS NOT NULL"),
    )
    op.create_table(
        "auxiliary_codes",
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("folder_id", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("loop_code", sa.Text(), nullable=False),
        sa.Column(
            "since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "folder_id"],
            ["folders.firm_id", "folders.id"],
            name=op.f("fk_auxiliary_codes_firm_id_folder_id"),
        ),
        sa.PrimaryKeyConstraint("firm_id", "folder_id", "code", name=op.f("pk_auxiliary_codes")),
        sa.UniqueConstraint(
            "firm_id",
            "folder_id",
            "loop_code",
            name=op.f("uq_auxiliary_codes_firm_id_folder_id_loop_code"),
        ),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("folder_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), server_default="", nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column(
            "opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(scope = 'firm') = (folder_id IS NULL)", name=op.f("ck_cases_folder")),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("ck_cases_closed")),
        sa.CheckConstraint(
            "reason IN ('access_denied', 'unknown_firm', 'unknown_folder', 'credentials_refused', 'unknown_account', 'closed_account', 'unknown_journal', 'closed_journal', 'outside_open_period', 'auxiliary_collision', 'attachment_expired', 'refused_by_loop', 'undecided', 'landed_differently', 'already_synced', 'exhausted', 'internal', 'landed_twice', 'import_stuck')",
            name=op.f("ck_cases_reason"),
        ),
        sa.CheckConstraint("scope IN ('firm', 'folder', 'entry')", name=op.f("ck_cases_scope")),
        sa.CheckConstraint(
            "state IN ('open', 'healed', 'released', 'dismissed')", name=op.f("ck_cases_state")
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "folder_id"],
            ["folders.firm_id", "folders.id"],
            name=op.f("fk_cases_firm_id_folder_id"),
        ),
        sa.ForeignKeyConstraint(["firm_id"], ["firms.id"], name=op.f("fk_cases_firm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("firm_id", "id", name=op.f("uq_cases_firm_id_id")),
    )
    op.create_index(
        "uq_cases_open",
        "cases",
        ["firm_id", "folder_id", "reason", "cause"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
        postgresql_nulls_not_distinct=True,
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("folder_id", sa.BigInteger(), nullable=False),
        sa.Column(
            "sent_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("polls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("poll_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["firm_id", "folder_id"],
            ["folders.firm_id", "folders.id"],
            name=op.f("fk_imports_firm_id_folder_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_imports")),
        sa.UniqueConstraint("firm_id", "id", name=op.f("uq_imports_firm_id_id")),
    )
    op.create_index(
        "ix_imports_poll_at",
        "imports",
        ["poll_at"],
        unique=False,
        postgresql_where=sa.text("poll_at IS NOT NULL"),
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("folder_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("line_count", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "cuts", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False
        ),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("half", sa.Uuid(), nullable=True),
        sa.Column("crashes", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("synced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'parked') = (case_id IS NOT NULL)", name=op.f("ck_entries_parked_case")
        ),
        sa.CheckConstraint(
            "(state = 'posting') = (lease IS NOT NULL AND lease_until IS NOT NULL)",
            name=op.f("ck_entries_posting_lease"),
        ),
        sa.CheckConstraint(
            "(state = 'synced') = (synced_at IS NOT NULL)", name=op.f("ck_entries_synced")
        ),
        sa.CheckConstraint(
            "reason IN ('access_denied', 'unknown_firm', 'unknown_folder', 'credentials_refused', 'unknown_account', 'closed_account', 'unknown_journal', 'closed_journal', 'outside_open_period', 'auxiliary_collision', 'attachment_expired', 'refused_by_loop', 'undecided', 'landed_differently', 'already_synced', 'exhausted', 'internal', 'landed_twice', 'import_stuck')",
            name=op.f("ck_entries_reason"),
        ),
        sa.CheckConstraint(
            "state <> 'parked' OR reason IS NOT NULL", name=op.f("ck_entries_parked_reason")
        ),
        sa.CheckConstraint(
            "state IN ('received', 'posting', 'posted', 'waiting', 'uncertain', 'parked', 'synced', 'superseded', 'discarded')",
            name=op.f("ck_entries_state"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "case_id"],
            ["cases.firm_id", "cases.id"],
            name=op.f("fk_entries_firm_id_case_id"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "folder_id"],
            ["folders.firm_id", "folders.id"],
            name=op.f("fk_entries_firm_id_folder_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        sa.UniqueConstraint(
            "firm_id",
            "folder_id",
            "entry_id",
            "revision",
            name=op.f("uq_entries_firm_id_folder_id_entry_id_revision"),
        ),
        sa.UniqueConstraint("firm_id", "id", name=op.f("uq_entries_firm_id_id")),
    )
    op.create_index(
        "ix_entries_case_id",
        "entries",
        ["case_id"],
        unique=False,
        postgresql_where=sa.text("case_id IS NOT NULL"),
    )
    op.create_index(
        "ix_entries_lease_until",
        "entries",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'posting'"),
    )
    op.create_index(
        "ix_entries_unsent",
        "entries",
        ["folder_id", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('received', 'waiting')"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("folder_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("import_id", sa.BigInteger(), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_as", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "closed_as IN ('never_sent', 'refused', 'ended', 'proven_absent', 'settled')",
            name=op.f("ck_attempts_closed_as"),
        ),
        sa.CheckConstraint(
            "(closed_at IS NULL) = (closed_as IS NULL)", name=op.f("ck_attempts_closed")
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "entry"],
            ["entries.firm_id", "entries.id"],
            name=op.f("fk_attempts_firm_id_entry"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "folder_id"],
            ["folders.firm_id", "folders.id"],
            name=op.f("fk_attempts_firm_id_folder_id"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "import_id"],
            ["imports.firm_id", "imports.id"],
            name=op.f("fk_attempts_firm_id_import_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_entry", "attempts", ["entry"], unique=False)
    op.create_index("ix_attempts_import_id", "attempts", ["import_id"], unique=False)
    op.create_index(
        "uq_attempts_open",
        "attempts",
        ["firm_id", "folder_id", "entry_id"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "events",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column(
            "received_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "entry"],
            ["entries.firm_id", "entries.id"],
            name=op.f("fk_events_firm_id_entry"),
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
    )
    op.create_table(
        "transitions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("firm_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("import_id", sa.BigInteger(), nullable=True),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.CheckConstraint(
            "from_state IN ('received', 'posting', 'posted', 'waiting', 'uncertain', 'parked', 'synced', 'superseded', 'discarded')",
            name=op.f("ck_transitions_from_state"),
        ),
        sa.CheckConstraint(
            "to_state IN ('received', 'posting', 'posted', 'waiting', 'uncertain', 'parked', 'synced', 'superseded', 'discarded')",
            name=op.f("ck_transitions_to_state"),
        ),
        sa.ForeignKeyConstraint(
            ["firm_id", "entry"],
            ["entries.firm_id", "entries.id"],
            name=op.f("fk_transitions_firm_id_entry"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transitions")),
    )
    op.create_index("ix_transitions_entry", "transitions", ["entry"], unique=False)
    # The two point at one another's tables.
    op.create_foreign_key(
        op.f("fk_firms_id_held_by"), "firms", "cases", ["id", "held_by"], ["firm_id", "id"]
    )
    op.create_foreign_key(
        op.f("fk_folders_firm_id_held_by"),
        "folders",
        "cases",
        ["firm_id", "held_by"],
        ["firm_id", "id"],
    )
