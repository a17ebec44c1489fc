"""A broker that refuses to write does not take a worker's places away for good."""

from collections.abc import Callable, Iterator

import pytest
from kombu import Connection, Consumer, Exchange, Queue
from kombu.message import Message

from support.broker import Broker, running_broker
from support.simulator import until
from workers import broker as ours

QUEUE = Queue("upkeep", Exchange("upkeep"), routing_key="upkeep")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with running_broker() as running:
        yield running


@pytest.mark.parametrize(
    "answer", [Message.ack, Message.reject, Message.requeue], ids=["ack", "reject", "requeue"]
)
def test_a_place_is_free_though_the_message_cannot_be_let_go_of(
    broker: Broker, answer: Callable[[Message], None]
) -> None:
    ours.install()
    options = {"visibility_timeout": 1, "unacked_restore_interval": 1}
    with Connection(broker.url, transport_options=options) as connection:
        channel = connection.channel()
        producer = connection.Producer(channel)
        producer.publish({}, exchange="upkeep", routing_key="upkeep", declare=[QUEUE])
        taken: list[Message] = []
        consumer = Consumer(channel, [QUEUE], on_message=taken.append, prefetch_count=1)
        with consumer:
            connection.drain_events(timeout=5)
            broker.refuse()
            answer(taken[0])
            broker.accept()
            assert channel.qos.can_consume()

            def comes_back() -> int:
                channel.qos.restore_visible(interval=1)
                with channel.conn_or_acquire() as client:
                    return int(client.llen("upkeep"))

            # The broker has it still.
            until(comes_back, bool)
