"""A firm's keys: checked, replaced, and what becomes of what was sent by the old ones (rule 21)."""

from collections.abc import Callable, Sequence

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine

from passerelle.connecting import Checked, Connecting, ConnectingError, KeyChange
from passerelle.domain.errors import RegistrationError
from passerelle.domain.firm_keys import FirmKeys
from passerelle.domain.outcome import Answer, Sort
from passerelle.domain.referential import Kind, Page, Record
from passerelle.domain.states import Reason
from passerelle.loop_api.client import Credentials, Status
from passerelle.registration import Registration
from passerelle.store.vault import Vault, VaultError
from support.events import purchase
from support.simulator import until
from support.workshop import (
    ACCESS_DENIED,
    AGAIN,
    FIRM,
    KEYS_REFUSED,
    SECRET_KEY,
    THROTTLED,
    UNKNOWN,
    Stop,
    ToldLoop,
    Workshop,
    accepted,
    background,
)

NEW = KeyChange("new-key-HUSH", "new-secret-HUSH", "new-subscription-HUSH")
BOTH = ("A", "B")


class KeyedLoop(ToldLoop):
    """Says of keys what it was told, and shows of each folder the journals of these ids.

    `meanwhile` runs while keys are tried or a status is asked for.
    """

    def __init__(self) -> None:
        super().__init__()
        self.keys: Answer = accepted()
        self.tried: list[Credentials] = []
        self.listed: list[tuple[str, str]] = []
        self.journals: dict[str, Sequence[str] | Answer] = {}
        self.meanwhile: Callable[[], object] = lambda: None

    def try_keys(self, credentials: Credentials) -> Answer:
        self.tried.append(credentials)
        self.meanwhile()
        return self.keys

    def import_status(self, credentials: Credentials, request_id: str) -> Status | Answer:
        self.meanwhile()
        return super().import_status(credentials, request_id)

    def list_page(
        self, credentials: Credentials, folder: str, kind: Kind, skip: int
    ) -> Page | Answer:
        assert (kind, skip) == (Kind.JOURNAL, 0)
        self.listed.append((credentials.api_key, folder))
        ids = self.journals.get(folder, ())
        if isinstance(ids, Answer):
            return ids
        records = (Record("ACH", "", closed=False, object_id=id_, revision_id=None, whole={})
                   for id_ in ids)  # fmt: skip
        return Page(tuple(records), len(ids))


@pytest.fixture
def loop() -> KeyedLoop:
    return KeyedLoop()


@pytest.fixture
def shop(engine: Engine, loop: KeyedLoop) -> Workshop:
    made = Workshop(engine, loop)
    made.add_firm(FIRM, *BOTH)
    return made


@pytest.fixture
def connecting(shop: Workshop) -> Connecting:
    return connecting_of(shop)


def connecting_of(
    shop: Workshop, lease_seconds: float = 60.0, vault: Vault | None = None
) -> Connecting:
    return Connecting(
        shop.engine, shop.loop, vault or shop.vault, shop.turns, lease_seconds, lambda: 0.5
    )


def stored(shop: Workshop, code: str = FIRM) -> list[str]:
    row = shop.row(
        "SELECT api_key, api_secret, subscription_key FROM firms WHERE code = :code", code=code
    )
    return [shop.vault.open(sealed) for sealed in row.values()]


def know_journal(shop: Workshop, folder: str = "A", object_id: str = "j1", **gone: str) -> None:
    shop.execute(
        "INSERT INTO referential_records (firm_id, folder_id, kind, code, label, object_id, record,"
        " gone_at) SELECT firm_id, id, 'journal', :object_id, '', :object_id, '{}', "
        "CAST(:gone AS timestamptz) FROM folders WHERE code = :folder",
        folder=folder,
        object_id=object_id,
        gone=gone.get("gone"),
    )


OLD_KEYS = [f"key-{FIRM}", "secret", "subscription"]
NEW_KEYS = ["new-key-HUSH", "new-secret-HUSH", "new-subscription-HUSH"]


