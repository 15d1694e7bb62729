"""One topic's trouble stays with that topic: three places where kafka-python's producer lets it end all others.

kafka-python 3.0.12, with idempotence on. Each is shown on a broker by tests/contract/test_containing.py.

- A batch that was sent, was to be sent again and could not for DELIVERY_MS makes the producer ask for a new id. The
  library drops the one that it has, and asks for the first one only: the producer never sends anything again, to no
  topic, and tells nobody. A new epoch of its id (KIP-360) does the same, and it does ask for that.
- In that moment, what it has just taken up for other topics is never sent: it takes up first and gives up then.
- A batch that a broker refuses for good (its topic's rights, a record that is too large there) ends the producer, as
  if the producer itself had been refused. The library's own comment says that such a batch is just to fail.
"""

import time
from typing import Any

from kafka.errors import KafkaTimeoutError


def contain(producer: Any) -> None:
    """Let a KafkaProducer go on for all other topics when one can't be written."""
    sender, state = producer._sender, producer._transaction_manager  # noqa: SLF001 - it has no public seam
    state.reset_producer_id = state.bump_producer_id_and_epoch
    _expire_first(sender, state)
    _let_a_batch_just_fail(state)


def _expire_first(sender: Any, state: Any) -> None:
    send, batches = sender._send_producer_data, sender._accumulator  # noqa: SLF001 - the same

    def expired_first(now: float | None = None) -> float:
        now = time.monotonic() if now is None else now
        # The round before has found out when the next batch is over: as long as none is, this costs nothing.
        if batches.next_expiry_time_ms <= now * 1000 and _expire(sender, state, now):
            return 0.0
        wait_ms: float = send(now)
        return wait_ms

    sender._send_producer_data = expired_first  # noqa: SLF001 - the same


def _expire(sender: Any, state: Any, now: float) -> bool:
    """Give up what is over; return whether nothing may be sent before there is a new epoch."""
    expired = sender._accumulator.expired_batches(now=now)  # noqa: SLF001 - as the sender does itself
    expired += sender._get_expired_inflight_batches(now=now)  # noqa: SLF001 - the same
    was_sent = any(batch.in_retry() for batch in expired)
    for batch in expired:
        why = f"{batch.record_count} records for {batch.topic_partition} were not taken for {now - batch.created:.0f} s"
        sender._complete_batch_with_exception(batch, KafkaTimeoutError(why))  # noqa: SLF001 - the same
    if was_sent:
        state.bump_producer_id_and_epoch()
    return was_sent


def _let_a_batch_just_fail(state: Any) -> None:
    classify = state.classify_batch_error

    def classified(error: Any, batch: Any, log_start_offset: int = -1) -> str:
        found: str = classify(error, batch, log_start_offset=log_start_offset)
        kind = error if isinstance(error, type) else type(error)
        if found != state.ERROR_CLASS_FATAL or kind in state._FATAL_ERRORS:  # noqa: SLF001 - the same
            return found
        _give_numbers_back(state, batch)
        just_fails: str = state.ERROR_CLASS_RETRIABLE  # of a batch that is not tried again it means no more than that
        return just_fails

    state.classify_batch_error = classified


def _give_numbers_back(state: Any, batch: Any) -> None:
    """Let the next batch of the partition have the numbers of one that the broker has refused: it waits for these."""
    with state._lock:  # noqa: SLF001 - the same
        numbers, place = state._sequence_numbers, batch.topic_partition  # noqa: SLF001 - the same
        if numbers[place] == batch.base_sequence + batch.record_count:
            numbers[place] = batch.base_sequence
