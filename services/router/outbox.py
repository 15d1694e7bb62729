"""What follows from the inputs of one batch, on its way to the broker: each topic gets its records in one go."""

from services.router import metrics
from services.router.domain.decide import Outputs
from services.shared.bus.events import headers_for
from services.shared.bus.ports import BatchReceiptPort, BatchSender, Outgoing
from services.shared.bus.record import Record
from services.shared.bus.topics import CALLS, COMMANDS, DEAD_LETTERS, INPUTS, REPLIES
from services.shared.contracts.ringmaster.v1.event_pb2 import QUEUE_EXIT_ANSWERED, Event

SOURCE = "router"
# Somebody waits for commands, and an asker for replies: they are handed to the broker first.
_ORDER = (COMMANDS, REPLIES, CALLS, INPUTS, DEAD_LETTERS)
_LONGEST_REASON = 500


class Outbox:
    """Collects records; `send` hands them over. Order is kept per topic and key."""

    def __init__(self) -> None:
        self._records: dict[str, list[Outgoing]] = {topic: [] for topic in _ORDER}

    def put(self, record: Record, outputs: Outputs, generation: int, now_ms: int) -> None:
        """Take what an input led to; commands carry the fence of its partition."""
        for command in outputs.commands:
            command.fence_partition = record.partition
            command.fence_generation = generation
            self._records[COMMANDS].append((command.node, command.SerializeToString(), now_ms, None))
            metrics.COMMANDS.labels(command.WhichOneof("action") or "none").inc()
        for reply in outputs.replies:
            self._records[REPLIES].append((record.key, reply.SerializeToString(), now_ms, None))
        for event in outputs.events:
            self._records[CALLS].append(
                (event.tenant_id, event.SerializeToString(), event.time.ToMilliseconds(), headers_for(event, SOURCE))
            )
            if event.HasField("queue_left"):
                _measure_estimate(event)
        metrics.EVENTS.inc(len(outputs.events))
        metrics.INPUT_AGE_SECONDS.observe(max(0, now_ms - record.timestamp_ms) / 1000)

    def put_input(self, tenant_id: str, value: bytes, now_ms: int) -> None:
        """Take a record for the log itself: a timer that became due."""
        self._records[INPUTS].append((tenant_id, value, now_ms, None))

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


def _measure_estimate(event: Event) -> None:
    left = event.queue_left
    if left.exit == QUEUE_EXIT_ANSWERED:
        error_seconds = left.estimate_error_ms / 1000
        metrics.ESTIMATE_ERROR_SECONDS.labels(event.tenant_id, left.queue_id).observe(error_seconds)
