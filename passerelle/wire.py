"""One call on the wire: when it may still write, when it ends, whether it wrote, and to whom.

requests' timeouts are per read and not in total, and cannot keep a request from being written
late; engine rule 5 asks for both.
"""

import contextvars
import datetime as dt
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from passerelle.observe import links

_CHUNK = 65_536
_USER_TIMEOUT_MS = 20_000

# Goes on while the machine sleeps, where the system has such a clock.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Seconds on a clock that goes on during suspension; only differences mean anything."""
    return time.clock_gettime(_CLOCK)


class SendDeadlineError(OSError):
    """The time to write the request had passed; see `Call.written` for what had been written."""


class ForbiddenAddressError(OSError):
    """The name leads to an address that may not be connected to."""


def addresses_of(host: str, port: int) -> list[str]:
    """Raises: OSError, UnicodeError, where a name has none, or is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


_T = TypeVar("_T")


def known(error: Exception, failures: Iterable[tuple[type[BaseException], _T]]) -> _T | None:
    """What the first of the failures stands for that the error is, or came of; what went wrong
    first may be wrapped several times.
    """
    chain = links(error)
    for kind, meant in failures:
        if any(isinstance(link, kind) for link in chain):
            return meant
    return None


@dataclass(slots=True)
class Call:
    """A call under way: nothing is written after `send_by`, nothing is read after `end_by`, and
    no address is connected to that is not allowed.
    """

    send_by: float
    end_by: float
    allows: Callable[[str], bool] | None = None
    written: bool = False
    # Ended by us: what was read since then may look like an answer that was whole.
    ended: bool = False
    sock: socket.socket | None = field(default=None, repr=False)

    def send(self, sock: socket.socket, data: memoryview) -> None:
        self.sock = sock
        read_timeout = sock.gettimeout()
        for start in range(0, len(data), _CHUNK):
            left = self.send_by - now()
            if left <= 0:
                raise SendDeadlineError("the time to send had passed")
            sock.settimeout(left)
            self.written = True
            sock.sendall(data[start : start + _CHUNK])
        sock.settimeout(read_timeout)

    def connect(self, host: str, port: int, seconds: float) -> socket.socket:
        """To the first address of a host that answers, once all of them are allowed.

        What is looked up is what is connected to: a name may lead elsewhere the next time.
        """
        addresses = addresses_of(host, port)
        if self.allows is not None and not all(map(self.allows, addresses)):
            raise ForbiddenAddressError
        failure: OSError = TimeoutError()
        for address in addresses:
            left = min(seconds, self.end_by - now())
            if left <= 0:
                break
            try:
                return socket.create_connection((address, port), left)
            except OSError as error:
                failure = error
        raise failure

    def cut(self) -> None:
        """End the call from outside: the thread that reads sees the end of the stream."""
        self.ended = True
        if self.sock is not None:
            # The plain socket's method: the TLS one would take the session from under the reader.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


_current: contextvars.ContextVar[Call | None] = contextvars.ContextVar("call", default=None)


@contextmanager
def calling(
    send_by: float, end_by: float, allows: Callable[[str], bool] | None = None
) -> Iterator[Call]:
    """The requests of this thread inside are this call."""
    call = Call(send_by, end_by, allows)
    token = _current.set(call)
    watch = threading.Timer(max(0.0, end_by - now()), _cut, [call])
    watch.daemon = True
    watch.start()
    try:
        yield call
    finally:
        watch.cancel()
        _current.reset(token)


def _cut(call: Call) -> None:
    try:
        call.cut()
    except OSError:
        return  # closed already


def _send(connection: Any, data: Any) -> None:
    call = _current.get()
    if call is None:
        raise RuntimeError("a request outside of a call")
    if connection.sock is None:
        connection.connect()
    call.send(connection.sock, memoryview(data))


def _connected(connection: Any, connect: Callable[[], socket.socket]) -> socket.socket:
    """A new connection's socket; where the call says which addresses are allowed, to those."""
    call = _current.get()
    if call is None or call.allows is None:
        return connect()
    return call.connect(connection.host, connection.port, connection.timeout)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self, super()._new_conn)

    def send(self, data: Any) -> None:
        _send(self, data)


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self, super()._new_conn)

    def send(self, data: Any) -> None:
        _send(self, data)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        options = [
            *HTTPConnection.default_socket_options,
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        ]
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS))
        super().init_poolmanager(*args, socket_options=options, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


def make_session() -> requests.Session:
    """A session for one thread: pooled connections, no retries, no cookies kept.

    Proxies are taken from the environment as usual.
    """
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(pool_connections=4, pool_maxsize=1, max_retries=0))
    return session


class Sessions(threading.local):
    """`session` is each thread's own."""

    def __init__(self, *, trust_env: bool = True) -> None:
        self.session = make_session()
        self.session.trust_env = trust_env


def retry_after(
    headers: Mapping[str, str], at: dt.datetime, *, otherwise: float | None = None
) -> float | None:
    """The seconds that were asked for: by the header, in seconds or as a date, else `otherwise`."""
    header = headers.get("Retry-After", "").strip()
    if header.isascii() and header.isdigit():
        return float(header)
    until, start = date_of(header), date_of(headers.get("Date", ""))
    # A date counts by the server's own clock, where it tells it, and by ours, which may be off,
    # only where nothing else says how long.
    if until is None or (start is None and otherwise is not None):
        return otherwise
    return max(0.0, (until - (start or at)).total_seconds())


def date_of(header: str) -> dt.datetime | None:
    """An HTTP date, aware; None for anything else."""
    try:
        found = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return None if found.tzinfo is None else found
