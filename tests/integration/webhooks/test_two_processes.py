"""Two processes of the service side by side, as the chart has them: what they do together."""

from tests.integration.webhooks.harness import LocalReceiver, Service, call_started, endpoint, wait_until

EVENTS = 20


def test_retries_in_another_process_overtake_nothing_of_a_call_that_waits_in_this_ones_queue(
    service: Service, receiver: LocalReceiver
) -> None:
    """A slow endpoint's queue is full: what did not fit in waits in the room that all processes take retries from."""
    service.queue_limit = 16
    receiver.behave(delay_seconds=0.1, times=-1)
    service.tenant("acme", endpoint(receiver.url, keep_call_order=True))
    service.start()
    service.start_beside()
    events = []
    for number in range(EVENTS):
        event = call_started(1)
        event.event_id = f"evt-{number:02}"
        events.append(event)
    service.publish(*events)
    wait_until(lambda: len(set(receiver.ids())) == EVENTS, 40)
    first = list(dict.fromkeys(receiver.ids()))
    assert first == sorted(first)
