"""What people have done about cases."""

import enum
from dataclasses import dataclass

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

from passerelle.domain.states import CaseState, Reason
from passerelle.store.cases import lock_held
from passerelle.store.models import id_, metadata, one_of, since


class Act(enum.StrEnum):
    RELEASED = "released"
    DISMISSED = "dismissed"


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


@dataclass(frozen=True, slots=True)
class CaseRow:
    id: int
    firm_id: int
    reason: Reason
    state: CaseState


def lock_case(connection: Connection, case_id: int) -> CaseRow | None:
    """A case, locked; what it holds is locked before, as whoever opens a hold does."""
    lock_held(connection, case_id)
    row = connection.execute(
        text("SELECT id, firm_id, reason, state FROM cases WHERE id = :id FOR UPDATE"),
        {"id": case_id},
    ).one_or_none()
    if row is None:
        return None
    return CaseRow(row.id, row.firm_id, Reason(row.reason), CaseState(row.state))


def held(connection: Connection, case_id: int) -> list[int]:
    """The entries that wait on a case."""
    rows = connection.execute(
        text("SELECT id FROM entries WHERE case_id = :case_id ORDER BY id"), {"case_id": case_id}
    )
    return list(rows.scalars())


def record(connection: Connection, case: CaseRow, act: Act, who: str, why: str | None) -> None:
    connection.execute(
        text(
            "INSERT INTO case_acts (firm_id, case_id, act, who, why) "
            "VALUES (:firm_id, :case_id, :act, :who, :why)"
        ),
        {"firm_id": case.firm_id, "case_id": case.id, "act": act, "who": who, "why": why},
    )
