"""The image without an engine: the steps of the Dockerfile, done in a folder."""

import os
import re
import shutil
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path

from support.simulator import ROOT

Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """Each with its arguments, in order; continued lines are one."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


@dataclass(frozen=True, slots=True)
class Image:
    """`root` stands for the image's own `/`."""

    root: Path

    @property
    def bin(self) -> Path:
        """What the image puts first in PATH."""
        [path] = [rest for word, rest in instructions() if word == "ENV" and "PATH=" in rest]
        return Path(self.inside(re.findall(r"PATH=([^: ]+)", path)[0]))

    def inside(self, text: str) -> str:
        """The same with the image's folders where they are here."""
        return re.sub(r"(?<![\w./])/(?=(opt|src|wheel)\b)", f"{self.root}/", text)


def build(root: Path) -> Image:
    """Do what `docker build` would, in an empty virtual environment instead of the base image.

    Users and folders of the last stage are left out: making them is the system's, and root's.
    """
    image = Image(root)
    base = root / "base"
    venv.create(base, with_pip=True)
    folder, environment = root, {**os.environ, "PATH": f"{base / 'bin'}:/usr/bin:/bin"}
    for word, rest in _build_stage():
        match word:
            case "WORKDIR":
                folder = Path(image.inside(rest))
                folder.mkdir()
            case "ENV":
                environment |= dict(pair.split("=", 1) for pair in rest.split())
            case "COPY":
                *sources, _ = rest.split()
                _copy(sources, folder)
            case "RUN":
                done = subprocess.run(
                    ["/bin/sh", "-euc", image.inside(rest)], cwd=folder, env=environment,
                    capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert done.returncode == 0, f"{rest}: {done.stderr}"
    return image


def _build_stage() -> list[Instruction]:
    everything = instructions()
    [start] = [at for at, (word, rest) in enumerate(everything) if rest == "base AS build"]
    end = next(at for at, (word, _) in enumerate(everything) if word == "FROM" and at > start)
    return everything[start + 1 : end]


def _copy(sources: list[str], folder: Path) -> None:
    """With `.` all that .dockerignore lets through."""
    if sources == ["."]:
        rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        sources = [rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    for name in sources:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, folder / name)
