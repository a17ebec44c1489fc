"""Whether a case is over: whom to ask about it, and the one entry that is sent to see (rule 18)."""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from passerelle.domain.backoff import PROBE_FIRST
from passerelle.domain.states import OF_ENTRIES, PROBED, Reason, State
from passerelle.store.claims import MAY_BE_SENT
from passerelle.store.columns import listed
from passerelle.store.pauses import IS_READY, IS_UP

# Of `cases c` with its `firms f`: Loop can be asked whether it is over, and nothing else stands
# against that: another case that holds the same, or what landed differently on the way.
IS_PROBED = f"""
c.state = 'open' AND c.reason IN {listed(sorted(PROBED))} AND {IS_READY} AND {IS_UP}
AND coalesce(f.held_by, c.id) = c.id AND NOT EXISTS (
    SELECT FROM folders fo WHERE fo.id = c.folder_id AND coalesce(fo.held_by, c.id) <> c.id)
AND NOT EXISTS (
    SELECT FROM cases other WHERE other.firm_id = c.firm_id AND other.folder_id = c.folder_id
      AND other.state = 'open' AND other.reason = 'landed_differently')
"""  # noqa: S608 words of the domain
# What was sent to see, and has come to an end that says nothing.
_HAS_ENDED = """
EXISTS (SELECT FROM entries e WHERE e.id = c.probe_entry
        AND e.state IN ('parked', 'superseded', 'discarded') AND e.case_id IS DISTINCT FROM c.id)
"""
# Its first time comes after a minute, of cases opened together not quite at the same moment.
IS_DUE = f"""
(coalesce(c.probe_at, c.opened_at + make_interval(secs => {PROBE_FIRST} + c.id % 7)) <= now()
 OR {_HAS_ENDED})
"""
# Of `cases c`: what was sent to see is in Loop; or nothing waits that it was about.
IS_OVER = f"""
(EXISTS (SELECT FROM entries e WHERE e.id = c.probe_entry AND e.state = 'synced')
 OR (c.reason IN {listed(sorted(OF_ENTRIES))}
     AND NOT EXISTS (SELECT FROM entries e WHERE e.case_id = c.id)))
"""  # noqa: S608 idem


@dataclass(frozen=True, slots=True)
class Probed:
    """A case that Loop is asked about, with its firm's sealed credentials.

    `folder` is its code, None where the case is the firm's; `probes`: how often it was asked.
    """

    id: int
    reason: Reason
    firm_id: int
    folder_id: int | None
    folder: str | None
    probes: int
    api_key: bytes
    api_secret: bytes
    subscription_key: bytes


_TAKE = text(f"""
UPDATE cases c SET rung_at = NULL, last_probe_at = now(),
    probe_at = now() + make_interval(secs => :seconds),
    probe_entry = CASE WHEN NOT {_HAS_ENDED} THEN c.probe_entry END
FROM firms f
WHERE c.id = :case_id AND f.id = c.firm_id AND {IS_PROBED} AND (:asked OR {IS_DUE})
RETURNING c.id, c.reason, c.firm_id, c.folder_id,
    (SELECT code FROM folders WHERE id = c.folder_id) AS folder, c.probes,
    f.api_key, f.api_secret, f.subscription_key
""")  # noqa: S608 literals of modules beside this one


def take(connection: Connection, case_id: int, seconds: float, *, asked: bool) -> Probed | None:
    """Take a probe for so many seconds, where it is due or somebody has `asked`.

    None where Loop cannot be asked now, or not about this case.
    """
    values = {"case_id": case_id, "seconds": seconds, "asked": asked}
    row = connection.execute(_TAKE, values).one_or_none()
    if row is None:
        return None
    fields = row._asdict()
    return Probed(**fields | {"reason": Reason(fields["reason"])})


def put_off(connection: Connection, case_id: int, seconds: float, *, counts: bool = False) -> None:
    """Nothing was learnt: when Loop is asked again; whether it `counts` as a probe."""
    connection.execute(
        text(
            "UPDATE cases SET probes = probes + CAST(:counts AS int), "
            "probe_at = now() + make_interval(secs => :seconds) "
            "WHERE id = :case_id AND state = 'open'"
        ),
        {"case_id": case_id, "seconds": seconds, "counts": counts},
    )


def send_to_see(
    connection: Connection, case_id: int, entry: int | None, probes: int, seconds: float
) -> None:
    """So many probes by now; what was sent to see, if anything was; when Loop is asked again."""
    connection.execute(
        text(
            "UPDATE cases SET probes = :probes, probe_entry = :entry, "
            "probe_at = now() + make_interval(secs => :seconds) WHERE id = :case_id"
        ),
        {"case_id": case_id, "probes": probes, "entry": entry, "seconds": seconds},
    )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A parked entry that may be sent."""

    entry: int
    folder_id: int


_CANDIDATE = text(f"""
SELECT e.id AS entry, e.folder_id FROM entries e JOIN folders fo ON fo.id = e.folder_id
WHERE e.case_id = :case_id AND e.state = 'parked' AND {MAY_BE_SENT}
  AND coalesce(fo.held_by, :case_id) = :case_id
ORDER BY e.id LIMIT 1 FOR UPDATE OF e
""")  # noqa: S608 a literal of a module beside this one


def candidate(connection: Connection, case_id: int) -> Candidate | None:
    """The first entry that waits on a case and may be sent to see, locked."""
    row = connection.execute(_CANDIDATE, {"case_id": case_id}).one_or_none()
    return None if row is None else Candidate(**row._asdict())


def holds_any(connection: Connection, case_id: int) -> bool:
    """Whether entries wait on a case."""
    statement = text("SELECT EXISTS (SELECT FROM entries WHERE case_id = :case_id)")
    return bool(connection.execute(statement, {"case_id": case_id}).scalar_one())


def is_over(connection: Connection, case_id: int) -> bool:
    """Whether a case, locked, is over by itself."""
    statement = text(f"SELECT {IS_OVER} FROM cases c WHERE c.id = :case_id")  # noqa: S608 idem
    return bool(connection.execute(statement, {"case_id": case_id}).scalar_one())


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry that was sent to see, and what has become of it."""

    entry: int
    state: State


def sent_to_see(connection: Connection, case_id: int) -> Sent | None:
    """None where nothing was."""
    row = connection.execute(
        text(
            "SELECT e.id, e.state FROM cases c JOIN entries e ON e.id = c.probe_entry "
            "WHERE c.id = :case_id"
        ),
        {"case_id": case_id},
    ).one_or_none()
    return None if row is None else Sent(row.id, State(row.state))
