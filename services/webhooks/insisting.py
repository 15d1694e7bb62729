from collections.abc import Callable

from gevent.event import Event as Flag

from services.shared.chassis.insisting import Answer, insist
from services.webhooks import metrics
from services.webhooks.waiting import StoreUnavailable


def insist_on_store(ask: Callable[[], Answer], stopping: Flag, trouble: str) -> Answer:
    """Return what the document store answers, however long that takes; each try in vain is counted. Raises Stopped."""
    return insist(ask, StoreUnavailable, stopping, trouble, missed=metrics.STORE_FAILURES.inc)
