"""What the tables are made of: columns and constraints that many of them have."""

import enum
from collections.abc import Iterable

from sqlalchemy import BigInteger, CheckConstraint, Column, DateTime, Identity, MetaData, func

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def listed(words: Iterable[str]) -> str:
    """As a literal: only so the planner knows that an index of some states will do."""
    quoted = ", ".join(f"'{word}'" for word in words)
    return f"({quoted})"


def one_of(column: str, words: type[enum.StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN {listed(words)}", name=column)


def id_() -> Column[int]:
    return Column("id", BigInteger, Identity(), primary_key=True)


def time(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def since(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())
