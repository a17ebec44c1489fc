"""Each alert fires when its cause occurs, and none while all is well; each has a page to read.

Rules are compared with what `passerelle metrics` tells. They keep to the few forms that are read
here: a metric of ours, labels, a number; several with `and`.
"""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from passerelle.domain.states import Reason
from passerelle.metrics import Metrics
from passerelle.store.engine import make_engine
from passerelle.store.outbox_models import Audience
from support.events import purchase
from support.raw_server import response
from support.receiver import Office, receiving
from support.simulator import ROOT
from support.workshop import ACCESS_DENIED, KEYS_REFUSED, Workshop

FOLDER = ROOT / "docs/monitoring"
RULES = {
    rule["alert"]: rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
TERM = re.compile(r'(?P<name>passerelle_\w+)(?:\{(?P<label>\w+)=~"(?P<words>[\w|]+)"\})? '
                  r"(?P<how>==|>) (?P<number>\d+)")  # fmt: skip
HOW = {"==": operator.eq, ">": operator.gt}
QUIET = {"intake": 0}
Told = list[tuple[str, dict[str, str], float]]


def told(metrics: Metrics) -> Told:
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    families = text_string_to_metric_families(text)
    return [(one.name, one.labels, one.value) for family in families for one in family.samples]


def fires(alert: str, samples: Told) -> bool:
    """Whether each term of the rule is true of some sample."""
    for part in RULES[alert]["expr"].split(" and "):
        term = TERM.fullmatch(part)
        assert term is not None, f"{alert}: {part} is read by nobody here"
        if not any(
            name == term["name"]
            and (term["label"] is None or re.fullmatch(term["words"], labels[term["label"]]))
            and HOW[term["how"]](value, float(term["number"]))
            for name, labels, value in samples
        ):
            return False
    return True


def looked(shop: Workshop, queues: Mapping[str, int] | None = QUIET) -> Told:
    return told(Metrics(shop.engine, lambda: queues))


def is_due(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.execute("UPDATE entries SET due_at = now() - interval '20 minutes'")
    shop.execute("UPDATE firms SET created_at = now() - interval '20 minutes'")


def is_not_asked_about(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.deliver_all()
    shop.execute("UPDATE imports SET poll_at = now() - interval '1 hour'")


def is_not_told(shop: Workshop) -> None:
    with receiving() as hub:
        Office(shop).subscribe(Audience.OUTCOME, hub.url)
    shop.submit(purchase(1, lines=[]))
    shop.execute("UPDATE outcomes SET at = now() - interval '1 hour'")


def keys_are_refused(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.told.answers = [KEYS_REFUSED]
    shop.deliver_all()


def is_missing(shop: Workshop) -> None:
    shop.execute(
        "INSERT INTO missing_entries (firm, folder, entry_id, revision) VALUES ('A', 'B', 'c', 1)"
    )


def takes_nothing(shop: Workshop) -> None:
    office = Office(shop)
    with receiving() as hub:
        hub.answers(response("500 Internal Server Error"))
        office.subscribe(Audience.OUTCOME, hub.url)
        shop.submit(purchase(1, lines=[]))
        office.tell()


def went_back(shop: Workshop) -> None:
    shop.submit(purchase(1))
    shop.deliver_all()
    shop.execute("UPDATE database_identity SET timeline = '00000000'")


CAUSES: dict[str, Callable[[Workshop], object]] = {
    "PasserelleDatabaseWentBack": went_back,
    "PasserelleNothingIsSent": is_due,
    "PasserelleNothingIsFollowedUp": is_not_asked_about,
    "PasserelleNothingIsTold": is_not_told,
    "PasserelleLoopDown": lambda shop: shop.execute(
        "UPDATE outages SET since = now() - interval '2 hours'"
    ),
    "PasserelleCaseForOperators": lambda shop: shop.hold(Reason.LANDED_DIFFERENTLY),
    "PasserelleFirmOnHold": keys_are_refused,
    "PasserelleEventsRefused": lambda shop: shop.submit(purchase(1, lines=[])),
    "PasserelleEntriesMissing": is_missing,
    "PasserelleReceiverDown": takes_nothing,
    "PasserelleReferenceDataOld": lambda shop: shop.execute(
        "UPDATE folders SET refreshed_at = now() - interval '4 days'"
    ),
}
# Of what is away; looked at in another way.
AWAY = {
    "PasserelleDatabaseAway",
    "PasserelleBrokerAway",
    "PasserelleQueueGrows",
    "PasserelleNobodyTakesIn",
}


@pytest.mark.parametrize("alert", CAUSES)
def test_an_alert_fires_when_its_cause_occurs(shop: Workshop, alert: str) -> None:
    assert not fires(alert, looked(shop))
    CAUSES[alert](shop)
    assert fires(alert, looked(shop))


def test_a_broker_that_is_away_and_a_queue_that_grows(shop: Workshop) -> None:
    assert fires("PasserelleBrokerAway", looked(shop, None))
    assert fires("PasserelleQueueGrows", looked(shop, {"intake": 10_001}))
    assert fires("PasserelleNobodyTakesIn", looked(shop, {"intake": 1, "delivery": 0}))
    assert not fires("PasserelleNobodyTakesIn", looked(shop, {"intake": 0, "delivery": 1}))


def test_a_database_that_is_away(database_url: str) -> None:
    away = make_engine(re.sub(r":\d+/", ":9/", database_url))
    assert fires("PasserelleDatabaseAway", told(Metrics(away, dict)))
    away.dispose()


def test_no_alert_is_without_a_test() -> None:
    assert CAUSES.keys() | AWAY == RULES.keys()


def test_nobody_is_woken_while_all_is_well_or_heals_by_itself(shop: Workshop) -> None:
    shop.submit(*map(purchase, range(3)))
    shop.deliver_all()
    shop.follow_up()
    # The connector is not active on a folder: accountants mend that in Loop.
    shop.told.answers = [ACCESS_DENIED]
    shop.submit(purchase(9))
    shop.deliver_all()
    samples = looked(shop)
    assert [alert for alert in RULES if fires(alert, samples)] == []


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_an_alert_says_what_is_the_matter_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    assert anchor in anchors


def expressions() -> Iterator[str]:
    board = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def test_the_dashboard_shows_every_figure_and_no_other(shop: Workshop) -> None:
    # What occurs first with a process's own counts.
    shop.meter.count("lease_ran_out", stage="after_mark")
    shop.meter.count("loop_request", 0.1, route="journal", result="200")
    shop.meter.flush()
    shop.hold()
    names = {name for name, _, _ in looked(shop)}
    counts = {"passerelle_outcomes_total", "passerelle_cuts_total"}
    shown = {name for one in expressions() for name in re.findall(r"passerelle_\w+", one)}
    assert shown - names - counts == set()
    base = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names | counts}
    unshown = {"passerelle_database_up", "passerelle_broker_up", "passerelle_database_went_back"}
    assert base - unshown == {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown}
