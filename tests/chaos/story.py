"""What became of one entry, from the tables, for whoever has to find out why."""

from support.stack import Stack

_STATEMENTS = {
    "entry": "SELECT e.* FROM entries e WHERE e.entry_id = :id",
    "transition": (
        "SELECT t.at, t.from_state, t.to_state, t.reason, t.message, t.import_id "
        "FROM transitions t JOIN entries e ON e.id = t.entry WHERE e.entry_id = :id ORDER BY t.id"
    ),
    "attempt": (
        "SELECT i.sent_at, i.answered_at, i.answer, i.http_status, i.request_id, i.status, i.polls,"
        " i.ended_at, i.settled_seconds, i.message, a.import_id, a.absent_at, a.closed_at, "
        "a.closed_as, (SELECT count(*) FROM attempts b WHERE b.import_id = i.id) AS together "
        "FROM attempts a JOIN entries e ON e.id = a.entry JOIN imports i ON i.id = a.import_id "
        "WHERE e.entry_id = :id ORDER BY a.id"
    ),
    "question": (
        "SELECT q.* FROM questions q JOIN entries e ON e.id = q.entry "
        "WHERE e.entry_id = :id ORDER BY q.id"
    ),
    "case": (
        "SELECT c.* FROM cases c JOIN entries e ON e.folder_id = c.folder_id OR "
        "(e.firm_id = c.firm_id AND c.folder_id IS NULL) WHERE e.entry_id = :id ORDER BY c.id"
    ),
}


def story_of(stack: Stack, entry_id: str) -> str:
    return "\n".join(
        f"    {name} "
        + ", ".join(f"{key} {value}" for key, value in row.items() if value is not None)
        for name, statement in _STATEMENTS.items()
        for row in stack.rows(statement, id=entry_id)
    )
