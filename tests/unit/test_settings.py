"""Settings: read once, every fault told together, no secret repeated."""

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from config.settings import SETTINGS, SettingsError, is_loopback, read_env_file, read_settings

KEY = Fernet.generate_key().decode()


def faults(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read_settings({f"PASSERELLE_{name}": value for name, value in environ.items()})
    return caught.value.faults


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No `env` file of a running product lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_empty_environment_gives_the_contracts_defaults() -> None:
    settings = read_settings({})
    assert settings.loop_url == "https://api.cegid.com/loop-api-publiques"
    assert (settings.broker_url, settings.database_url, settings.secret_keys) == (None,) * 3
    assert (settings.send_seconds, settings.gateway_seconds) == (20, 300)
    assert (settings.settle_seconds, settings.read_gap_seconds) == (3600, 60)
    assert (settings.readback, settings.import_atomic) == ("origin", False)
    assert (settings.verify, settings.max_attempts) == (20, 8)
    assert (settings.pace_start, settings.pace_max) == (10, 50)
    assert (settings.batch_lines, settings.batch_bytes) == (500, 1_000_000)
    assert (settings.gather_seconds, settings.keep_days) == (3, None)
    assert settings.data_dir == Path(".passerelle")


def test_all_faults_are_told_together() -> None:
    found = faults(
        BROKER_URL="http://x",
        DATABASE_URL="mysql://x",
        SECRET_KEYS="short",
        READBACK="both",
        VERIFY="-1",
        PACE_START="fast",
        IMPORT_ATOMIC="maybe",
        BATCH_LINEZ="7",
    )
    assert len(found) == 8
    names = ("BROKER_URL", "DATABASE_URL", "SECRET_KEYS", "READBACK", "VERIFY", "PACE_START")
    assert all(any(name in fault for fault in found) for name in names)


@pytest.mark.parametrize(
    "variable", ["BROKER_URL", "DATABASE_URL", "SECRET_KEYS", "LOOP_URL", "READBACK"]
)
def test_a_wrong_value_is_never_repeated(variable: str) -> None:
    assert not any("hunter2" in fault for fault in faults(**{variable: "hunter2"}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("SEND_SECONDS", ["0", "121", "nan", "inf", "", "x", "1e9"]),
        ("VERIFY", ["-1", "1.5", "", "²", "x"]),
        ("BATCH_LINES", ["1", "0"]),
        ("KEEP_DAYS", ["0", "29", "36501", "-30", "400.5", "never"]),
        ("IMPORT_ATOMIC", ["", "yes", "2"]),
        ("READBACK", ["", "Origin"]),
        (
            "LOOP_URL",
            ["", "x", "ftp://x", "https://", "https://u:p@x", "https://x?y", "https://x#y"],
        ),
        ("SECRET_KEYS", ["", ",", "x", f"{KEY},x"]),
        ("DATABASE_URL", ["", "sqlite:///x", "postgres:x"]),
        ("BROKER_URL", ["", "x", "memory://"]),
    ],
)
def test_a_value_that_cannot_be_is_refused(name: str, values: list[str]) -> None:
    for value in values:
        assert any(f"PASSERELLE_{name}" in fault for fault in faults(**{name: value})), value


@pytest.mark.parametrize("url", ["http://127.0.0.1:8", "http://[::1]:8", "http://localhost/x"])
def test_loopback_may_be_reached_without_tls(url: str) -> None:
    assert read_settings({"PASSERELLE_LOOP_URL": f"{url}/"}).loop_url == url


def test_another_host_only_where_it_is_named() -> None:
    assert "without TLS" in faults(LOOP_URL="http://loop.example")[0]
    named = {"PASSERELLE_PLAIN_HTTP_HOSTS": "Other, LOOP.example"}
    settings = read_settings({"PASSERELLE_LOOP_URL": "http://loop.example"} | named)
    assert settings.loop_url == "http://loop.example"


@pytest.mark.parametrize("host", ["127.0.0.1.example.com", "1270.0.0.1", "localhost.example", ""])
def test_a_name_that_looks_like_loopback_is_none(host: str) -> None:
    assert not is_loopback(host)


def test_an_unknown_variable_is_an_error_with_the_nearest_name() -> None:
    assert faults(SEND_SECOND="5") == [
        "PASSERELLE_SEND_SECOND is no setting of passerelle; did you mean PASSERELLE_SEND_SECONDS?"
    ]


def test_while_rolling_out_it_is_a_warning() -> None:
    settings = read_settings({"PASSERELLE_ROLLING": "1", "PASSERELLE_NEWER": "5"})
    assert len(settings.warnings) == 1
    assert read_settings({"PATH": "/bin", "PASSERELLES": "x"}).warnings == ()


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"{KEY}\n")
    settings = read_settings({"PASSERELLE_SECRET_KEYS_FILE": str(path)})
    assert settings.secret_keys == (KEY,)
    assert "both set" in faults(SECRET_KEYS=KEY, SECRET_KEYS_FILE=str(path))[0]
    assert "cannot be read" in faults(SECRET_KEYS_FILE=str(tmp_path / "none"))[0]


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("SEND_SECONDS", "CALL_SECONDS"),
        ("CALL_SECONDS", "LEASE_SECONDS"),
        ("LEASE_SECONDS", "VISIBILITY_SECONDS"),
    ],
)
def test_what_guards_is_longer_than_what_it_guards(shorter: str, longer: str) -> None:
    seconds = {
        "SEND_SECONDS": 10,
        "CALL_SECONDS": 20,
        "LEASE_SECONDS": 30,
        "VISIBILITY_SECONDS": 40,
    }
    environ = {name: str(value) for name, value in seconds.items()}
    read_settings({f"PASSERELLE_{name}": value for name, value in environ.items()})
    found = faults(**(environ | {shorter: environ[longer]}))
    assert any(shorter in fault and longer in fault for fault in found)


