"""What the migration before could not do without locking tables that grow."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("ALTER TABLE cases VALIDATE CONSTRAINT fk_cases_firm_id_probe_entry")
    op.execute("ALTER TABLE entries VALIDATE CONSTRAINT fk_entries_firm_id_freed_by")
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_entries_freed_by",
            "entries",
            ["freed_by"],
            unique=False,
            postgresql_where=sa.text(
                "freed_by IS NOT NULL AND state IN "
                "('posted', 'posting', 'received', 'uncertain', 'waiting')"
            ),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_imports_done_folder_at",
            "imports",
            ["folder_id", "ended_at"],
            unique=False,
            postgresql_where=sa.text("status = 3"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_imports_awaited",
            "imports",
            ["folder_id", "sent_at"],
            unique=False,
            postgresql_where=sa.text("poll_at IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_entries_held",
            "entries",
            ["case_id", "id"],
            unique=False,
            postgresql_where=sa.text("case_id IS NOT NULL"),
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.create_index(
            "ix_cases_cause",
            "cases",
            ["firm_id", "folder_id", "reason", "cause"],
            unique=False,
            postgresql_concurrently=True,
            if_not_exists=True,
        )
        op.drop_index(
            "ix_entries_case_id",
            table_name="entries",
            postgresql_concurrently=True,
            if_exists=True,
        )
        op.drop_index(
            "ix_imports_done_folder",
            table_name="imports",
            postgresql_concurrently=True,
            if_exists=True,
        )
