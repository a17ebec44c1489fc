"""What a person can mend: each error's text says how."""


class PasserelleError(Exception):
    """One sentence for the person at the command line."""


class RegistrationError(PasserelleError):
    """A firm or folder cannot be registered so."""


def no_firm(code: str) -> str:
    """What is said where a firm is not registered."""
    return f"No firm {code} is registered: passerelle firm add {code}."
