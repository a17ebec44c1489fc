"""The HTTP server: one delegate a request.

It stands below tornado's web framework, because faults need the connection itself.
"""

import asyncio
import contextlib
import datetime as dt
import socket
from collections.abc import Callable, Sequence
from typing import cast

from tornado import http1connection, httputil
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError

from simulator import admin, routes, wire
from simulator.attachments import Fetcher
from simulator.faults import Act, Rule, WireFault
from simulator.loop import Call, Loop
from simulator.scenario import Scenario


def start(scenario: Scenario, sockets: Sequence[socket.socket]) -> None:
    """Answer on the sockets for as long as the running event loop lives."""
    later = asyncio.get_running_loop().call_later
    loop = Loop(scenario, lambda: dt.datetime.now(dt.UTC), later, Fetcher())
    HTTPServer(_Door(loop)).add_sockets(sockets)


class _Door(httputil.HTTPServerConnectionDelegate):
    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        # The event loop holds its tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    def start_request(
        self,
        server_conn: object,  # noqa: ARG002 - the name is tornado's
        request_conn: httputil.HTTPConnection,
    ) -> httputil.HTTPMessageDelegate:
        connection = cast("http1connection.HTTP1Connection", request_conn)
        return _Exchange(self._loop, connection, self._spawn)

    def _spawn(self, exchange: "_Exchange") -> None:
        task = asyncio.create_task(exchange.respond())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Exchange(httputil.HTTPMessageDelegate):
    """One request and its answer."""

    def __init__(
        self,
        loop: Loop,
        connection: http1connection.HTTP1Connection,
        spawn: Callable[["_Exchange"], None],
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._stream = connection.stream
        self._spawn = spawn
        self._chunks: list[bytes] = []
        self._start = httputil.RequestStartLine("", "", "")
        self._headers = httputil.HTTPHeaders()
        self._began = loop.clock()
        self._traffic = loop.traffic

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> None:
        # Not earlier: on a kept connection the exchange is made when the one before it ends.
        self._began = self._loop.clock()
        self._traffic = self._loop.traffic
        self._start = cast("httputil.RequestStartLine", start_line)
        self._headers = headers
        route = routes.at(self._start.path.partition("?")[0])
        domain = self._loop.domain(headers)
        if self._loop.faults.resets(route, domain):
            self._note(route, domain, None, "reset")
            # Detached, or a body that is in the buffer already would still be worked off.
            wire.reset(self._connection.detach())

    def data_received(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def finish(self) -> None:
        self._spawn(self)

    async def respond(self) -> None:
        try:
            # A client that left before its answer is no fault of this program.
            with contextlib.suppress(StreamClosedError):
                await self._respond()
        except BaseException:
            # Else the client would wait for an answer that never comes.
            wire.hang_up(self._stream)
            raise

    async def _respond(self) -> None:
        method, target, _ = self._start
        body = b"".join(self._chunks)
        self._chunks.clear()
        if target.startswith(admin.PREFIX):
            wire.send(self._connection, admin.answer(self._loop, method, target, body))
            return
        call = self._loop.read(method, target, self._headers, body)
        fired = self._loop.wire_fault(call)
        if fired is None:
            answer = self._loop.answer(call)
            await self._wait(self._loop.settings.latency_ms / 1000)
            wire.send(self._connection, answer)
            self._note(call.route, call.domain, call.folder, answer.kind)
            return
        await self._act(call, *fired)
        self._note(call.route, call.domain, call.folder, fired[1].fault)

    async def _act(self, call: Call, fault: WireFault, rule: Rule) -> None:
        if fault.act is Act.STALL:
            await self._wait(rule.seconds)
            if self._loop.traffic is not self._traffic:
                # Loop was reset meanwhile.
                wire.hang_up(self._stream)
                return
        answer = self._loop.answer(call) if fault.stored else None
        if fault.instead is not None:
            answer = fault.instead(rule.seconds, self._loop.clock())
        if answer is None or fault.act is Act.HANG_UP:
            wire.hang_up(self._stream)
        elif fault.act is Act.CUT:
            await wire.cut(self._stream, answer)
        elif fault.act is Act.DRIP:
            await wire.drip(self._stream, answer, rule.seconds)
        else:
            if fault.act is Act.WAIT:
                await self._wait(rule.seconds)
            wire.send(self._connection, answer)

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)

    def _note(
        self, route: routes.Route | None, domain: str | None, folder: str | None, kind: str
    ) -> None:
        seconds = (self._loop.clock() - self._began).total_seconds()
        method = self._start.method
        self._traffic.note(self._began, method, route, domain, folder, kind, seconds)
