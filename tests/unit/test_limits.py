import tomllib
from importlib import resources

from passerelle.domain.limits import Limits


def test_the_table_gives_every_field_length_the_limits_ask_for() -> None:
    table = tomllib.loads(resources.files("config").joinpath("limits.toml").read_text("utf-8"))
    assert Limits(**table["fields"], batch_lines=500, batch_bytes=1_000_000) == Limits(
        description=35,
        auxiliary_code=17,
        reference=35,
        batch_lines=500,
        batch_bytes=1_000_000,
    )
