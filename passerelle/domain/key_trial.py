"""What a trial of a firm's keys came to, in one sentence that says what to do."""

import math

from passerelle.domain.outcome import Answer, Failure, Sort

PASSED = "Loop takes the keys."

_URL = "PASSERELLE_LOOP_URL"
_MISSING = (
    "The subscription key did not reach Loop; if it was given, a proxy on the way takes the header "
    "Ocp-Apim-Subscription-Key away."
)
_SUBSCRIPTION = (
    "The subscription key is wrong or no longer active; copy it again from the Cegid developer "
    "portal."
)
_API_KEY = (
    "Loop refuses the API key: the key or its secret is wrong, or the key is not activated in Loop "
    "Hub; copy both again, and see that the firm's administrator has entered the key there."
)
_PAGE = (
    f"A page came instead of an answer from Loop; correct {_URL}, or have the proxy or login page "
    "on the way let passerelle through."
)
_ELSEWHERE = (
    f"The address of Loop leads elsewhere; correct {_URL}, or have the login page on the way let "
    "passerelle through."
)
_NO_API = f"There is no Loop API at this address; correct {_URL}, its path above all."
_PROXY = "The proxy on the way to Loop refuses; correct HTTPS_PROXY, its user and password too."

_FAILURES: dict[str, str] = {
    Failure.NO_ADDRESS: f"Loop's host name has no address; see {_URL} and this machine's DNS.",
    Failure.REFUSED: f"Nothing listens at Loop's address; correct {_URL}, its host and port.",
    Failure.TLS: (
        f"The connection to Loop is not to be trusted; see that {_URL} is right and, where a proxy "
        "opens TLS, that REQUESTS_CA_BUNDLE names its certificate."
    ),
    Failure.PROXY: _PROXY,
    Failure.NOT_REACHED: "Loop was not reached in time; see this machine's network and firewall.",
    Failure.NOT_IN_TIME: "Loop did not answer in time; try again later.",
    Failure.CUT: "The connection to Loop failed or was cut; see this machine's network, try again.",
}
_FAILED = f"The call to Loop failed; see {_URL} and try again."
_STATUSES = {200: _PAGE, 404: _NO_API, 407: _PROXY}
_REDIRECTS = range(300, 400)
_QUOTA_STATUS = 403
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def sentence(answer: Answer) -> str:
    """Total, and without Loop's own words: they might repeat a key."""
    match answer.sort:
        case Sort.ACCEPTED:
            return PASSED
        case Sort.PAUSE:
            wait = "later" if answer.retry_after is None else f"in {_duration(answer.retry_after)}"
            if answer.http_status == _QUOTA_STATUS:
                return f"The subscription's quota of calls is used up; try again {wait}."
            return f"Loop is asked too often with this subscription; try again {wait}."
        case Sort.PERSON:
            words = answer.message.casefold()
            if "subscription key" not in words:
                return _API_KEY
            return _MISSING if "missing" in words else _SUBSCRIPTION
        case _:
            return _without_word(answer)


def _without_word(answer: Answer) -> str:
    """Nothing was said of the keys."""
    status = answer.http_status
    if status is None:
        return _FAILURES.get(answer.message, _FAILED)
    if status in _REDIRECTS:
        return _ELSEWHERE
    unclear = f"Loop is down (HTTP {status})" if answer.down else f"Loop answered HTTP {status}"
    return _STATUSES.get(status, f"{unclear}; try again later.")


def _duration(seconds: float) -> str:
    """Its two largest units, rounded up: never too short."""
    left = max(1, math.ceil(seconds))
    units = [unit for unit in _UNITS if unit[0] <= left][:2]
    smallest = units[-1][0]
    left = -(-left // smallest) * smallest
    parts = []
    for size, name in units:
        count, left = divmod(left, size)
        parts.append(f"{count} {name}")
    return " ".join(parts)
