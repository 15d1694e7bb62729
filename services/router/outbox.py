"""What follows from the inputs of one batch, on its way to the broker: each topic gets its records in one go."""

from services.router import metrics
from services.router.domain.decide import Outputs
from services.router.domain.turn import Note
from services.shared.bus.events import headers_for
from services.shared.bus.ports import BatchReceiptPort, BatchSender, Outgoing
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, COMMANDS, DEAD_LETTERS, INPUTS, REPLIES
from services.shared.contracts.ringmaster.v1.event_pb2 import QUEUE_EXIT_ANSWERED, Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of, parts_of

SOURCE = "router"
# Somebody waits for commands, and an asker for replies: they are handed to the broker first.
_ORDER = (COMMANDS, REPLIES, CALLS, INPUTS, DEAD_LETTERS)
_LONGEST_REASON = 500


class Outbox:
    """Collects records; `send` hands them over. Order is kept per topic and key."""

    def __init__(self) -> None:
        self._records: dict[str, list[Outgoing]] = {topic: [] for topic in _ORDER}
        self._held_back: list[Outgoing] = []

    def put(self, record: Record, outputs: Outputs, generation: int, now_ms: int) -> None:
        """Take what an input led to; commands carry the fence of its partition."""
        for command in outputs.commands:
            command.fence_partition = record.partition
            command.fence_generation = generation
            hands_over = command.HasField("hand_over_leg")
            of_topic = self._held_back if hands_over else self._records[COMMANDS]
            of_topic.append((command.node, command.SerializeToString(), now_ms, None))
            metrics.COMMANDS.labels(command.WhichOneof("action") or "none").inc()
        for reply in outputs.replies:
            # Whoever asked waits under the tenant's own key, whichever of its logs has answered.
            self._records[REPLIES].append((parts_of(record.key)[0], reply.SerializeToString(), now_ms, None))
        for event in outputs.events:
            self._records[CALLS].append(
                (event.tenant_id, event.SerializeToString(), event.time.ToMilliseconds(), headers_for(event, SOURCE))
            )
            if event.HasField("queue_left"):
                _measure_estimate(event)
        for note in outputs.notes:
            self.put_note(parts_of(record.key)[0], note, now_ms)
        metrics.EVENTS.inc(len(outputs.events))
        metrics.INPUT_AGE_SECONDS.observe(max(0, now_ms - record.timestamp_ms) / 1000)

    def put_note(self, tenant_id: str, note: Note, now_ms: int) -> None:
        """Take what another log of the tenant is told."""
        value = Input(tenant_id=tenant_id, domain=note.domain, passed_on=note.told).SerializeToString()
        self.put_input(key_of(tenant_id, note.domain), value, now_ms)

    def put_input(self, key: str, value: bytes, now_ms: int) -> None:
        """Take a record for the log itself: a timer that became due."""
        self._records[INPUTS].append((key, value, now_ms, None))

    def put_dead(self, record: Record, reason: str) -> None:
        """Take an input that is put aside, with the reason and where it stood."""
        headers = {
            "reason": reason[:_LONGEST_REASON],
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
        }
        self._records[DEAD_LETTERS].append((record.key or "none", record.value, record.timestamp_ms, headers))

    def send(self, sender: BatchSender) -> list[BatchReceiptPort]:
        """Hand everything over; raises BusUnavailable, and then it is not known what the broker has of it."""
        receipts = []
        for topic, records in self._records.items():
            if records:
                receipts.append(sender.send_many(topic, records))
                self._records[topic] = []
        return receipts

    def release(self) -> bool:
        """Have hand-overs sent next, once the broker has all else; return whether there are any.

        Whoever gets a call goes on with its events, and must know the document that it goes by.
        """
        held, self._held_back = self._held_back, []
        self._records[COMMANDS] += held
        return bool(held)


def _measure_estimate(event: Event) -> None:
    left = event.queue_left
    if left.exit == QUEUE_EXIT_ANSWERED:
        error_seconds = left.estimate_error_ms / 1000
        metrics.ESTIMATE_ERROR_SECONDS.labels(event.tenant_id, left.queue_id).observe(error_seconds)
