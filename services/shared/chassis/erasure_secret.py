"""The secret of RINGMASTER_ERASURE_SECRET as what seals and opens persons' numbers (SPEC 10.5)."""

from services.shared.chassis.settings import SettingsError
from services.shared.person import BadSecret, PersonSeal


def seal_of(secret: str) -> PersonSeal:
    """Return what is made of the secret; empty: it opens nothing. Raises SettingsError."""
    try:
        return PersonSeal(secret)
    except BadSecret as error:
        raise SettingsError([str(error)]) from error
