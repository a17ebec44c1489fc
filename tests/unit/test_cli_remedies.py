"""Promise: whoever reads a case also reads what to do."""

import re

from config.settings import read_table
from passerelle.domain.states import Reason


def test_every_reason_has_a_remedy_in_both_languages_and_no_other_has() -> None:
    remedies = read_table("remedies")
    assert set(remedies) == set(Reason)
    for remedy in remedies.values():
        assert set(remedy) == {"en", "fr"}
        assert all(re.fullmatch(r"[^\n]{30,300}\.", text) for text in remedy.values())


def test_a_remedy_names_the_same_commands_in_both_languages() -> None:
    for remedy in read_table("remedies").values():
        english, french = (re.findall(r"`[^`]*`", remedy[language]) for language in ("en", "fr"))
        assert english == french
