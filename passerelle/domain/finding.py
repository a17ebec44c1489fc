"""What an examination found, for people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """`wrong` None: it is well. `remedy`: what to do. `grave` False: worth knowing, no more."""

    name: str
    wrong: str | None = None
    remedy: str = ""
    grave: bool = True

    @property
    def against(self) -> bool:
        """Whether it is in the way."""
        return self.wrong is not None and self.grave
