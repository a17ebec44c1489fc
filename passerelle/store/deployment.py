"""The tables of the deployment as a whole, of no firm. With them `metadata` is complete."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from passerelle.store import case_history, models, outbox_models, referential_models
from passerelle.store.columns import id_, metadata, since, time

__all__ = [
    "case_history",
    "database_identity",
    "figures",
    "metadata",
    "missing_entries",
    "models",
    "outages",
    "outbox_models",
    "referential_models",
    "refused_events",
]

# Whether Loop is down, for all firms; one row.
outages = Table(
    "outages",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Failures in a row, of whichever firms, and what the last one said.
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("message", Text),
    # Down since; and when it may be asked next whether it is back.
    time("since"),
    time("probe_at"),
    CheckConstraint("id = 1", name="one"),
)

refused_events = Table(
    "refused_events",
    metadata,
    id_(),
    # SHA-256 of the body: delivered again, it is still one refused event.
    Column("content_hash", LargeBinary, nullable=False, unique=True),
    # Bytes, because PostgreSQL's text and jsonb refuse U+0000 and lone surrogates.
    Column("body", LargeBinary, nullable=False),
    Column("event_id", Text),
    Column("errors", JSONB, nullable=False),
    Column("deliveries", Integer, nullable=False, server_default="1"),
    since("received_at"),
    since("last_received_at"),
    # When a retry took it in after all.
    time("taken_in_at"),
    Index("ix_refused_events_taken_in_at", "taken_in_at",
          postgresql_where=text("taken_in_at IS NOT NULL")),
)  # fmt: skip

# What processes have counted; see `passerelle/meter.py`.
figures = Table(
    "figures",
    metadata,
    Column("name", Text, primary_key=True),
    Column("labels", JSONB, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    # Of each duration alone, the last for all that took longer.
    Column("buckets", ARRAY(BigInteger), nullable=False),
)

missing_entries = Table(
    "missing_entries",
    metadata,
    id_(),
    # As the hub names it. Codes and no parents: a firm of which nothing arrived has no row.
    Column("firm", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    # How often it was named and not known. Nothing here says whether it has come since: that is
    # seen in `entries`, so that no arrival can be overlooked.
    Column("named", Integer, nullable=False, server_default="1"),
    since("first_named_at"),
    since("last_named_at"),
    UniqueConstraint("firm", "folder", "entry_id", "revision"),
)

database_identity = Table(
    "database_identity",
    metadata,
    # One row.
    Column("one", Boolean, primary_key=True, server_default="true"),
    # Of the server and of this database in it, as they tell; none that they do not tell.
    Column("system_identifier", BigInteger),
    Column("timeline", Text),
    Column("database_oid", BigInteger),
    # Of the table `entries`; none: nothing is sent before `restored` is through.
    Column("entries_oid", BigInteger),
    # To when it went back, and when and by whom that was said: what was validated before and comes
    # for the first time may have been sent by what was lost.
    time("since"),
    time("restored_at"),
    Column("restored_by", Text),
    CheckConstraint("one", name="one"),
)
