"""When to try again. Pure: chance is given, a number from 0 to 1."""

_LARGEST_EXPONENT = 30

A_DAY = 86_400.0
"""Seconds after which a person is told of what Loop does not say."""

RETRY_FIRST, RETRY_CAP = 1.0, 300.0
RETRY_AFTER_CAP = A_DAY
POLL_FIRST, POLL_CAP = 1.0, 3600.0
ASK_FIRST, ASK_CAP = 10.0, 3600.0
REFRESH_FIRST, REFRESH_CAP = 60.0, 3600.0
PROBE_FIRST, PROBE_CAP = 60.0, 3600.0
ASIDE_FIRST, ASIDE_CAP = 60.0, A_DAY


def _doubled(first: float, cap: float, times: int) -> float:
    # The exponent is clamped before the power: 2.0 ** 10_000 overflows.
    return min(cap, first * 2.0 ** min(times, _LARGEST_EXPONENT))


def retry_delay(failures: int, chance: float, retry_after: float | None = None) -> float:
    """Seconds until the next try after so many failures in a row (1 for the first).

    Full jitter, also at the cap, so that many firms do not come back at once. What Loop asked for
    is the least, up to a day; its jitter is on top.
    """
    jittered = _doubled(RETRY_FIRST, RETRY_CAP, failures - 1) * chance
    if retry_after is None:
        return jittered
    return min(max(retry_after, 0.0), RETRY_AFTER_CAP) + min(jittered, RETRY_FIRST)


def poll_delay(polls: int, chance: float) -> float:
    """Seconds until an import is asked about again: quickly first, then ever slower (rule 15)."""
    return _doubled(POLL_FIRST, POLL_CAP, polls) * (0.9 + 0.2 * chance)


def ask_delay(asked: int, chance: float) -> float:
    """Seconds until Loop is asked again about an entry, after so many questions (0: the first)."""
    return _doubled(ASK_FIRST, ASK_CAP, asked) * (0.9 + 0.2 * chance)


def refresh_delay(failures: int, chance: float) -> float:
    """Seconds until reference data are read again after so many failures in a row, 1 or more."""
    return _doubled(REFRESH_FIRST, REFRESH_CAP, failures - 1) * (0.9 + 0.2 * chance)


def probe_delay(probes: int, chance: float) -> float:
    """Seconds until a refusal is looked at again, after so many probes (0: none yet).

    Doubled each time: who gives access waits no longer for it than it was refused before.
    """
    return _doubled(PROBE_FIRST, PROBE_CAP, probes) * (0.9 + 0.2 * chance)


def aside_delay(failures: int, chance: float) -> float:
    """Seconds until a message that its receiver did not take, while it took others, goes again."""
    return _doubled(ASIDE_FIRST, ASIDE_CAP, failures) * (0.9 + 0.2 * chance)
