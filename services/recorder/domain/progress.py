"""The steps of one recording, in the only order in which a kill between any two of them loses nothing."""

from dataclasses import dataclass
from enum import Enum

from services.recorder.domain.digest import Digest, StoredObject


class Step(Enum):
    """A recording's steps. Each is harmless when it is done again."""

    INSPECT = "inspect"
    ENCODE = "encode"
    UPLOAD = "upload"
    VERIFY = "verify"
    DOCUMENT = "document"
    ANNOUNCE = "announce"
    DELETE = "delete"


class IllegalStep(RuntimeError):
    """A step out of order: a bug of ours; the process ends rather than delete something unverified."""


_AFTER: dict[Step | None, Step] = {
    None: Step.INSPECT,
    Step.INSPECT: Step.ENCODE,
    Step.ENCODE: Step.UPLOAD,
    Step.UPLOAD: Step.VERIFY,
    Step.VERIFY: Step.DOCUMENT,
    Step.DOCUMENT: Step.ANNOUNCE,
    Step.ANNOUNCE: Step.DELETE,
}


@dataclass(slots=True)
class Progress:
    """How far one try has come."""

    done: Step | None = None

    def finish(self, step: Step) -> None:
        """Note that a step is done. Raises IllegalStep when it was not the next one."""
        if _AFTER.get(self.done) is not step:
            raise IllegalStep(f"{step.value} can't follow {self.done.value if self.done else 'nothing'}")
        self.done = step


class Need(Enum):
    """What the object store needs of us for one recording."""

    UPLOAD = "upload"
    NOTHING = "nothing"


def need_of(digest: Digest, stored: StoredObject | None) -> Need:
    """Decide from the evidence whether to send the bytes; what lies there under our plan is a former try's."""
    if stored is not None and stored.can_be(digest):
        return Need.NOTHING
    return Need.UPLOAD
