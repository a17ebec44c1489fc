"""Logs of real workers: one id leads from a message to Loop's request id, and no text gets out."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from support.events import purchase
from support.simulator import until
from support.stack import Stack


def lines(stack: Stack, queue: str, event: str) -> Iterator[dict[str, Any]]:
    for line in stack.log(queue).splitlines():
        if line.startswith("{") and (found := json.loads(line))["event"] == event:
            yield found


def test_an_entry_is_followed_from_its_message_to_loop_s_request(stack: Stack) -> None:
    firm = stack.add_firm(None, "LOGGED")
    event = purchase(1, firm=firm, folder="LOGGED", event_id=str(uuid.uuid4()))
    message = str(uuid.uuid4())
    stack.app.send_task("entries.submit", args=[event], queue="intake", task_id=message)
    stack.until_states(firm, synced=1)

    def found(queue: str, event: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        [line] = until(lambda: [line for line in lines(stack, queue, event) if wanted(line)], bool)
        return line

    taken = found("intake", "events were taken in", lambda line: line.get("message_id") == message)
    [entry] = taken["entries"]
    posted = found("delivery", "import request answered", lambda line: entry in line["entries"])
    ended = found("delivery", "import ended", lambda line: line["import_id"] == posted["import_id"])
    assert ended["status"] == 3
    shown = json.loads(stack.cli("entry", "show", f"#{entry}", "--json").stdout)
    assert shown["import_request_id"] == posted["request_id"]
    assert shown["entry_id"] == event["entry"]["id"]
    written = "".join(stack.log(queue) for queue in ("intake", "delivery", "upkeep"))
    for words in ("Papeterie", event["entry"]["piece_ref"], "FPAPETERIE", f"key-{firm}"):
        assert words not in written