def test_keys_that_pass_heal_what_waited_for_them(shop: Workshop, connecting: Connecting) -> None:
    shop.submit(purchase(1, folder="A"), purchase(2, folder="B"))
    shop.hold(Reason.CREDENTIALS_REFUSED, "A")
    assert shop.states() == {"parked": 2}
    # A firm on pause is asked all the same: a person asked.
    shop.execute("UPDATE firms SET paused_until = now() + interval '1 h'")
    checked = connecting.check(FIRM)
    assert (checked.ok, checked.message) == (True, "Loop takes the keys.")
    assert list(checked.folders) == [shop.folder_id("A"), shop.folder_id("B")]
    assert shop.states() == {"received": 2}
    assert shop.cases() == [("firm", "credentials_refused", "healed")]
    assert connecting.check(FIRM) == Checked(
        ok=True, refused=False, message=checked.message, folders=[]
    )


@pytest.mark.parametrize(
    ("said", "refused"), [(KEYS_REFUSED, True), (AGAIN, False), (THROTTLED, False)]
)
def test_keys_that_do_not_pass_heal_nothing(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting, said: Answer, *, refused: bool
) -> None:
    shop.hold(Reason.CREDENTIALS_REFUSED, "A")
    loop.keys = said
    checked = connecting.check(FIRM)
    assert (checked.ok, checked.refused, list(checked.folders)) == (False, refused, [])
    assert shop.cases() == [("firm", "credentials_refused", "open")]
    # What Loop asked for is waited by everybody.
    paused = shop.row("SELECT paused_until > now() + interval '50 s' AS paused FROM firms")
    assert bool(paused["paused"]) is (said is THROTTLED)


def test_a_firm_is_asked_about_in_its_turn(shop: Workshop, connecting: Connecting) -> None:
    shop.execute("UPDATE firms SET next_turn_at = now() + interval '1 h'")
    for act in (lambda: connecting.check(FIRM), lambda: connecting.rotate(FIRM, NEW, "me")):
        with pytest.raises(ConnectingError, match="turn"):
            act()
    assert stored(shop) == OLD_KEYS


def test_a_firm_that_is_not_there_is_told(shop: Workshop, connecting: Connecting) -> None:
    shop.submit(purchase(1, firm="UNKNOWN"))
    for code in ("UNKNOWN", "nobody"):
        for act in (lambda: connecting.check(code), lambda: connecting.rotate(code, NEW, "me")):  # noqa: B023 called at once
            with pytest.raises(ConnectingError, match=f"firm add {code}"):
                act()


def test_what_cannot_be_decrypted_names_the_firm_and_may_be_replaced(shop: Workshop) -> None:
    other = Vault([Fernet.generate_key().decode()])
    connecting = connecting_of(shop, vault=other)
    for act in (
        lambda: connecting.check(FIRM),
        lambda: connecting.rotate(FIRM, KeyChange("k", "s"), "me"),
    ):
        with pytest.raises(VaultError, match=f"Firm {FIRM}: .*PASSERELLE_SECRET_KEYS"):
            act()
    connecting.rotate(FIRM, NEW, "me")
    assert connecting.check(FIRM).ok


@pytest.mark.parametrize(
    ("change", "becomes"),
    [
        (NEW, NEW_KEYS),
        (KeyChange(subscription_key=" sub\n"), [*OLD_KEYS[:2], "sub"]),
        (KeyChange(api_secret="'s'"), [OLD_KEYS[0], "s", OLD_KEYS[2]]),
        (KeyChange("key:s", "s"), ["key", "s", OLD_KEYS[2]]),
        (KeyChange(), OLD_KEYS),
    ],
)
def test_what_is_not_given_stays(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting, change: KeyChange, becomes: list[str]
) -> None:
    shop.hold(Reason.CREDENTIALS_REFUSED, "A")
    connecting.rotate(FIRM, change, "me")
    assert stored(shop) == becomes
    assert loop.tried == [Credentials(*becomes)]
    assert shop.cases() == [("firm", "credentials_refused", "healed")]
    [row] = shop.rows("SELECT api_key_hash FROM firms")
    assert row["api_key_hash"] == shop.vault.hashes(becomes[0])[0]


