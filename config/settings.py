"""Settings, read once from the environment; every fault in them is told at once."""

import difflib
import ipaddress
import itertools
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PREFIX = "PASSERELLE_"
DATA_DIR_DEFAULT = ".passerelle"


class SettingsError(Exception):
    """One or more settings are wrong; the text names each and says what is expected."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable; `default` is as it would be written, None where there is none."""

    name: str
    parse: Callable[[str], Any]
    default: str | None
    help: str

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


class _ExpectedError(ValueError):
    """What a setting's text should have been."""


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise _ExpectedError(f"a number from {least:g} to {most:g}")
        return value

    return parse


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise _ExpectedError(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def _count_or_none(least: int, most: int) -> Callable[[str], int | None]:
    count = _count(least, most)
    return lambda text: count(text) if text else None


def _boolean(text: str) -> bool:
    if text.lower() not in {"true", "1", "false", "0"}:
        raise _ExpectedError("`true` or `false`")
    return text.lower() in {"true", "1"}


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise _ExpectedError(" or ".join(f"`{word}`" for word in words))
        return text

    return parse


def _route(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9/_-]*", text):
        raise _ExpectedError("a path below the base URL, such as `dossier`")
    return text.strip("/")


def _url_of(schemes: set[str], expected: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        # Addresses of sentinels, or of several brokers, are a list, parted by semicolons.
        for one in text.split(";"):
            if not _is_url(one, schemes):
                raise _ExpectedError(f"{expected}; write signs of a password as %40 and the like")
        return text

    return parse


def _is_url(text: str, schemes: set[str]) -> bool:
    """Whether its parts are where they seem to be: else a library's error would show a password."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return False
    return url.scheme in schemes and url.netloc.count("@") <= 1 and not url.fragment


def _loop_url(text: str) -> str:
    url = urlsplit(text)
    # A user or a query would carry a secret into logs and error texts.
    plain = not ("@" in url.netloc or url.query or url.fragment)
    if url.scheme not in {"http", "https"} or not url.hostname or not plain:
        raise _ExpectedError("a URL such as https://host/path, without user, query or fragment")
    return text.rstrip("/")


def _secret_keys(text: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(",") if key.strip())
    try:
        for key in keys:
            Fernet(key)
    except ValueError:
        keys = ()
    if not keys:
        raise _ExpectedError("Fernet keys (32 bytes in URL-safe base64), newest first, by comma")
    return keys


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())
    except ValueError:
        raise _ExpectedError("networks such as 10.0.0.0/8 or fd00::/8, by comma") from None


def _path_or_none(text: str) -> Path | None:
    return Path(text) if text else None


def _hosts(text: str) -> frozenset[str]:
    return frozenset(host.strip().lower() for host in text.split(",") if host.strip())


_AMQP = ("amqp", "amqps", "pyamqp")
_broker_url = _url_of(
    {"redis", "rediss", "sentinel", *_AMQP},
    "a URL such as redis://127.0.0.1:6379/0, rediss://…, sentinel://… or amqp://…",
)
_database_url = _url_of(
    {"postgresql", "postgresql+psycopg"}, "a URL such as postgresql://user:password@host:5432/name"
)

SETTINGS: tuple[Setting, ...] = (
    Setting("broker_url", _broker_url, None, "Redis or Valkey (`redis://`, `rediss://`, "
            "`sentinel://`) or RabbitMQ (`amqp://`); `passerelle up` starts an embedded one"),
    Setting("broker_master", str, "", "with `sentinel://`: the name under which the sentinels know "
            "the broker"),
    Setting("quorum_queues", _boolean, "false", "`true`, with RabbitMQ only: the queues are quorum "
            "queues; the same in every process, and hubs must not declare `intake`"),
    Setting("database_url", _database_url, None, "PostgreSQL, `postgresql://…`; `passerelle up` "
            "starts an embedded one"),
    Setting("secret_keys", _secret_keys, None, "Fernet keys, newest first, comma separated: "
            "encrypt credentials at rest; `passerelle up` makes one in its data folder"),
    Setting("loop_url", _loop_url, "https://api.cegid.com/loop-api-publiques", "base URL of the "
            "Loop API; `https`, except to loopback and the hosts of `PASSERELLE_PLAIN_HTTP_HOSTS`"),
    Setting("plain_http_hosts", _hosts, "", "host names that may be reached without TLS"),
    Setting("webhook_networks", _networks, "", "networks of the loopback and private ranges, comma "
            "separated, that webhooks may reach; elsewhere only public addresses"),
    Setting("data_dir", Path, DATA_DIR_DEFAULT, "where `passerelle up` keeps its servers; every "
            "command reads the settings that `up` made from the file `env` in it"),
    Setting("send_seconds", _number(1, 120), "20", "after this long since before the mark, "
            "nothing of a POST is written any more"),
    Setting("call_seconds", _number(1, 240), "60", "a call to Loop ends after this long in all"),
    Setting("lease_seconds", _number(2, 900), "120", "a delivery that died is noticed after "
            "this long; longer than a call"),
    Setting("visibility_seconds", _count(2, 86400), "900", "a message held by a dead worker "
            "comes back after this long (Redis); longer than a lease"),
    Setting("gateway_seconds", _number(0, 3600), "300", "how long Loop's gateway may "
            "hold a request"),
    Setting("settle_seconds", _number(0, 604800), "3600", "absence in Loop is not believed "
            "before this long"),
    Setting("read_gap_seconds", _number(0, 3600), "60", "between two reads that prove absence"),
    Setting("readback", _one_of("origin", "piece"), "origin", "`origin` or `piece`: how an entry "
            "is found again in Loop; under `piece`, `ecritureOrigine` is not sent"),
    Setting("import_atomic", _boolean, "false", "`true` where Loop is known to "
            "import all or nothing"),
    Setting("verify", _count(0, 1_000_000), "20", "after a folder's first import, one entry in "
            "this many imports is read back; 0 for none"),
    Setting("max_attempts", _count(1, 1000), "8", "failures of an entry's own making before "
            "`exhausted`"),
    Setting("pace_start", _number(0.1, 1000), "10", "requests a second per firm's key, at first"),
    Setting("pace_max", _number(0.1, 1000), "50", "requests a second per firm's key, at most"),
    Setting("batch_lines", _count(2, 100_000), "500", "lines in an import request; an entry is "
            "never split"),
    Setting("batch_bytes", _count(1000, 100_000_000), "1000000", "bytes of an import request; an "
            "entry is never split"),
    Setting("gather_seconds", _number(0, 60), "3", "after a request entries of its folder gather "
            "for this long, three times as long while more keep coming, unless they fill one "
            "before: requests to Loop are counted"),
    Setting("keep_days", _count_or_none(30, 36_500), "", "days after which the contents of what is "
            "settled are erased; without it they are kept"),
    Setting("discover_route", _route, "", "the route of the Loop API that lists the folders that a "
            "key reaches, for `folder discover`; Cegid documents none"),
    Setting("heartbeat", _path_or_none, "", "a file of its own that a worker touches every two "
            "seconds while it consumes, for health checks"),
    Setting("logs", _one_of("json", "text"), "json", "how workers, beat and Flower log: `json`, an "
            "object a line, or `text`, for people"),
    Setting("task_events", _boolean, "true", "`false`: a worker tells Flower nothing of its tasks, "
            "which costs an eighth where each message of `intake` brings one event"),
    Setting("rolling", _boolean, "false", "`1` while versions are mixed during a roll-out: an "
            "unknown `PASSERELLE_` variable is a warning, not an error"),
    Setting("api_secret", str, "", "the API secret for `firm add` and `firm rotate`, instead "
            "of a prompt"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settings:
    """Values of `SETTINGS`, by the same names. Seconds are floats, URLs have no trailing slash."""

    broker_url: str | None
    broker_master: str
    quorum_queues: bool
    database_url: str | None
    secret_keys: tuple[str, ...] | None
    loop_url: str
    plain_http_hosts: frozenset[str]
    webhook_networks: tuple[Network, ...]
    data_dir: Path
    send_seconds: float
    call_seconds: float
    lease_seconds: float
    visibility_seconds: int
    gateway_seconds: float
    settle_seconds: float
    read_gap_seconds: float
    readback: str
    import_atomic: bool
    verify: int
    max_attempts: int
    pace_start: float
    pace_max: float
    batch_lines: int
    batch_bytes: int
    gather_seconds: float
    keep_days: int | None
    discover_route: str
    heartbeat: Path | None
    logs: str
    task_events: bool
    rolling: bool
    api_secret: str
    warnings: tuple[str, ...] = ()

    @property
    def on_rabbitmq(self) -> bool:
        return (self.broker_url or "").startswith(_AMQP)

    def may_be_plain(self, host: str) -> bool:
        """Whether a host may be reached without TLS."""
        return _may_be_plain(host, self.plain_http_hosts)


_KNOWN = {setting.variable: setting for setting in SETTINGS}


def read_env_file(path: Path) -> dict[str, str]:
    """The `NAME=value` lines that `passerelle up` wrote; none where the file is absent."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


def _raw(environ: Mapping[str, str], faults: list[str]) -> dict[str, str]:
    """The variables' texts, with `…_FILE` variants read."""
    raw: dict[str, str] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX):
            continue
        base = variable.removesuffix("_FILE")
        if variable in _KNOWN:
            raw[variable] = text
        elif base in _KNOWN:
            if base in environ:
                faults.append(f"{base} and {variable} are both set; keep one.")
                continue
            try:
                raw[base] = Path(text).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{variable}: the file {text} cannot be read ({error}).")
    return raw


def _unknown(environ: Mapping[str, str]) -> list[str]:
    unknown = []
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable.removesuffix("_FILE") not in _KNOWN:
            near = difflib.get_close_matches(variable, _KNOWN, n=1, cutoff=0)
            unknown.append(f"{variable} is no setting of passerelle; did you mean {near[0]}?")
    return unknown


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _may_be_plain(host: str, named: frozenset[str]) -> bool:
    return is_loopback(host) or host.lower() in named


def _faults_between(values: Mapping[str, Any]) -> list[str]:
    """Faults that only show when settings are seen together."""
    faults = []
    url = urlsplit(values["loop_url"])
    host = url.hostname or ""
    if url.scheme == "http" and not _may_be_plain(host, values["plain_http_hosts"]):
        faults.append(
            f"PASSERELLE_LOOP_URL: {host} would be reached without TLS; use https://, or name the "
            "host in PASSERELLE_PLAIN_HTTP_HOSTS."
        )
    sentinel = (values["broker_url"] or "").startswith("sentinel:")
    if sentinel != bool(values["broker_master"]):
        faults.append("PASSERELLE_BROKER_MASTER goes with a sentinel:// URL, and only with one.")
    if values["quorum_queues"] and not (values["broker_url"] or "amqp").startswith(_AMQP):
        faults.append("PASSERELLE_QUORUM_QUEUES goes with an amqp:// URL only.")
    ladder = ("send_seconds", "call_seconds", "lease_seconds", "visibility_seconds")
    for shorter, longer in itertools.pairwise(ladder):
        if values[shorter] >= values[longer]:
            faults.append(
                f"{PREFIX}{shorter.upper()} ({values[shorter]:g}) must be less than "
                f"{PREFIX}{longer.upper()} ({values[longer]:g})."
            )
    if values["pace_start"] > values["pace_max"]:
        faults.append("PASSERELLE_PACE_START must not be above PASSERELLE_PACE_MAX.")
    return faults


def read_settings(environ: Mapping[str, str], *, env_file: bool = True) -> Settings:
    """The settings of an environment, filled up from `DATA_DIR/env` unless told otherwise.

    Raises:
        SettingsError: with every fault found.
    """
    faults: list[str] = []
    raw = _raw(environ, faults)
    if env_file:
        data_dir = Path(raw.get(PREFIX + "DATA_DIR", DATA_DIR_DEFAULT))
        for variable, text in read_env_file(data_dir / "env").items():
            if variable in _KNOWN:
                raw.setdefault(variable, text)
    unknown = _unknown(environ)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        written = raw.get(setting.variable, setting.default)
        try:
            values[setting.name] = None if written is None else setting.parse(written)
        except _ExpectedError as expected:
            # The value itself is not repeated: it may be a secret.
            faults.append(f"{setting.variable}: expected {expected}.")
            values[setting.name] = setting.parse(setting.default) if setting.default else None
    rolling = values.get("rolling", False)
    if not rolling:
        faults.extend(unknown)
    faults.extend(_faults_between(values))
    if faults:
        raise SettingsError(faults)
    return Settings(**values, warnings=tuple(unknown) if rolling else ())


def read_table(name: str) -> dict[str, Any]:
    """One of the TOML tables beside this module: `limits`, `schedules`."""
    return tomllib.loads(resources.files("config").joinpath(f"{name}.toml").read_text("utf-8"))
