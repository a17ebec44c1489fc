"""The tables. What a column means stands beside it; states and reasons come from the domain.

Every row of a firm's data carries `firm_id`, and composite foreign keys hold it to its parents,
so that no join can show one firm another's rows.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from passerelle.domain.states import FINAL, UNSETTLED, CaseState, Closing, Reason, Scope, State
from passerelle.domain.verdict import Strategy, Verdict
from passerelle.store.columns import id_, listed, metadata, one_of, since, time

firms = Table(
    "firms",
    metadata,
    id_(),
    Column("code", Text, nullable=False, unique=True),
    # Folded and trimmed: two registered firms may not differ by case or outer blanks (rule 21).
    Column("code_key", Text, nullable=False),
    # An event may name a firm before `firm add` does; such a row has no credentials.
    Column("registered_at", DateTime(timezone=True)),
    Column("api_key", LargeBinary),
    Column("api_secret", LargeBinary),
    Column("subscription_key", LargeBinary),
    # Keyed hash of the API key: one key belongs to one firm.
    Column("api_key_hash", LargeBinary, unique=True),
    # The connector's name in Loop, where it is not the usual one.
    Column("connector", Text),
    # With which messages to it are signed: one secret, or two while it is replaced.
    Column("webhook_secrets", LargeBinary),
    # The case that holds everything of the firm.
    Column("held_by", BigInteger),
    # Loop is not asked for this firm before this time; why, and how often in a row.
    time("paused_until"),
    Column("pause_reason", Text),
    Column("failures", Integer, nullable=False, server_default="0"),
    # Requests a second, and when the next request has its turn.
    Column("pace", Float),
    time("next_turn_at"),
    # The pace at which Loop throttled last.
    Column("throttled_pace", Float),
    since("created_at"),
    ForeignKeyConstraint(["id", "held_by"], ["cases.firm_id", "cases.id"], use_alter=True),
    CheckConstraint(
        "(registered_at IS NULL) = (api_key IS NULL) AND (registered_at IS NULL) = "
        "(api_secret IS NULL) AND (registered_at IS NULL) = (subscription_key IS NULL)",
        name="registered",
    ),
    Index("uq_firms_code_key_registered", "code_key", unique=True,
          postgresql_where=text("registered_at IS NOT NULL")),
)  # fmt: skip

folders = Table(
    "folders",
    metadata,
    id_(),
    Column("firm_id", BigInteger, ForeignKey("firms.id"), nullable=False),
    Column("code", Text, nullable=False),
    Column("code_key", Text, nullable=False),
    Column("name", Text),
    Column("open_from", Date),
    Column("open_to", Date),
    Column("create_accounts", Boolean, nullable=False, server_default="false"),
    # By command or because Loop knew it; none: Loop is asked before the first POST.
    time("registered_at"),
    # The case that holds everything of the folder.
    Column("held_by", BigInteger),
    # One delivery at a time (rule 6).
    Column("lease", Uuid),
    time("lease_until"),
    # After a request, entries gather until this time, unless a whole batch is due before; while
    # more keep coming, until the other.
    time("gather_until"),
    time("gather_limit"),
    # When upkeep last rang for it.
    time("rung_at"),
    # Reference data: when they were last read, and when that reading began which brought all of
    # them; when they are read next (none: at once); how often in a row that failed; who reads them,
    # until when; when upkeep last rang for that.
    time("refreshed_at"),
    time("refreshed_from"),
    time("refresh_at"),
    Column("refresh_failures", Integer, nullable=False, server_default="0"),
    Column("refresh_lease", Uuid),
    time("refresh_lease_until"),
    time("refresh_rung_at"),
    since("created_at"),
    UniqueConstraint("firm_id", "id"),
    UniqueConstraint("firm_id", "code"),
    ForeignKeyConstraint(
        ["firm_id", "held_by"], ["cases.firm_id", "cases.id"], use_alter=True
    ),
    Index("uq_folders_code_key_registered", "firm_id", "code_key", unique=True,
          postgresql_where=text("registered_at IS NOT NULL")),
)  # fmt: skip

cases = Table(
    "cases",
    metadata,
    id_(),
    Column("scope", Text, nullable=False),
    Column("firm_id", BigInteger, ForeignKey("firms.id"), nullable=False),
    Column("folder_id", BigInteger),
    Column("reason", Text, nullable=False),
    # What tells causes of one reason and scope apart: an auxiliary code, a normalised message.
    Column("cause", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=CaseState.OPEN),
    since("opened_at"),
    time("closed_at"),
    # Whether it is over (rule 18): how often Loop was asked, when last, when next (none: a minute
    # after it was opened); the one entry that was sent to see, while the hold lets it pass.
    Column("probes", Integer, nullable=False, server_default="0"),
    time("last_probe_at"),
    time("probe_at"),
    Column("probe_entry", BigInteger),
    # When upkeep last rang for that.
    time("rung_at"),
    # When people are told once more that it is open; none: they were.
    Column("remind_at", DateTime(timezone=True), server_default=text("now() + interval '1 day'")),
    UniqueConstraint("firm_id", "id"),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    ForeignKeyConstraint(["firm_id", "probe_entry"], ["entries.firm_id", "entries.id"],
                         use_alter=True),
    one_of("scope", Scope),
    one_of("state", CaseState),
    one_of("reason", Reason),
    CheckConstraint("(scope = 'firm') = (folder_id IS NULL)", name="folder"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    Index("uq_cases_open", "firm_id", "folder_id", "reason", "cause", unique=True,
          postgresql_where=text("state = 'open'"), postgresql_nulls_not_distinct=True),
    # The case that is opened again.
    Index("ix_cases_cause", "firm_id", "folder_id", "reason", "cause"),
    Index("ix_cases_remind_at", "remind_at", postgresql_where=text("state = 'open'")),
)  # fmt: skip

events = Table(
    "events",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("firm_id", BigInteger, nullable=False),
    Column("entry", BigInteger, nullable=False),
    since("received_at"),
    ForeignKeyConstraint(["firm_id", "entry"], ["entries.firm_id", "entries.id"]),
)

entries = Table(
    "entries",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    Column("folder_id", BigInteger, nullable=False),
    # The hub's id and revision.
    Column("entry_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("event_id", Uuid, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    # The event's `entry` as it came, and the fingerprint of its content without attachment.
    Column("entry", JSONB, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    Column("case_id", BigInteger),
    Column("cuts", JSONB, nullable=False, server_default="[]"),
    # Not claimed before this time. Of what is settled: since when it has been, or, where that is
    # needed still, so that its contents are looked at again in a day.
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # The database went back: it may have been sent by what was lost, and is asked for first.
    Column("doubted", Boolean, nullable=False, server_default="false"),
    # Who is delivering it, until when.
    Column("lease", Uuid),
    time("lease_until"),
    # A half of a refused import request: its entries are sent together, apart from others.
    Column("half", Uuid),
    # Runs that ended before the mark without a word.
    Column("crashes", Integer, nullable=False, server_default="0"),
    since("received_at"),
    time("synced_at"),
    # Since when it has been known to lack something that its folder may have by now.
    time("lacking_since"),
    # The case whose end let it go on last: until it is settled, that is not over.
    Column("freed_by", BigInteger),
    # When Loop is asked again about what it has: sent more than once (rule 5), or a sample that
    # shows whether status 3 is true (rule 14).
    time("read_again_at"),
    # Its contents are gone: `entry` and `cuts` are empty, `message` is none, and so are the texts
    # of other tables about it; of the lines that were sent remains the origin.
    time("erased_at"),
    UniqueConstraint("firm_id", "id"),
    UniqueConstraint("firm_id", "folder_id", "entry_id", "revision"),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    ForeignKeyConstraint(["firm_id", "case_id"], ["cases.firm_id", "cases.id"]),
    ForeignKeyConstraint(["firm_id", "freed_by"], ["cases.firm_id", "cases.id"]),
    one_of("state", State),
    one_of("reason", Reason),
    CheckConstraint("(state = 'parked') = (case_id IS NOT NULL)", name="parked_case"),
    CheckConstraint("(state = 'posting') = (lease IS NOT NULL AND lease_until IS NOT NULL)",
                    name="posting_lease"),
    CheckConstraint("state <> 'parked' OR reason IS NOT NULL", name="parked_reason"),
    CheckConstraint("(state = 'synced') = (synced_at IS NOT NULL)", name="synced"),
    # With what they are counted by: a backlog is told of without being read.
    Index("ix_entries_due", "folder_id", "due_at", "id",
          postgresql_include=["state", "reason", "received_at"],
          postgresql_where=text("state IN ('received', 'waiting')")),
    # When Loop is asked about what is uncertain.
    Index("ix_entries_uncertain", "firm_id", "due_at",
          postgresql_where=text("state = 'uncertain'")),
    Index("ix_entries_read_again_at", "firm_id", "read_again_at",
          postgresql_where=text("read_again_at IS NOT NULL")),
    Index("ix_entries_doubted", "folder_id", "id", postgresql_where=text("doubted")),
    Index("ix_entries_lease_until", "lease_until", postgresql_where=text("state = 'posting'")),
    Index("ix_entries_held", "case_id", "id", postgresql_where=text("case_id IS NOT NULL")),
    # What is settled is changed no more: it is written to this index once.
    Index("ix_entries_settled", "due_at", postgresql_where=text(
        f"state IN {listed(sorted(FINAL))} AND erased_at IS NULL")),
    # So that what is synced is counted without being read: it is all the rest.
    Index("ix_entries_dropped", "state", postgresql_where=text(
        "state IN ('discarded', 'superseded')")),
    # Why an entry is not in Loop; nearly all have no reason.
    Index("ix_entries_reason", "reason", "id", postgresql_where=text("reason IS NOT NULL")),
    Index("ix_entries_freed_by", "freed_by", postgresql_where=text(
        f"freed_by IS NOT NULL AND state IN {listed(sorted(UNSETTLED))}")),
)  # fmt: skip

transitions = Table(
    "transitions",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("from_state", Text),
    Column("to_state", Text, nullable=False),
    Column("reason", Text),
    Column("message", Text),
    # The import request that it came with, if any.
    Column("import_id", BigInteger),
    since("at"),
    ForeignKeyConstraint(["firm_id", "entry"], ["entries.firm_id", "entries.id"]),
    one_of("from_state", State),
    one_of("to_state", State),
    Index("ix_transitions_entry", "entry"),
)

imports = Table(
    "imports",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    Column("folder_id", BigInteger, nullable=False),
    # The mark: from here on it may have reached Loop.
    Column("sent_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    # Nobody knows of it: what was lost when the database went back may have sent these entries,
    # in requests of its own.
    Column("supposed", Boolean, nullable=False, server_default="false"),
    time("answered_at"),
    # How the answer was sorted, and what Loop said.
    Column("answer", Text),
    Column("http_status", Integer),
    Column("message", Text),
    Column("request_id", Text),
    # Following up: Loop's last status, when it is asked next, how often it was.
    Column("status", Integer),
    Column("polls", Integer, nullable=False, server_default="0"),
    time("poll_at"),
    # When upkeep last rang for that.
    time("rung_at"),
    time("ended_at"),
    # How long it has been possible to see that it had not landed, and until when that is counted:
    # absence is not believed before (rule 11).
    Column("settled_seconds", Float, nullable=False, server_default="0"),
    time("settled_at"),
    UniqueConstraint("firm_id", "id"),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    Index("ix_imports_poll_at", "firm_id", "poll_at", postgresql_where=text("poll_at IS NOT NULL")),
    # How long a firm's imports take, and which of them Loop has for sure.
    Index("ix_imports_done", "firm_id", "ended_at", postgresql_where=text("status = 3")),
    Index(
        "ix_imports_awaited", "folder_id", "sent_at", postgresql_where=text("poll_at IS NOT NULL")
    ),
    # Whether one is a folder's first, or the last is long ago.
    Index(
        "ix_imports_done_folder_at", "folder_id", "ended_at", postgresql_where=text("status = 3")
    ),
)

attempts = Table(
    "attempts",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    Column("folder_id", BigInteger, nullable=False),
    Column("entry", BigInteger, nullable=False),
    Column("entry_id", Text, nullable=False),
    Column("import_id", BigInteger, nullable=False),
    # The lines exactly as they were sent.
    Column("lines", JSONB, nullable=False),
    # Equal for twins: same folder, journal, piece, date and lines. How often such an entry was in
    # Loop before this one was sent, where that was asked (rule 13).
    Column("twin_key", LargeBinary),
    Column("count_before", Integer),
    # When it was first seen to be absent after settling, with a control beside it.
    time("absent_at"),
    time("closed_at"),
    # Whoever looks for what is open by its entry or its import asks for `closed_as IS NULL`. Asked
    # for `closed_at`, PostgreSQL may take the index of all that is open, dead rows and all.
    Column("closed_as", Text),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    ForeignKeyConstraint(["firm_id", "entry"], ["entries.firm_id", "entries.id"]),
    ForeignKeyConstraint(["firm_id", "import_id"], ["imports.firm_id", "imports.id"]),
    one_of("closed_as", Closing),
    CheckConstraint("(closed_at IS NULL) = (closed_as IS NULL)", name="closed"),
    # Rule 2: one open attempt per firm, folder and entry id, whatever the revision.
    Index("uq_attempts_open", "firm_id", "folder_id", "entry_id", unique=True,
          postgresql_where=text("closed_at IS NULL")),
    # Rule 13: without an origin, twins on their way at once could not be told apart.
    Index("uq_attempts_open_twin", "folder_id", "twin_key", unique=True,
          postgresql_where=text(
              "closed_at IS NULL AND ((lines -> 0) ->> 'ecritureOrigine') IS NULL")),
    Index("ix_attempts_twin_key", "folder_id", "twin_key"),
    Index("ix_attempts_entry", "entry"),
    Index("ix_attempts_import_id", "import_id"),
)  # fmt: skip

questions = Table(
    "questions",
    metadata,
    id_(),
    Column("firm_id", BigInteger, nullable=False),
    Column("entry", BigInteger, nullable=False),
    # The import request whose attempt is in question.
    Column("import_id", BigInteger, nullable=False),
    since("asked_at"),
    # How it was looked for.
    Column("strategy", Text),
    # How many lines Loop showed, and what they say; none where it did not answer.
    Column("rows_found", Integer),
    Column("verdict", Text),
    # What Loop or we said of it.
    Column("message", Text),
    ForeignKeyConstraint(["firm_id", "entry"], ["entries.firm_id", "entries.id"]),
    ForeignKeyConstraint(["firm_id", "import_id"], ["imports.firm_id", "imports.id"]),
    one_of("strategy", Strategy),
    one_of("verdict", Verdict),
    Index("ix_questions_entry", "entry"),
)

auxiliary_codes = Table(
    "auxiliary_codes",
    metadata,
    Column("firm_id", BigInteger, primary_key=True),
    Column("folder_id", BigInteger, primary_key=True),
    # The normalised code, whole, and what goes to Loop for it. What holds line feeds is no code:
    # the row keeps taken what entries of a code were sent under that goes by another now.
    Column("code", Text, primary_key=True),
    Column("loop_code", Text, nullable=False),
    since("since"),
    ForeignKeyConstraint(["firm_id", "folder_id"], ["folders.firm_id", "folders.id"]),
    # Two codes that become equal by the cut are not merged: the second finds this taken.
    UniqueConstraint("firm_id", "folder_id", "loop_code"),
)
