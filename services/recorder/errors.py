"""The recorder's errors. Two questions pick the class: may it be tried again, and whose fault is it."""


class RecorderError(Exception):
    """Base of what a try of one recording raises; caught by the dispatcher, never inside a try."""


class TryAgain(RecorderError):
    """Something outside failed for now; the file stays where it is and is tried again after a pause."""

    outcome = "failed"
    is_outage = False
    """Whether the company's other recordings would most likely fail the same way now."""


class StoreFailed(TryAgain):
    """The object store is away, refuses us or fails."""

    outcome = "store_failed"
    is_outage = True


class StoreLied(TryAgain):
    """The object store said yes, but what it holds is not what was sent."""

    outcome = "store_lied"


class DocumentsFailed(TryAgain):
    """The document store is away or refuses us."""

    outcome = "documents_failed"
    is_outage = True


class FolderFailed(TryAgain):
    """The disk or the folder fails: no right to read, an I/O error."""

    outcome = "folder_failed"


class FileChanged(TryAgain):
    """Somebody wrote to the file during the try: what was sent is not what lies there."""

    outcome = "file_changed"


class NoteCame(TryAgain):
    """Whose call it is became known during the try: the next one writes it into the document."""

    outcome = "note_came"


class EncodingFailed(RecorderError):
    """The sound can't be brought into the wanted form: it is kept as it was written."""


class Claimed(RecorderError):
    """Another recorder works on this file now."""


class Gone(RecorderError):
    """The file is not there (any more)."""


class Unfinished(RecorderError):
    """The file may still be written to."""


class Hostile(RecorderError):
    """The file can't be a recording of ours, or contradicts one; it goes to quarantine with this sentence."""
