"""What a company wants done with its recordings once they lie on a node's disk."""

from dataclasses import dataclass

from services.recorder.domain.form import Form
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_NAME = "{date}/{call_id}/{recording_id}"
_FORMS = {tn.RECORDING_FORMAT_FLAC: Form.FLAC, tn.RECORDING_FORMAT_OPUS: Form.OPUS}


@dataclass(frozen=True, slots=True)
class Policy:
    """How recordings of one queue, line or company are kept."""

    form: Form = Form.WAV
    name_template: str = DEFAULT_NAME
    remove_silent: bool = False
    retention_days: int = 0
    """0 = for ever."""
    kms_key_id: str = ""
    copies: tuple[str, ...] = ()
    time_zone: str = "UTC"


class Policies:
    """One company's policies. A queue's replaces the line's, and that the company's; each counts as a whole."""

    def __init__(self, document: tn.TenantDocument) -> None:
        zone = document.time_zone
        self.version = document.version
        self.lines = tuple(line.number for line in document.lines)
        self._company = _policy(document.recording, zone)
        self._lines = {
            line.number: _policy(line.recording, zone) for line in document.lines if line.HasField("recording")
        }
        self._queues = {
            queue.queue_id: _policy(queue.recording, zone) for queue in document.queues if queue.HasField("recording")
        }

    def of(self, line: str, queue_id: str) -> Policy:
        """Return the policy in force."""
        return self._queues.get(queue_id) or self._lines.get(line) or self._company

    @property
    def all(self) -> tuple[Policy, ...]:
        """Every policy that a recording of this company can have."""
        return (self._company, *self._lines.values(), *self._queues.values())


def _policy(said: tn.RecordingPolicy, zone: str) -> Policy:
    return Policy(
        form=_FORMS.get(said.format, Form.WAV),
        name_template=said.name_template or DEFAULT_NAME,
        remove_silent=said.remove_silent,
        retention_days=said.retention_days,
        kms_key_id=said.kms_key_id,
        copies=tuple(said.copies),
        time_zone=zone or "UTC",
    )
