"""A worker that posts inside a transaction of the same thread, with a row locked."""

import os

from sqlalchemy import text

from config.settings import read_settings
from passerelle.domain.outcome import Answer
from passerelle.loop_api.client import Credentials, Loop
from passerelle.runtime import Runtime
from workers.app import make_app


class _Inside(Loop):
    def post_import(self, credentials: Credentials, body: bytes, started: float) -> Answer:
        with _runtime.engine.begin() as connection:
            connection.execute(text("UPDATE firms SET code = code"))
            return super().post_import(credentials, body, started)


_settings = read_settings(os.environ)
_runtime = Runtime(_settings)
_runtime.loop = _Inside(
    _settings.loop_url,
    send_seconds=_settings.send_seconds,
    call_seconds=_settings.call_seconds,
)
app = make_app(_settings, _runtime)
