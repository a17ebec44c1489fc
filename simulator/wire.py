"""Putting an answer on a connection, whole or as a fault wants it."""

import asyncio
import http
import socket
import struct

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, ResponseStartLine
from tornado.iostream import IOStream

from simulator.answers import Answer

# Closing with this option sends RST instead of FIN.
_LINGER_NOT = struct.pack("ii", 1, 0)


def send(connection: HTTP1Connection, answer: Answer) -> None:
    """The whole answer; nothing where the client is gone."""
    start = ResponseStartLine("HTTP/1.1", answer.status, _phrase(answer))
    connection.write_headers(start, HTTPHeaders(_headers(answer)), answer.body)
    connection.finish()


def hang_up(stream: IOStream) -> None:
    stream.close()


def reset(stream: IOStream) -> None:
    if stream.socket is not None:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    stream.close()


async def cut(stream: IOStream, answer: Answer) -> None:
    """Half of the body that the headers promise, then the end of the connection."""
    await stream.write(_head(answer) + answer.body[: len(answer.body) // 2])
    stream.close()


async def drip(stream: IOStream, answer: Answer, seconds: float) -> None:
    """The headers, then the body byte by byte over so many seconds, then the end."""
    await stream.write(_head(answer))
    pause = seconds / max(1, len(answer.body))
    for position in range(len(answer.body)):
        await asyncio.sleep(pause)
        await stream.write(answer.body[position : position + 1])
    stream.close()


def _phrase(answer: Answer) -> str:
    return http.HTTPStatus(answer.status).phrase


def _headers(answer: Answer) -> dict[str, str]:
    return {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        **answer.headers,
    }


def _head(answer: Answer) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in _headers(answer).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
