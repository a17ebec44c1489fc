"""The tables of reference data; columns of `folders` say when they are read."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from passerelle.domain.referential import Kind
from passerelle.store.columns import metadata, one_of, since, time

referential_records = Table(
    "referential_records",
    metadata,
    Column("firm_id", BigInteger, nullable=False),
    Column("folder_id", BigInteger, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("label", Text, nullable=False),
    Column("object_id", Text),
    Column("revision_id", Text),
    # As it came, all fields of it.
    Column("record", JSONB, nullable=False),
    # First seen; last seen to be another than before.
    since("since"),
    since("changed_at"),
    # Seen to be closed, and not open again since; last seen to be open again.
    time("closed_at"),
    time("reopened_at"),
    # Not in the list any more.
    time("gone_at"),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    one_of("kind", Kind),
    # Accounts that differ only by zeros on the right are the same (contract section 6).
    Index("ix_referential_records_account", "folder_id", text("rtrim(code, '0')"),
          postgresql_where=text("kind = 'account'")),
)  # fmt: skip

referential_flags = Table(
    "referential_flags",
    metadata,
    Column("firm_id", BigInteger, nullable=False),
    Column("folder_id", BigInteger, primary_key=True),
    Column("kind", Text, primary_key=True),
    # Why what is stored of this list is older than the folder's other lists, or may lack something;
    # since when that is so.
    Column("message", Text, nullable=False),
    since("since"),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    one_of("kind", Kind),
)
