"""The wheel, installed where nothing else of ours is."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from passerelle.store.engine import make_engine
from passerelle.store.schema import revisions
from support.servers import Servers
from support.simulator import ROOT

# Each of these would make the wheel again, and it takes seconds.
pytestmark = pytest.mark.xdist_group("wheel")

ROOMS = ("config", "migrations", "passerelle", "schemas", "simulator", "tasks", "workers")


@dataclass(frozen=True, slots=True)
class Installed:
    """`wheel` is installed in the virtual environment `home`; programs run in `scratch`."""

    wheel: Path
    home: Path
    scratch: Path

    def run(self, program: str, *arguments: str, **env: str) -> str:
        """What the program prints; nothing of the caller's environment leads it elsewhere."""
        done = subprocess.run(
            [self.home / "bin" / program, *arguments],
            capture_output=True,
            text=True,
            cwd=self.scratch,
            env={"PATH": os.defpath, "HOME": str(self.scratch), **env},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, program: str, **env: str) -> str:
        return self.run("python", "-c", program, **env)

    def files(self) -> Iterator[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            yield from archive.namelist()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*build, "--directory", str(folder)], cwd=ROOT, capture_output=True, check=True)
    [wheel] = folder.glob("*.whl")
    home = folder / "home"
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    # What we need is not downloaded again. Its own .pth files are not followed from here, so that
    # the work tree, installed in it for editing, stays out of reach.
    (packages / "ours.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(home), "install", "--no-deps"]
    subprocess.run(
        [*pip, "--no-index", "--ignore-installed", "--disable-pip-version-check", str(wheel)],
        capture_output=True,
        check=True,
    )
    scratch = folder / "scratch"
    scratch.mkdir()
    return Installed(wheel, home, scratch)


def test_it_holds_every_file_of_our_packages(installed: Installed) -> None:
    in_tree = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in installed.files() if ".dist-info/" not in name} == in_tree
    assert {"schemas/entry-validated.v1.schema.json", "config/limits.toml"} <= in_tree


def test_it_cannot_be_uploaded_by_mistake(installed: Installed) -> None:
    [path] = [name for name in installed.files() if name.endswith(".dist-info/METADATA")]
    with zipfile.ZipFile(installed.wheel) as archive:
        assert "Classifier: Private :: Do Not Upload" in archive.read(path).decode()


def test_every_module_can_be_imported_and_is_the_installed_one(installed: Installed) -> None:
    modules = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in installed.files()
        # Alembic imports its own files, and only within a migration.
        if name.endswith(".py") and not name.startswith(("migrations/env", "migrations/versions"))
    ]
    program = (
        "import importlib, json\n"
        f"files = [importlib.import_module(name).__file__ for name in {modules!r}]\n"
        "print(json.dumps(files))"
    )
    printed = installed.python(program, PASSERELLE_BROKER_URL="redis://127.0.0.1:1/0")
    found = [Path(file) for file in json.loads(printed)]
    assert len(found) == len(modules)
    assert [file for file in found if not file.is_relative_to(installed.home)] == []


def test_the_command_line_starts(installed: Installed) -> None:
    assert "Usage: passerelle" in installed.run("passerelle", "--help")


def test_celery_finds_the_app_with_its_tasks(installed: Installed) -> None:
    program = (
        "from celery.app.utils import find_app\n"
        "app = find_app('workers.main')\n"
        "print(*sorted(app.tasks), *app.conf.beat_schedule)"
    )
    printed = installed.python(program, PASSERELLE_BROKER_URL="redis://127.0.0.1:1/0").split()
    assert {"entries.submit", "entries.submit_many", "upkeep.sweep"} <= {*printed}


def test_its_migrations_bring_an_empty_database_up(installed: Installed, servers: Servers) -> None:
    with servers.database() as url:
        installed.run("passerelle", "db", "upgrade", PASSERELLE_DATABASE_URL=url)
        engine = make_engine(url)
        current, needed = revisions(engine)
        engine.dispose()
    assert current == needed is not None


def test_no_other_distribution_provides_our_names(installed: Installed) -> None:
    program = (
        "import json\n"
        "from importlib.metadata import packages_distributions\n"
        "found = packages_distributions()\n"
        f"print(json.dumps({{name: found[name] for name in {ROOMS!r}}}))"
    )
    found = {name: set(owners) for name, owners in json.loads(installed.python(program)).items()}
    assert found == {room: {"passerelle"} for room in ROOMS}
