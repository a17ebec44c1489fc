"""What was done about cases, by people and by passerelle itself."""

import enum

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Table,
    Text,
    text,
)

from passerelle.store.columns import id_, metadata, one_of, since


class Act(enum.StrEnum):
    """Acts on a case."""

    RELEASED = "released"
    DISMISSED = "dismissed"
    # A person has asked whether it is over.
    PROBED = "probed"
    HEALED = "healed"
    # It was not over: refused again while what it had held was on its way.
    REOPENED = "reopened"


ITSELF = "passerelle"
"""Who did what nobody asked for."""

case_acts = Table(
    "case_acts",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    Column("case_id", BigInteger, nullable=False),
    Column("act", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text),
    since("at"),
    ForeignKeyConstraint(["firm_id", "case_id"], ["cases.firm_id", "cases.id"]),
    one_of("act", Act),
    Index("ix_case_acts_case_id", "case_id"),
)


def record(
    connection: Connection, case_id: int, act: Act, who: str = ITSELF, why: str | None = None
) -> None:
    connection.execute(
        text(
            "INSERT INTO case_acts (firm_id, case_id, act, who, why) "
            "SELECT firm_id, id, :act, :who, :why FROM cases WHERE id = :case_id"
        ),
        {"case_id": case_id, "act": act, "who": who, "why": why},
    )
