"""A firm's pace and pauses, shared by all workers (engine rules 8 and 9)."""

from sqlalchemy import Connection, text


def lets_pass(held: str) -> str:
    """Of `firms f` or `folders fo`: no case holds it, or one that has sent an entry to see.

    All but that entry is parked.
    """
    return f"""
    ({held}.held_by IS NULL OR EXISTS (
        SELECT FROM cases WHERE cases.id = {held}.held_by AND cases.probe_entry IS NOT NULL))
    """


# Of `firms f`: it has keys and no pause; and no case of its own stands against calling Loop, which
# is not down, either.
IS_READY = """
f.registered_at IS NOT NULL AND (f.paused_until IS NULL OR f.paused_until <= now())
"""
IS_UP = "NOT EXISTS (SELECT FROM outages WHERE since IS NOT NULL)"
MAY_CALL = f"{IS_READY} AND {lets_pass('f')} AND {IS_UP}"

# Of `firms f`, requests a second; it is set with the first request.
PACE = "coalesce(f.pace, 1)"

LONGEST_WAIT = 2.0
"""Seconds. A turn that is further away is not taken: it would be lost if its holder died."""

_TAKE_TURN = text("""
UPDATE firms SET
    pace = least(:most, coalesce(pace, :start)),
    next_turn_at = greatest(coalesce(next_turn_at, clock_timestamp()), clock_timestamp())
        + make_interval(secs => 1 / least(:most, coalesce(pace, :start)))
WHERE id = :firm_id AND coalesce(next_turn_at, clock_timestamp())
    <= clock_timestamp() + make_interval(
        secs => least(:longest, :ahead / least(:most, coalesce(pace, :start))))
RETURNING greatest(0, extract(epoch FROM next_turn_at - clock_timestamp()) - 1 / pace)::float
""")


def take_turn(
    connection: Connection, firm_id: int, start: float, most: float, ahead: int
) -> float | None:
    """Seconds until this firm's next request may go out; None behind more than `ahead` others."""
    return connection.execute(
        _TAKE_TURN,
        {
            "firm_id": firm_id,
            "start": start,
            "most": most,
            "ahead": ahead,
            "longest": LONGEST_WAIT,
        },
    ).scalar_one_or_none()


# Requests a second more for each answer: fast until Loop has throttled once, from then on in
# hundredths of the pace that was too much, or every few seconds would end in a pause.
_GROWTH = 0.5
_CAREFUL = 0.01
_SLOWEST = 0.2


# Several requests of a firm are on their way at once: what comes back during a pause was sent
# before it, and tells nothing new.
_PAUSED = "coalesce(paused_until > now(), false)"


def answered(connection: Connection, firm_id: int, most: float) -> None:
    """Loop answered: failures are forgotten, the pace grows."""
    connection.execute(
        text(
            "UPDATE firms SET failures = 0, paused_until = NULL, pause_reason = NULL, "  # noqa: S608 a literal of this module
            "pace = least(:most, pace + coalesce(:careful * throttled_pace, :growth)) "
            f"WHERE id = :firm_id AND NOT {_PAUSED} "
            "AND (failures > 0 OR paused_until IS NOT NULL OR pace < :most)"
        ),
        {"firm_id": firm_id, "most": most, "growth": _GROWTH, "careful": _CAREFUL},
    )


def failures(connection: Connection, firm_id: int) -> int:
    """Count one more failure of Loop in a row; how many they are now."""
    count: int = connection.execute(
        text(
            f"UPDATE firms SET failures = greatest(1, failures + (NOT {_PAUSED})::int) "  # noqa: S608 idem
            "WHERE id = :firm_id RETURNING failures"
        ),
        {"firm_id": firm_id},
    ).scalar_one()
    return count


def pause(
    connection: Connection, firm_id: int, seconds: float, reason: str, *, throttled: bool
) -> None:
    """Leave Loop alone for this firm; where Loop throttled, the pace halves and stays there."""
    connection.execute(
        text(
            "UPDATE firms SET pause_reason = :reason, paused_until = greatest("  # noqa: S608 idem
            "coalesce(paused_until, now()), now() + make_interval(secs => :seconds)), "
            f"pace = CASE WHEN :throttled AND NOT {_PAUSED} THEN greatest(:slowest, pace / 2) "
            f"ELSE pace END, throttled_pace = CASE WHEN :throttled AND NOT {_PAUSED} THEN pace "
            "ELSE throttled_pace END WHERE id = :firm_id"
        ),
        {
            "firm_id": firm_id,
            "seconds": seconds,
            "reason": reason,
            "throttled": throttled,
            "slowest": _SLOWEST,
        },
    )


def end_pause(connection: Connection, firm_id: int, reason: str) -> None:
    """Loop may be asked for this firm again, unless something else stands against it meanwhile."""
    connection.execute(
        text(
            "UPDATE firms SET paused_until = NULL, pause_reason = NULL "
            "WHERE id = :firm_id AND pause_reason = :reason"
        ),
        {"firm_id": firm_id, "reason": reason},
    )
