"""The only wiring: settings in; engine, client, clock and chance out."""

import datetime as dt
import os
import random
import threading
from collections.abc import Callable, Mapping
from functools import cached_property

from sqlalchemy import Engine

from config.settings import Settings, SettingsError, read_table
from passerelle.asking import Asking, AskingTerms
from passerelle.auxiliaries import Auxiliaries
from passerelle.connecting import Connecting
from passerelle.delivery import Delivery, Terms, Ways
from passerelle.discovery import Discovery
from passerelle.domain.limits import Limits
from passerelle.domain.nights import Night
from passerelle.followup import FollowUp, FollowUpTerms
from passerelle.healing import Healing
from passerelle.intake import Intake
from passerelle.lookup import Lookup
from passerelle.loop_api.client import Loop
from passerelle.meter import Counted, Key, Meter
from passerelle.preflight import Preflight
from passerelle.prerequisites import Prerequisites
from passerelle.probing import Probing
from passerelle.reconciliation import Reconciliation
from passerelle.referentials import Referentials, RefreshTerms
from passerelle.registration import Registration
from passerelle.remediation import Remediation
from passerelle.restoring import Restoring
from passerelle.retention import Retention
from passerelle.settling import Settling
from passerelle.store import figures
from passerelle.store.engine import make_engine
from passerelle.store.vault import Vault
from passerelle.subscribing import Subscribing
from passerelle.supposing import Supposing
from passerelle.telling import Telling
from passerelle.turns import Turns
from passerelle.upkeep import Upkeep
from passerelle.webhook import Webhooks

_NO_DATABASE = (
    "PASSERELLE_DATABASE_URL is not set; `passerelle up` starts a database, and "
    "PASSERELLE_DATA_DIR names its folder to the other commands."
)
_POOL_SIZE = 32
"""Database connections of one process, at most: one for each thread that delivers."""

_FIRST_SAMPLES = 3
"""Entries of a folder's first import that are read back before it is believed."""


def _limits(settings: Settings) -> Limits:
    return Limits(
        **read_table("limits")["fields"],
        batch_lines=settings.batch_lines,
        batch_bytes=settings.batch_bytes,
    )


