"""The tables of what is told: outcomes, the messages that carry them, and who gets them."""

import enum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from passerelle.domain.states import Told
from passerelle.store.columns import id_, metadata, one_of, since, time

MOST_OUTCOMES = 500
"""In a message, contract section 8."""


class Audience(enum.StrEnum):
    """Who is told at an endpoint."""

    # What becomes of entries and folders: the hub.
    OUTCOME = "outcome"
    # Cases: whoever can cure them.
    ALERT = "alert"


class MessageType(enum.StrEnum):
    """The types of messages, contract section 8."""

    OUTCOMES = "entries.outcome"
    FOLDER_STATE = "folder.state"
    CASE_OPENED = "case.opened"
    CASE_HEALED = "case.healed"
    CASE_REMINDER = "case.reminder"


endpoints = Table(
    "endpoints",
    metadata,
    id_(),
    Column("firm_id", BigInteger, ForeignKey("firms.id"), nullable=False),
    Column("audience", Text, nullable=False),
    # Sealed, as an address may be a secret. None: nobody is told until there is one again.
    Column("url", LargeBinary),
    # Outcomes up to this id came before anybody wanted to hear of them.
    Column("after_id", BigInteger, nullable=False, server_default="0"),
    # The latest outcome that stands in a message.
    Column("last_sequence", BigInteger, nullable=False, server_default="0"),
    # Outcomes in a message, at most; fewer once a message was too large.
    Column("most", Integer, nullable=False, server_default=text(str(MOST_OUTCOMES))),
    # One message at a time.
    Column("lease", Uuid),
    time("lease_until"),
    # It takes nothing: since when, how often in a row it was tried, with what words; when next.
    time("down_since"),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("message", Text),
    time("due_at"),
    # When upkeep last rang for it.
    time("rung_at"),
    UniqueConstraint("firm_id", "id"),
    UniqueConstraint("firm_id", "audience"),
    one_of("audience", Audience),
)

messages = Table(
    "messages",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    Column("endpoint_id", BigInteger, nullable=False),
    # Equal each time it is sent.
    Column("webhook_id", Uuid, nullable=False, server_default=text("gen_random_uuid()")),
    Column("type", Text, nullable=False),
    # What it carries: outcomes from one number to another; a case, with what was `seen` of it then
    # and as it stands otherwise; or what was seen of a folder.
    Column("first_sequence", BigInteger),
    Column("last_sequence", BigInteger),
    Column("case_id", BigInteger),
    Column("folder_id", BigInteger),
    Column("seen", JSONB),
    since("created_at"),
    # When the receiver said that it has it.
    time("told_at"),
    Column("failures", Integer, nullable=False, server_default="0"),
    # The receiver takes others and not this one, which is tried again by itself then.
    time("due_at"),
    UniqueConstraint("firm_id", "id"),
    ForeignKeyConstraint(["firm_id", "endpoint_id"], ["endpoints.firm_id", "endpoints.id"]),
    ForeignKeyConstraint(["firm_id", "case_id"], ["cases.firm_id", "cases.id"]),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    one_of("type", MessageType),
    CheckConstraint("(type = 'entries.outcome') = (first_sequence IS NOT NULL)", name="outcomes"),
    CheckConstraint("(first_sequence IS NULL) = (last_sequence IS NULL)", name="sequences"),
    CheckConstraint("(type LIKE 'case.%') = (case_id IS NOT NULL)", name="case"),
    CheckConstraint("(type = 'folder.state') = (folder_id IS NOT NULL)", name="folder"),
    CheckConstraint("(first_sequence IS NULL) = (seen IS NOT NULL)", name="seen"),
    Index(
        "ix_messages_folder_id", "folder_id", "id", postgresql_where=text("folder_id IS NOT NULL")
    ),
    Index("ix_messages_case_id", "case_id", "id", postgresql_where=text("case_id IS NOT NULL")),
    Index(
        "ix_messages_waiting",
        "endpoint_id",
        "created_at",
        text("coalesce(first_sequence, 0)"),
        "id",
        postgresql_where=text("told_at IS NULL"),
    ),
)

outcomes = Table(
    "outcomes",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    # Of what was refused at the door, or never came, there is none; what the hub calls it stands
    # here instead.
    Column("entry", BigInteger),
    Column("folder", Text),
    Column("entry_id", Text),
    Column("revision", Integer),
    Column("event_id", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    Column("case_id", BigInteger),
    since("at"),
    # Given when it is put into a message, without gaps within a firm.
    Column("sequence", BigInteger),
    Column("message_id", BigInteger),
    ForeignKeyConstraint(["firm_id", "entry"], ["entries.firm_id", "entries.id"]),
    ForeignKeyConstraint(["firm_id", "case_id"], ["cases.firm_id", "cases.id"]),
    ForeignKeyConstraint(["firm_id", "message_id"], ["messages.firm_id", "messages.id"]),
    one_of("state", Told),
    CheckConstraint("(sequence IS NULL) = (message_id IS NULL)", name="sequence"),
    CheckConstraint("(state IN ('refused', 'missing')) = (entry IS NULL)", name="entry"),
    Index("uq_outcomes_sequence", "firm_id", "sequence", unique=True,
          postgresql_where=text("sequence IS NOT NULL")),
    Index("ix_outcomes_untold", "firm_id", "id", postgresql_where=text("sequence IS NULL")),
    Index("ix_outcomes_entry", "entry", "id", postgresql_where=text("entry IS NOT NULL")),
)  # fmt: skip
