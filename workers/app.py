"""The Celery app: queues, routes, beat's table. Settings with their reasons."""

import ssl
import sys
import threading
from typing import Any
from urllib.parse import urlsplit

from billiard import pool
from celery import Celery, signals
from kombu.entity import Exchange, Queue

from config.settings import Settings, SettingsError, read_table
from passerelle.observe import configure_logs
from passerelle.runtime import Runtime, RuntimeOfProcess
from tasks.bells import EXPIRES
from tasks.delivery import Ask, Deliver, FollowUp, Probe
from tasks.intake import Keep, Reconcile, Submit, SubmitMany
from tasks.names import INTAKE, QUEUES
from tasks.referentials import Refresh
from tasks.remediation import ProbeCase, ReleaseCase
from tasks.upkeep import Erase, Sweep, Tell
from workers import broker, heartbeat, kinds, memory
from workers.about import answer_about
from workers.flower import prepare
from workers.schedule import Every

TASKS = (
    *(Submit, SubmitMany, Reconcile, Keep),
    *(Deliver, FollowUp, Ask, Probe),
    *(ProbeCase, ReleaseCase, Refresh, Sweep, Tell, Erase),
)


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "broker_connection_retry_on_startup": True,
        # A long outage must not end a worker.
        "broker_connection_max_retries": None,
        # A Redis that became a replica answers ReadOnlyError: try again.
        "broker_channel_error_retry": True,
        # Producers fail instead of hanging on an exhausted pool.
        "broker_pool_acquire_timeout": 10,
        "broker_transport_options": {
            # RabbitMQ says when it has a message, and nobody asks it by default.
            **({"confirm_publish": True} if settings.on_rabbitmq else {}),
            # What a dead worker held comes back after this; longer than any task.
            "visibility_timeout": settings.visibility_seconds,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            # A frozen Redis raises instead of blocking for ever.
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "client_name": "passerelle",
            **({"master_name": settings.broker_master} if settings.broker_master else {}),
            # Celery's own, as every hub has them: a message of some priority is in another list.
            "priority_steps": [0, 3, 6, 9],
        },
        "broker_use_ssl": _tls(settings.broker_url or ""),
        # Reads messages before Celery does: none of them can end a worker.
        "worker_consumer": "workers.consumer:Consumer",
        # The row is the result.
        "result_backend": None,
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # A task that kills its process goes round at most so often.
        "task_retry_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_eta_task_limit": 1000,
        # Threads cannot be cancelled; leases and compare-and-set guard instead.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # Flower needs events; the sent ones would halve the speed of enqueueing.
        "worker_send_task_events": settings.task_events,
        "task_send_sent_event": False,
        "task_track_started": False,
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],
        # A misspelt queue fails at once.
        "task_create_missing_queues": False,
        # Each behind an exchange of its own. By default all would be bound to the default queue's,
        # and what a producer publishes there would come out of every queue.
        "task_queues": [
            Queue(
                name,
                Exchange(name),
                routing_key=name,
                queue_arguments=kinds.arguments(settings),
            )
            for name in QUEUES
        ],
        "task_default_queue": INTAKE,
        # A task's queue is the first word of its name; the hub's tasks are intake's.
        "task_routes": {
            "entries.*": {"queue": INTAKE},
            **{f"{name}.*": {"queue": name} for name in QUEUES},
        },
        "task_publish_retry_policy": {
            "max_retries": 3,
            "interval_start": 0.1,
            "interval_step": 0.3,
            "interval_max": 1,
        },
        "task_repr_maxlevels": 2,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "timezone": "UTC",
        "enable_utc": True,
        "beat_max_loop_interval": 1,
        "beat_enable_remote_control": True,
        "beat_schedule": {
            name: {"task": name, "schedule": Every(seconds), "options": {"expires": EXPIRES}}
            for name, seconds in read_table("schedules")["jobs"].items()
        },
    }


def _tls(broker_url: str) -> dict[str, Any] | None:
    """How a broker is believed to be who it says, where its URL itself says nothing of it.

    kombu would believe any certificate on the way to Redis, and any name on the way to RabbitMQ.
    """
    url = urlsplit(broker_url)
    if url.scheme == "rediss":
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    if url.scheme == "amqps":
        return {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": url.hostname}
    return None


def make_app(settings: Settings, runtime: Runtime | None = None) -> Celery:
    """The app of a worker, of beat or of a producer; opens no connection.

    Raises:
        SettingsError: no broker is set.
    """
    if settings.broker_url is None:
        raise SettingsError(["PASSERELLE_BROKER_URL is not set; `passerelle up` starts a broker."])
    broker.install()
    app = Celery(
        "passerelle",
        broker=settings.broker_url,
        events="workers.events:Events",
        set_as_current=False,
    )
    app.conf.update(_configuration(settings))
    stop = threading.Event()
    # Told to the main process alone: where tasks run in threads, those that call Loop are in it.
    signals.worker_shutting_down.connect(lambda **_: stop.set(), weak=False)
    of_process = RuntimeOfProcess(lambda: runtime or Runtime(settings, stop=stop))
    # What was counted of the last seconds, of the main process and of those of a pool.
    for ending in (signals.worker_shutdown, signals.worker_process_shutdown):
        ending.connect(lambda **_: of_process.close(), weak=False)
    for task in TASKS:
        app.register_task(task(of_process))
    as_text = settings.logs == "text"
    signals.setup_logging.connect(lambda **_: configure_logs(as_text=as_text), weak=False)
    signals.import_modules.connect(lambda **_: prepare(settings), weak=False)
    # By a worker alone: beat, Flower and producers need the broker and nothing else.
    signals.celeryd_init.connect(lambda **_: _start_worker(app, settings), weak=False)
    return app


def _start_worker(app: Celery, settings: Settings) -> None:
    """A worker that cannot work does not start."""
    faults = [
        f"PASSERELLE_{name.upper()} is not set; a worker needs it."
        for name in ("database_url", "secret_keys")
        if getattr(settings, name) is None
    ]
    if settings.heartbeat is not None:
        try:
            heartbeat.keep(app, settings.heartbeat)
        except OSError as error:
            faults.append(f"PASSERELLE_HEARTBEAT: the file cannot be made ({error}).")
    if faults:
        sys.exit("\n".join(faults))
    answer_about(settings)
    memory.keep_heaps_small()
    # Tenths of a second that a process of a pool waits at its end for its last result to be read.
    # By then the worker may read no more, and with Celery's 300 every sixth stop took half a
    # minute. What was not read is delivered again, which harms nothing.
    pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 10
