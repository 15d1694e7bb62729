"""What a connection subscribes to."""

from local.switch.events import Event
from local.switch.subscription import Subscription


def test_words_after_custom_are_subclasses() -> None:
    subscription = Subscription()
    assert subscription.add(["HEARTBEAT", "CUSTOM", "sofia::register", "CHANNEL_CREATE"])
    assert subscription.wants("HEARTBEAT", None)
    assert subscription.wants("CUSTOM", "sofia::register")
    assert not subscription.wants("CUSTOM", "sofia::unregister")
    assert not subscription.wants("CHANNEL_CREATE", None)


def test_everything_less_one_class_is_everything_else() -> None:
    subscription = Subscription()
    subscription.add(["ALL"])
    assert subscription.remove(["HEARTBEAT"])
    assert not subscription.wants("HEARTBEAT", None)
    assert subscription.wants("DTMF", None)


def test_no_keyword_is_no_subscription() -> None:
    subscription = Subscription()
    assert not subscription.add(["NOSUCH"])
    assert not subscription.clear()
    assert not subscription.remove([])


def test_filters_let_through_what_any_of_them_matches() -> None:
    event = Event("DTMF", "Event-Name: DTMF\nUnique-ID: a-1\n")
    subscription = Subscription()
    assert subscription.passes_filters(event)
    subscription.add_filter("unique-id", "b-2")
    assert not subscription.passes_filters(event)
    subscription.add_filter("Event-Name", "/^DT/")
    assert subscription.passes_filters(event)
    subscription.delete_filter("Event-Name", "")
    assert not subscription.passes_filters(event)
    subscription.delete_filter("all", "")
    assert subscription.passes_filters(event)
