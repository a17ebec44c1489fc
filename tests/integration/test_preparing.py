"""Few requests are made ready at once, and who asks Loop meanwhile holds up nobody."""

import contextlib
import json
import threading
from concurrent.futures import Future
from functools import partial

from sqlalchemy import Engine, event

from passerelle.domain.referential import Kind, Page, Record
from passerelle.domain.verdict import Row
from passerelle.loop_api.client import Credentials
from passerelle.turns import PREPARED_AT_ONCE
from support.events import purchase
from support.workshop import ToldLoop, Workshop, background

FOLDERS = [f"F{number}" for number in range(PREPARED_AT_ONCE)]
OTHER = "OTHER"
CHART = Page(
    (Record("401000", "Fournisseurs", closed=False, object_id=None, revision_id=None, whole={}),), 1
)
NOTHING = Page((), 0)
LONG = 20


class SlowLoop(ToldLoop):
    """Its chart has one account. Who asks for another, or for a piece, waits for `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)
        self.go = threading.Event()

    def list_page(
        self,
        credentials: Credentials,  # noqa: ARG002 Loop's
        folder: str,  # noqa: ARG002 idem
        kind: Kind,
        skip: int,  # noqa: ARG002 idem
    ) -> Page:
        return CHART if kind is Kind.ACCOUNT else NOTHING

    def find_code(self, *_: object) -> Page:
        self._wait()
        return NOTHING

    def find_entries(self, *_: object) -> list[Row]:
        self._wait()
        return []

    def _wait(self) -> None:
        self.waiting.release()
        assert self.go.wait(LONG)


def open_shop(engine: Engine, *, send_origin: bool = True) -> tuple[Workshop, SlowLoop]:
    loop = SlowLoop()
    shop = Workshop(engine, loop, pace=(1e6, 1e6), send_origin=send_origin)
    shop.add_firm("A", *FOLDERS)
    shop.add_firm("B", OTHER)
    return shop, loop


def deliver_behind(shop: Workshop, folder: str) -> Future[int | None]:
    return background(partial(shop.deliver, folder))


def another_goes_meanwhile(shop: Workshop, loop: SlowLoop) -> None:
    """Deliveries of all the folders ask Loop, which does not answer; another firm's is sent."""
    shop.submit(purchase(99, firm="B", folder=OTHER))
    asking = [deliver_behind(shop, folder) for folder in FOLDERS]
    try:
        for _ in asking:
            assert loop.waiting.acquire(timeout=LONG)
        loop.bodies.clear()
        deliver_behind(shop, OTHER).result(LONG)
        assert [body["codeIbs"] for body in loop.bodies] == [OTHER]
    finally:
        loop.go.set()
    for one in asking:
        one.result(LONG)


def test_who_asks_loop_for_an_account_by_name_holds_up_nobody(engine: Engine) -> None:
    shop, loop = open_shop(engine)
    for number, folder in enumerate(FOLDERS):
        shop.another_referentials().refresh(shop.folder_id(folder), asked=True)
        shop.submit(purchase(number, firm="A", folder=folder))
    another_goes_meanwhile(shop, loop)


def test_who_counts_a_twin_in_loop_holds_up_nobody(engine: Engine) -> None:
    shop, loop = open_shop(engine, send_origin=False)
    for twin in range(2):
        for number, folder in enumerate(FOLDERS):
            event = purchase(10 * twin + number, firm="A", folder=folder, piece_ref="F-1")
            shop.submit(event)
        if twin == 0:
            shop.deliver_all()
            shop.follow_up()
    assert shop.states() == {"synced": len(FOLDERS), "received": len(FOLDERS)}
    another_goes_meanwhile(shop, loop)


def test_more_requests_than_a_few_are_not_made_ready_at_once(engine: Engine) -> None:
    shop, loop = open_shop(engine)
    one_too_many = threading.Barrier(PREPARED_AT_ONCE + 1)

    def checkpoint(step: str) -> None:
        if step == "claim":
            with contextlib.suppress(threading.BrokenBarrierError):
                one_too_many.wait(1)

    folders = [*FOLDERS, OTHER]
    for number, folder in enumerate(folders):
        firm = "B" if folder == OTHER else "A"
        shop.submit(purchase(number, firm=firm, folder=folder))
    delivery = shop.another_delivery(checkpoint=checkpoint)
    delivered = [background(partial(delivery.deliver, shop.folder_id(code))) for code in folders]
    for one in delivered:
        one.result(LONG)
    assert one_too_many.broken
    assert len(loop.bodies) == len(folders)


def test_no_statement_is_as_large_as_a_request(shop: Workshop, engine: Engine) -> None:
    """A connection keeps for ever the room that its largest statement took."""
    shop.submit(*map(purchase, range(150)))
    sizes = [0]

    @event.listens_for(engine, "before_cursor_execute")
    def _(_connection: object, _cursor: object, _words: str, values: object, *_: object) -> None:
        sizes.append(len(str(values)))

    shop.deliver()
    [body] = shop.told.bodies
    assert max(sizes) < len(json.dumps(body)) / 2
