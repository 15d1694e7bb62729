"""What follows from the inputs of one batch, on its way to the broker: each topic gets its records in one go."""

from services.router import metrics
from services.router.domain.decide import Outputs
from services.router.domain.turn import Note
from services.shared.bus.events import headers_for
from services.shared.bus.ports import BatchReceiptPort, BatchSender, Outgoing
from services.shared.bus.positions import epoch_of, offset_of, position_of
from services.shared.bus.record import LARGEST_VALUE, Record
from services.shared.bus.topics import CALLS, COMMANDS, DEAD_LETTERS, INPUTS, REPLIES
from services.shared.contracts.ringmaster.v1.event_pb2 import QUEUE_EXIT_ANSWERED, Event
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from services.shared.log_keys import key_of, parts_of

SOURCE = "router"
# Somebody waits for commands, and an asker for replies: they are handed to the broker first.
_ORDER = (COMMANDS, REPLIES, CALLS, INPUTS, DEAD_LETTERS)
_LONGEST_REASON = 500


class TooLarge(Exception):
    """What follows from an input is more than a broker takes: sent again and again it would stop every tenant."""


class Outbox:
    """Collects records; `send` hands them over. Order is kept per topic and key."""

    def __init__(self) -> None:
        self._records: dict[str, list[Outgoing]] = {topic: [] for topic in _ORDER}
        self._held_back: dict[str, list[Outgoing]] = {INPUTS: [], COMMANDS: []}

    def put(self, record: Record, outputs: Outputs, generation: int, now_ms: int) -> None:
        """Take all that an input led to, or nothing. Raises TooLarge.

        Commands carry the fence of its partition: the group's generation, which begins anew with each epoch of the log.
        """
        # Whoever asked waits under the tenant's own key, whichever of its logs has answered.
        tenant_id = parts_of(record.key)[0]
        made: list[tuple[list[Outgoing], Outgoing]] = []
        for command in outputs.commands:
            command.fence_partition = record.partition
            command.fence_generation = position_of(epoch_of(record.offset), generation)
            hands_over = command.HasField("hand_over_leg")
            of_topic = (self._held_back if hands_over else self._records)[COMMANDS]
            made.append((of_topic, (command.node, command.SerializeToString(), now_ms, None)))
        replies, events, notes = self._records[REPLIES], self._records[CALLS], self._held_back[INPUTS]
        made += [(replies, (tenant_id, reply.SerializeToString(), now_ms, None)) for reply in outputs.replies]
        made += [(events, _event_record(event)) for event in outputs.events]
        made += [(notes, _note_record(tenant_id, note, now_ms)) for note in outputs.notes]
        for _, (_, value, *_) in made:
            if len(value) > LARGEST_VALUE:
                raise TooLarge(f"an output of {len(value)} bytes, {LARGEST_VALUE} are taken at most")
        for of_topic, outgoing in made:
            of_topic.append(outgoing)
        _measure(outputs)
        metrics.INPUT_AGE_SECONDS.observe(max(0, now_ms - record.timestamp_ms) / 1000)

    def put_input(self, key: str, value: bytes, now_ms: int) -> None:
        """Take a record for the log itself: a timer that became due."""
        self._records[INPUTS].append((key, value, now_ms, None))

    def put_dead(self, record: Record, reason: str) -> None:
        """Take an input that is put aside, with the reason and where it stood."""
        headers = {
            "reason": reason[:_LONGEST_REASON],
            "topic": record.topic,
            "partition": str(record.partition),
            "offset": str(offset_of(record.offset)),
        }
        value = record.value[:LARGEST_VALUE]  # the whole stands where the headers say
        self._records[DEAD_LETTERS].append((record.key or "none", value, record.timestamp_ms, headers))

    def send(self, sender: BatchSender) -> list[BatchReceiptPort]:
        """Hand everything over; raises BusUnavailable, and then it is not known what the broker has of it."""
        receipts = []
        for topic, records in self._records.items():
            if records:
                receipts.append(sender.send_many(topic, records))
                self._records[topic] = []
        return receipts

    def release(self) -> bool:
        """Have sent next what had to wait until the broker has all before it; return whether there is any.

        Whoever is told of an agent, or gets a call, goes on with its events: so those that are told here come first. A
        call must find the document known that it goes by: so hand-overs come after what logs tell each other.
        """
        for topic, held in self._held_back.items():
            if held:
                self._records[topic] += held
                self._held_back[topic] = []
                return True
        return False


def _event_record(event: Event) -> Outgoing:
    return event.tenant_id, event.SerializeToString(), event.time.ToMilliseconds(), headers_for(event, SOURCE)


def _note_record(tenant_id: str, note: Note, now_ms: int) -> Outgoing:
    value = Input(tenant_id=tenant_id, domain=note.domain, passed_on=note.told).SerializeToString()
    return key_of(tenant_id, note.domain), value, now_ms, None


def _measure(outputs: Outputs) -> None:
    for command in outputs.commands:
        metrics.COMMANDS.labels(command.WhichOneof("action") or "none").inc()
    for event in outputs.events:
        if event.HasField("queue_left"):
            _measure_estimate(event)
    metrics.EVENTS.inc(len(outputs.events))


def _measure_estimate(event: Event) -> None:
    left = event.queue_left
    if left.exit == QUEUE_EXIT_ANSWERED:
        error_seconds = left.estimate_error_ms / 1000
        metrics.ESTIMATE_ERROR_SECONDS.labels(event.tenant_id, left.queue_id).observe(error_seconds)