@pytest.mark.parametrize("url", ["redis://h", "sentinel://h;sentinel://i"])
def test_quorum_queues_are_rabbitmqs(url: str) -> None:
    told = "PASSERELLE_QUORUM_QUEUES goes with an amqp:// URL only."
    assert told in faults(BROKER_URL=url, QUORUM_QUEUES="true")


def test_the_pace_starts_below_its_limit() -> None:
    assert faults(PACE_START="60", PACE_MAX="50")


def test_what_up_wrote_fills_what_is_not_set(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(
        "# made by up\n\nPASSERELLE_BROKER_URL=redis://127.0.0.1:1\nPASSERELLE_SECRET_KEYS="
        f"{KEY}\nPASSERELLE_PACE_START=5\nOTHER=1\n"
    )
    settings = read_settings({"PASSERELLE_DATA_DIR": str(tmp_path), "PASSERELLE_PACE_START": "7"})
    assert settings.broker_url == "redis://127.0.0.1:1"
    assert settings.secret_keys == (KEY,)
    assert settings.pace_start == 7


def test_a_value_in_the_file_may_hold_an_equals_sign(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("A=b=c=\n")
    assert read_env_file(path) == {"A": "b=c="}
    assert read_env_file(tmp_path / "none") == {}


def test_every_setting_has_a_help_and_a_default_that_can_be_read() -> None:
    for setting in SETTINGS:
        assert setting.help
        if setting.default is not None:
            setting.parse(setting.default)


@pytest.mark.parametrize("variable", ["PASSERELLE_BROKER_URL", "PASSERELLE_DATABASE_URL"])
@pytest.mark.parametrize("signs", ["gehe@im", "geheim#x", "geheim/x", "geheim?x", "gehe]im["])
def test_a_password_that_would_be_taken_for_another_part_is_refused(
    variable: str, signs: str
) -> None:
    """A library would take a part of it for the host, and show that in its errors."""
    scheme = "redis" if "BROKER" in variable else "postgresql"
    with pytest.raises(SettingsError, match="%40") as caught:
        read_settings({variable: f"{scheme}://u:{signs}@127.0.0.1:9/0"}, env_file=False)
    assert "geheim" not in str(caught.value)
    assert read_settings({variable: f"{scheme}://u:gehe%40im@127.0.0.1:9/0"}, env_file=False)