class Runtime:
    """The use cases of one process, each made when it is first asked for.

    `stop` is set when the process is to end.
    """

    def __init__(
        self,
        settings: Settings,
        checkpoint: Callable[[str], None] = lambda _: None,
        stop: threading.Event | None = None,
    ) -> None:
        self.settings = settings
        self._checkpoint = checkpoint
        self._stop = stop or threading.Event()
        self._chance = random.SystemRandom().random

    @cached_property
    def engine(self) -> Engine:
        """Raises: SettingsError."""
        if self.settings.database_url is None:
            raise SettingsError([_NO_DATABASE])
        return make_engine(self.settings.database_url, _POOL_SIZE)

    def close(self) -> None:
        """Before the process ends: what was counted is handed over."""
        if "meter" in self.__dict__:
            self.meter.flush()
        if "engine" in self.__dict__:
            self.engine.dispose()

    @cached_property
    def vault(self) -> Vault:
        """Raises: SettingsError."""
        if self.settings.secret_keys is None:
            raise SettingsError(
                ["PASSERELLE_SECRET_KEYS is not set; `passerelle up` makes a key by itself."]
            )
        return Vault(self.settings.secret_keys)

    @cached_property
    def limits(self) -> Limits:
        return _limits(self.settings)

    @cached_property
    def loop(self) -> Loop:
        return Loop(
            self.settings.loop_url,
            send_seconds=self.settings.send_seconds,
            call_seconds=self.settings.call_seconds,
            told=lambda route, result, seconds: self.meter.count(
                "loop_request", seconds, route=route, result=result
            ),
        )

    @cached_property
    def meter(self) -> Meter:
        return Meter(self._store_figures)

    def _store_figures(self, counted: Mapping[Key, Counted]) -> None:
        with self.engine.begin() as connection:
            figures.add(connection, counted)

    @cached_property
    def lookup(self) -> Lookup:
        return Lookup(self.engine, self.loop, self.vault, self.turns)

    @cached_property
    def turns(self) -> Turns:
        pace = (self.settings.pace_start, self.settings.pace_max)
        return Turns(self.engine, pace, self._stop)

    @cached_property
    def probing(self) -> Probing:
        return Probing(self.engine, self.loop, self.vault, self.turns)

    @cached_property
    def intake(self) -> Intake:
        return Intake(self.engine, self.limits)

    @cached_property
    def preflight(self) -> Preflight:
        # What is left of the lease is the longest call's.
        ask_seconds = (self.settings.lease_seconds - self.settings.call_seconds) / 2
        return Preflight(self.engine, self.loop, self.turns, ask_seconds, self._chance)

    @cached_property
    def delivery(self) -> Delivery:
        settings = self.settings
        return Delivery(
            self.engine,
            Ways(self.loop, self.lookup, self.preflight),
            self.vault,
            self.turns,
            Terms(
                limits=self.limits,
                send_origin=settings.readback == "origin",
                lease_seconds=settings.lease_seconds,
                gather_seconds=settings.gather_seconds,
            ),
            self._chance,
            self._checkpoint,
        )

    @cached_property
    def followup(self) -> FollowUp:
        settings = self.settings
        return FollowUp(
            self.engine,
            self.loop,
            self.vault,
            self.turns,
            FollowUpTerms(
                poll_seconds=settings.lease_seconds,
                read_gap_seconds=settings.read_gap_seconds,
                first_samples=_FIRST_SAMPLES,
                verify=settings.verify,
            ),
            self._chance,
        )

    @cached_property
    def asking(self) -> Asking:
        settings = self.settings
        return Asking(
            self.engine,
            self.lookup,
            AskingTerms(
                ask_seconds=settings.lease_seconds,
                allowed_seconds=settings.send_seconds + settings.gateway_seconds,
                settle_seconds=settings.settle_seconds,
                read_gap_seconds=settings.read_gap_seconds,
                max_attempts=settings.max_attempts,
                atomic=settings.import_atomic,
            ),
            self._chance,
        )

    @cached_property
    def auxiliaries(self) -> Auxiliaries:
        return Auxiliaries(self.engine, self.limits)

    @cached_property
    def settling(self) -> Settling:
        return Settling(self.engine)

    @cached_property
    def reconciliation(self) -> Reconciliation:
        return Reconciliation(self.engine)

    @cached_property
    def referentials(self) -> Referentials:
        night = read_table("schedules")["night"]
        return Referentials(
            self.engine,
            self.loop,
            self.vault,
            self.turns,
            RefreshTerms(
                lease_seconds=self.settings.lease_seconds,
                night=Night(night["start"], dt.timedelta(hours=night["hours"])),
            ),
            self._chance,
        )

    @cached_property
    def prerequisites(self) -> Prerequisites:
        return Prerequisites(self.engine, read_table("remedies"))

    @cached_property
    def healing(self) -> Healing:
        lease_seconds = self.settings.lease_seconds
        return Healing(self.engine, self.loop, self.vault, self.turns, lease_seconds, self._chance)

    @cached_property
    def remediation(self) -> Remediation:
        return Remediation(self.engine)

    @cached_property
    def registration(self) -> Registration:
        return Registration(self.engine, self.vault)

    @cached_property
    def connecting(self) -> Connecting:
        lease_seconds = self.settings.lease_seconds
        return Connecting(
            self.engine, self.loop, self.vault, self.turns, lease_seconds, self._chance
        )

    @cached_property
    def discovery(self) -> Discovery:
        return Discovery(
            self.engine, self.loop, self.vault, self.turns, self.settings.discover_route
        )

    @cached_property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.settings.webhook_networks, self.settings.may_be_plain)

    @cached_property
    def subscribing(self) -> Subscribing:
        return Subscribing(self.engine, self.vault, self.webhooks)

    @cached_property
    def telling(self) -> Telling:
        return Telling(
            self.engine,
            self.webhooks,
            self.vault,
            read_table("remedies"),
            self._chance,
            self._stop,
            self._checkpoint,
        )

    @cached_property
    def upkeep(self) -> Upkeep:
        return Upkeep(self.engine, self.limits, self._chance, self.supposing, self.meter)

    @cached_property
    def retention(self) -> Retention:
        return Retention(self.engine, self.settings.keep_days, self._stop, self.meter)

    @cached_property
    def supposing(self) -> Supposing:
        send_origin = self.settings.readback == "origin"
        return Supposing(self.engine, self.limits, send_origin=send_origin)

    @cached_property
    def restoring(self) -> Restoring:
        return Restoring(self.engine, self.supposing)


class RuntimeOfProcess:
    """Gives each process its own runtime: a connection must not be carried over a fork."""

    def __init__(self, make: Callable[[], Runtime]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._runtime: Runtime | None = None

    def __call__(self) -> Runtime:
        with self._lock:
            if self._runtime is None or self._pid != os.getpid():
                self._runtime, self._pid = self._make(), os.getpid()
            return self._runtime

    def close(self) -> None:
        """Of this process, if it has made one."""
        if self._runtime is not None and self._pid == os.getpid():
            self._runtime.close()