def test_keys_that_do_not_pass_replace_nothing(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    loop.keys = KEYS_REFUSED
    for why in (None, "moved"):
        with pytest.raises(ConnectingError, match=r"API key.*Nothing was saved"):
            connecting.rotate(FIRM, NEW, "me", why)
    with pytest.raises(RegistrationError, match="empty"):
        connecting.rotate(FIRM, KeyChange(api_secret=" "), "me")
    assert stored(shop) == OLD_KEYS


def test_another_firms_key_is_refused_before_it_is_tried(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    shop.add_firm("OTHER", "C")
    with pytest.raises(ConnectingError, match="firm OTHER's"):
        connecting.rotate(FIRM, KeyChange("key-OTHER", "s"), "me")
    assert loop.tried == []
    # Given to another firm while it was tried.
    loop.meanwhile = lambda: shop.registration.add_firm("THIRD", FirmKeys("new-key-HUSH", "s", "k"))
    with pytest.raises(ConnectingError, match="firm THIRD's"):
        connecting.rotate(FIRM, NEW, "me")
    assert stored(shop) == OLD_KEYS


def test_of_two_rotations_at_once_one_is_refused(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    def other() -> None:
        loop.meanwhile = lambda: None
        connecting.rotate(FIRM, KeyChange(api_secret="theirs"), "they")

    loop.meanwhile = other
    with pytest.raises(ConnectingError, match="Somebody else"):
        connecting.rotate(FIRM, KeyChange(subscription_key="ours"), "me")
    assert stored(shop) == [OLD_KEYS[0], "theirs", OLD_KEYS[2]]


def test_a_key_given_to_two_firms_at_once_is_one_firms(
    shop: Workshop, connecting: Connecting
) -> None:
    shop.add_firm("OTHER", "C")
    with shop.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE firms SET api_key_hash = %s WHERE code = 'OTHER'",
            (shop.vault.hashes("new-key-HUSH")[0],),
        )
        rotating = background(lambda: connecting.rotate(FIRM, NEW, "me"))
        shop.wait_for_lock()
    with pytest.raises(ConnectingError, match="another firm"):
        rotating.result(30)
    assert stored(shop) == OLD_KEYS


# The same Loop domain: a folder that shows a journal as it is stored.


def test_one_folder_that_shows_a_known_journal_is_enough(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    know_journal(shop, "A", "a1")
    know_journal(shop, "B", "b1")
    know_journal(shop, "B", "b2")
    shop.hold(Reason.ACCESS_DENIED, "A")
    loop.journals = {"A": ACCESS_DENIED, "B": ["new", "b2"]}
    connecting.rotate(FIRM, NEW, "me")
    # By the new key; folders on hold last.
    assert loop.listed == [("new-key-HUSH", "B")]
    assert stored(shop) == NEW_KEYS


@pytest.mark.parametrize(
    "shown",
    [
        {"A": ["other"], "B": ["other"]},
        {"A": ACCESS_DENIED},
        {"A": [], "B": ["a1"]},
        {"A": Answer(Sort.UNKNOWN, "HTTP 404", 404)},
    ],
    ids=["others", "no access", "of another folder", "not found"],
)
def test_keys_of_another_domain_are_refused(
    shop: Workshop,
    loop: KeyedLoop,
    connecting: Connecting,
    shown: dict[str, Sequence[str] | Answer],
) -> None:
    know_journal(shop, "A", "a1")
    loop.journals = shown
    with pytest.raises(ConnectingError, match="--other-domain"):
        connecting.rotate(FIRM, NEW, "me")
    assert stored(shop) == OLD_KEYS


@pytest.mark.parametrize("said", [AGAIN, THROTTLED, UNKNOWN])
def test_where_loop_does_not_say_it_is_no_other_domain(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting, said: Answer
) -> None:
    know_journal(shop)
    loop.journals = {"A": said}
    with pytest.raises(ConnectingError, match="could not be seen"):
        connecting.rotate(FIRM, NEW, "me")
    assert stored(shop) == OLD_KEYS


def test_what_is_gone_is_not_looked_for(shop: Workshop, connecting: Connecting) -> None:
    know_journal(shop, gone="2026-01-01T00:00:00Z")
    connecting.rotate(FIRM, NEW, "me")
    assert stored(shop) == NEW_KEYS


# Another Loop domain.


def send_three(shop: Workshop, loop: KeyedLoop) -> None:
    """1 is uncertain, 2 is posted, 3 has not been sent; 9 is another firm's."""
    shop.add_firm("OTHER", "C")
    loop.answers = [UNKNOWN, accepted()]
    shop.submit(purchase(1, folder="A"))
    shop.deliver("A")
    shop.time_passes()
    shop.submit(purchase(2, folder="B"), purchase(9, firm="OTHER", folder="C"))
    shop.deliver("B")
    shop.deliver("C")
    shop.submit(purchase(3, folder="A"))
    assert [shop.state(number) for number in (1, 2, 3, 9)] == [
        *("uncertain", "posted", "received", "posted")
    ]


def test_what_was_sent_to_another_domain_is_left_to_a_person(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    send_three(shop, loop)
    know_journal(shop)
    shop.execute("UPDATE folders SET refreshed_at = now(), refresh_at = now()")
    shop.execute("UPDATE entries SET read_again_at = now() WHERE state = 'posted'")
    connecting.rotate(FIRM, NEW, "Anne", "We moved.")
    assert stored(shop) == NEW_KEYS
    assert [shop.state(number) for number in (1, 2, 3, 9)] == [
        *("parked", "parked", "received", "posted")
    ]
    assert shop.cases() == [("entry", "undecided", "open")] * 2
    entry = shop.entry(2)
    assert entry["read_again_at"] is None
    assert all(words in entry["message"] for words in ("Anne", "We moved."))
    [told] = shop.rows(
        "SELECT message FROM transitions WHERE entry = :id AND to_state = 'parked'", id=entry["id"]
    )
    assert told["message"] == entry["message"]
    assert shop.attempts() == [None] * 3
    assert shop.rows("SELECT * FROM referential_records") == []
    [polled] = shop.rows("SELECT firm_id FROM imports WHERE poll_at IS NOT NULL")
    assert polled == shop.row("SELECT id AS firm_id FROM firms WHERE code = 'OTHER'")
    assert {
        (row["code"], row["known"])
        for row in shop.rows("SELECT code, refreshed_at IS NOT NULL AS known FROM folders")
    } == {("A", False), ("B", False), ("C", True)}
    assert shop.rows("SELECT code FROM firms WHERE paused_until IS NOT NULL") == []


def test_what_is_left_is_settled_and_not_sent_before(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    send_three(shop, loop)
    connecting.rotate(FIRM, NEW, "me", "We moved.")
    before = len(loop.bodies)
    shop.time_passes()
    shop.follow_up()
    shop.ask_for_hours()
    shop.deliver_all()
    assert [shop.state(number) for number in (1, 2, 3)] == ["parked", "parked", "posted"]
    assert len(loop.bodies) == before + 1
    shop.settling.settle(shop.entry(1)["id"], in_loop=True, who="me", why="seen")
    shop.settling.settle(shop.entry(2)["id"], in_loop=False, who="me", why="not seen")
    assert [shop.state(number) for number in (1, 2)] == ["synced", "received"]
    assert shop.cases() == [("entry", "undecided", "released")] * 2
    shop.deliver_all()
    assert shop.state(2) == "posted"


def test_what_is_being_sent_is_heard_out_first(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    shop.submit(purchase(1, folder="A"))
    rotations = []

    def rotate() -> None:
        rotations.append(background(lambda: connecting.rotate(FIRM, NEW, "me", "We moved.")))
        until(lambda: shop.rows("SELECT 1 FROM firms WHERE paused_until > now()"), bool)
        # It waits for the answer: nothing is replaced while the POST is out.
        assert stored(shop) == OLD_KEYS

    loop.during = rotate
    shop.deliver("A")
    rotations[0].result(30)
    assert shop.state(1) == "parked"
    assert shop.row("SELECT request_id FROM imports")["request_id"] is not None
    assert stored(shop) == NEW_KEYS


@pytest.mark.parametrize("step", ["claim", "mark"])
def test_a_delivery_that_died_is_not_waited_for_longer_than_its_lease(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting, step: str
) -> None:
    shop.submit(purchase(1, folder="A"))
    shop.dies_at(step, "A")
    with pytest.raises(ConnectingError, match="still being sent"):
        connecting_of(shop, lease_seconds=0.1).rotate(FIRM, NEW, "me", "We moved.")
    assert stored(shop) == OLD_KEYS
    assert shop.rows("SELECT 1 FROM firms WHERE paused_until IS NOT NULL") == []
    shop.leases_run_out()
    connecting.rotate(FIRM, NEW, "me", "We moved.")
    shop.sweep()
    assert stored(shop) == NEW_KEYS
    assert shop.state(1) == {"claim": "waiting", "mark": "parked"}[step]


def test_a_delivery_that_has_read_the_old_keys_sends_nothing_by_them(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    shop.submit(purchase(1, folder="A"))

    class Rotating(Stop):
        """What a delivery waits for its turn by."""

        def wait(self, timeout: float | None = None) -> bool:
            if acts:
                acts.pop()()
            return super().wait(timeout)

    acts = [lambda: connecting.rotate(FIRM, NEW, "me", "We moved.")]
    other = Workshop(shop.engine, loop, stop=Rotating())
    assert other.another_delivery().deliver(shop.folder_id("A")) is None
    assert stored(shop) == NEW_KEYS
    assert loop.bodies == []
    assert shop.state(1) == "received"


def test_a_rotation_that_is_cut_off_leaves_everything_as_it_was(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    send_three(shop, loop)

    def interrupt() -> None:
        raise KeyboardInterrupt

    loop.meanwhile = interrupt
    for why in (None, "We moved."):
        with pytest.raises(KeyboardInterrupt):
            connecting.rotate(FIRM, NEW, "me", why)
    assert stored(shop) == OLD_KEYS
    assert shop.state(1) == "uncertain"


def test_an_answer_that_comes_after_all_is_not_lost(
    shop: Workshop, loop: KeyedLoop, connecting: Connecting
) -> None:
    """A poll by the old keys that was under way."""
    send_three(shop, loop)
    loop.statuses = [Status(3, "")]
    asked = shop.row("SELECT import_id FROM attempts WHERE entry = :id", id=shop.entry(2)["id"])

    def rotate() -> None:
        loop.meanwhile = lambda: None
        connecting.rotate(FIRM, NEW, "me", "We moved.")

    loop.meanwhile = rotate
    shop.execute("UPDATE imports SET poll_at = now() WHERE poll_at IS NOT NULL")
    shop.followup.follow_up([asked["import_id"]])
    assert shop.state(2) == "synced"


# Secret keys.


def test_secrets_are_sealed_anew_and_one_that_cannot_be_harms_no_other(shop: Workshop) -> None:
    shop.add_firm("OTHER", "C")
    shop.add_firm("LOST", "D")
    shop.execute("UPDATE firms SET api_secret = 'x' WHERE code = 'LOST'")
    shop.submit(purchase(1, firm="UNREGISTERED"))
    newest = Fernet.generate_key().decode()
    both = Vault([newest, SECRET_KEY])
    for _ in range(2):
        done = Registration(shop.engine, both).reseal()
        assert (done.count, done.unreadable, done.doubled) == (2, ["LOST"], [])
    alone = Vault([newest])
    for code in (FIRM, "OTHER"):
        row = shop.row("SELECT * FROM firms WHERE code = :code", code=code)
        assert [alone.open(row[name]) for name in ("api_key", "api_secret")] == [
            *(f"key-{code}", "secret")
        ]
        assert row["api_key_hash"] == alone.hashes(f"key-{code}")[0]
    # The old key is not needed any more to find whose an API key is.
    with pytest.raises(RegistrationError, match="firm OTHER's"):
        Registration(shop.engine, alone).add_firm("NEW", FirmKeys("key-OTHER", "s", "k"))


def test_an_api_key_that_two_firms_have_by_different_secret_keys_is_told(shop: Workshop) -> None:
    newest = Fernet.generate_key().decode()
    Registration(shop.engine, Vault([newest])).add_firm("TWIN", FirmKeys(f"key-{FIRM}", "s", "k"))
    done = Registration(shop.engine, Vault([newest, SECRET_KEY])).reseal()
    assert (done.count, done.unreadable, done.doubled) == (1, [], [FIRM])


def test_a_rotation_waits_for_the_secrets_to_be_sealed(
    shop: Workshop, connecting: Connecting
) -> None:
    with shop.engine.begin() as connection:
        connection.exec_driver_sql("SELECT 1 FROM firms FOR UPDATE")
        rotating = background(lambda: connecting.rotate(FIRM, NEW, "me"))
        shop.wait_for_lock()
        connection.exec_driver_sql("UPDATE firms SET api_secret = %s", (shop.vault.seal("secret"),))
    with pytest.raises(ConnectingError, match="Somebody else"):
        rotating.result(30)


def test_nothing_shows_a_key(connecting: Connecting) -> None:
    assert "HUSH" not in repr(NEW)
