"""What keeps the embedded servers from starting, in words for the person who started them."""


class EmbeddedError(Exception):
    """One sentence that says what is wrong and what to do."""
