"""What keeps the embedded servers from starting."""

from passerelle.domain.errors import PasserelleError


class EmbeddedError(PasserelleError):
    """One sentence that says what is wrong and what to do."""
