"""The codes by which the auxiliaries of a folder go in Loop, as a person gives them.

Intake gives a new code its short form (`arrivals.register_auxiliaries`).
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.states import Closing, Reason
from passerelle.store.claims import DUE, Due
from passerelle.store.columns import listed

# A code in Loop that entries of another code were sent under stays taken, by a row that is no
# code's: no normalised code holds a line feed. So the constraint on `loop_code` says all.
_MARK = "\n"


def _former(code: str, loop_code: str) -> str:
    return f"{_MARK}{loop_code}{_MARK}{code}"


@dataclass(frozen=True, slots=True)
class Owner:
    """Which code goes by a code in Loop; `former`: no longer, but entries were sent so."""

    code: str
    former: bool


def lock_folder(connection: Connection, folder_id: int) -> int:
    """The folder's firm. Intake, claim and mark, which share the folder, come before or after."""
    firm_id: int = connection.execute(
        text(
            "SELECT f.id FROM folders fo JOIN firms f ON f.id = fo.firm_id "
            "WHERE fo.id = :folder_id FOR KEY SHARE OF f FOR UPDATE OF fo"
        ),
        {"folder_id": folder_id},
    ).scalar_one()
    return firm_id


_CLAIMED = text(f"""
SELECT {DUE} FROM entries e
WHERE e.folder_id = :folder_id AND e.state = 'posting' AND NOT EXISTS (
    SELECT FROM attempts a WHERE a.entry = e.id AND a.closed_at IS NULL)
""")  # noqa: S608 a literal of a module beside this one


def claimed(connection: Connection, folder_id: int) -> list[Due]:
    """What a delivery has claimed and not marked: it may have read the codes already."""
    rows = connection.execute(_CLAIMED, {"folder_id": folder_id})
    return [Due(**row._asdict()) for row in rows]


def owner(connection: Connection, folder_id: int, loop_code: str) -> Owner | None:
    """None: the code is free in Loop, as far as this folder's entries are concerned."""
    code: str | None = connection.execute(
        text(
            "SELECT code FROM auxiliary_codes "
            "WHERE folder_id = :folder_id AND loop_code = :loop_code"
        ),
        {"folder_id": folder_id, "loop_code": loop_code},
    ).scalar_one_or_none()
    return None if code is None else Owner(code.rpartition(_MARK)[2], _MARK in code)


_GIVE = text("""
INSERT INTO auxiliary_codes (firm_id, folder_id, code, loop_code)
VALUES (:firm_id, :folder_id, :code, :loop_code)
ON CONFLICT (firm_id, folder_id, code) DO UPDATE SET loop_code = :loop_code, since = now()
""")


def give(connection: Connection, firm_id: int, folder_id: int, code: str, loop_code: str) -> None:
    """From now on `code` goes by `loop_code`, which is free or was its own before."""
    place = {"firm_id": firm_id, "folder_id": folder_id}
    connection.execute(
        text("DELETE FROM auxiliary_codes WHERE folder_id = :folder_id AND code = :code"),
        {"folder_id": folder_id, "code": _former(code, loop_code)},
    )
    connection.execute(_GIVE, place | {"code": code, "loop_code": loop_code})


def keep(connection: Connection, firm_id: int, folder_id: int, code: str, loop_code: str) -> None:
    """`code` no longer goes by `loop_code`, and no other shall."""
    values = {"firm_id": firm_id, "folder_id": folder_id, "loop_code": loop_code}
    connection.execute(_GIVE, values | {"code": _former(code, loop_code)})


@dataclass(frozen=True, slots=True)
class SentUnder:
    """How many entries have gone, or may have gone, to Loop under a code; `erased`: of others of
    the folder nobody can tell any more.
    """

    count: int
    erased: bool


_SENT = text(f"""
SELECT count(DISTINCT a.entry) FILTER (
        WHERE a.lines @> jsonb_build_array(jsonb_build_object('tiers', CAST(:loop_code AS text)))),
    coalesce(bool_or(e.erased_at IS NOT NULL), false) AS erased
FROM attempts a JOIN entries e ON e.id = a.entry
WHERE a.folder_id = :folder_id
  AND (a.closed_as IS NULL OR a.closed_as NOT IN {listed([Closing.NEVER_SENT, Closing.REFUSED])})
""")  # noqa: S608 literals


def sent_under(connection: Connection, folder_id: int, loop_code: str) -> SentUnder:
    values = {"folder_id": folder_id, "loop_code": loop_code}
    return SentUnder(*connection.execute(_SENT, values).one())


_COLLISION = text(f"""
SELECT id FROM cases WHERE folder_id = :folder_id AND reason = '{Reason.AUXILIARY_COLLISION}'
  AND cause = :code AND state = 'open' FOR UPDATE NOWAIT
""")  # noqa: S608 idem


def lock_collision(connection: Connection, folder_id: int, code: str) -> int | None:
    """The open case of what waits for a code of its own.

    Raises:
        OperationalError: somebody is at it, who may wait for the folder: let go and try again.
    """
    return connection.execute(
        _COLLISION, {"folder_id": folder_id, "code": code}
    ).scalar_one_or_none()
