"""How fast a tenant's calls may begin, what they cost, and whether one more may be dialled (SPEC 1.4)."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.destinations import ban, tariff_of

SPEND = "outbound_spend_per_day"
RATE = "calls_per_second"
_SECOND_MS = 1_000
_MINUTE_MS = 60_000
_MILLI = 1_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """The limit that forbids a dial; values where it is one that is counted."""

    limit: str
    value: float = 0.0
    allowed: float = 0.0

    def tell(self, event: ev.Event) -> None:
        """Write it into an event."""
        body = event.limit_exceeded
        body.limit, body.value, body.allowed = self.limit, self.value, self.allowed


def refusal(turn: Turn, limits: tn.Limits, number: str) -> Refusal | None:
    """Return why a number may not be dialled now, None when it may."""
    limit = ban(limits, number)
    return Refusal(limit) if limit else overspent(turn, limits)


def overspent(turn: Turn, limits: tn.Limits) -> Refusal | None:
    """Return the day's limit when what was spent, calls that go on included, has reached it."""
    allowed = _milli(limits.outbound_spend_per_day)
    if not allowed:
        return None
    state = turn.state
    spent = state.spent[1] if state.spent[0] == _day(state) else 0
    going_on = ((str(number), int(since_ms)) for number, since_ms in state.metered.values() if since_ms)
    spent += sum(_cost(state, number, turn.now_ms - since_ms) for number, since_ms in going_on)
    return Refusal(SPEND, spent / _MILLI, allowed / _MILLI) if spent >= allowed else None


# -- how fast calls begin


def too_fast(turn: Turn, limits: tn.Limits) -> Refusal | None:
    """Return the limit when as many calls began in the last second as may."""
    allowed, begun = limits.calls_per_second, turn.state.begun
    if not allowed:
        begun.clear()
        return None
    while begun and begun[0] <= turn.now_ms - _SECOND_MS:
        begun.pop(0)
    return Refusal(RATE, len(begun) + 1, allowed) if len(begun) >= allowed else None


def note_begun(turn: Turn, limits: tn.Limits) -> None:
    """Count a call that begins now."""
    if limits.calls_per_second:
        turn.state.begun.append(turn.now_ms)


# -- what calls cost


def dialled(turn: Turn, leg_id: str, number: str) -> None:
    """Take note of a leg to an outside number, where its price is known."""
    if _price(_limits(turn.state), number) is not None:
        turn.state.metered[leg_id] = [number, 0]


def answered(turn: Turn, leg_id: str) -> None:
    """Begin to count what a leg costs."""
    metered = turn.state.metered.get(leg_id)
    if metered is not None and not metered[1]:
        metered[1] = turn.now_ms


def ended(turn: Turn, leg_id: str) -> None:
    """Book what a leg has cost; the day's limit is told when this reaches it."""
    state = turn.state
    metered = state.metered.pop(leg_id, None)
    if metered is None or not metered[1]:
        return
    day = _day(state)
    if state.spent[0] != day:
        state.spent = [day, 0]
    before = state.spent[1]
    state.spent[1] += _cost(state, str(metered[0]), turn.now_ms - int(metered[1]))
    allowed = _milli(_limits(state).outbound_spend_per_day)
    if before < allowed <= state.spent[1]:
        Refusal(SPEND, state.spent[1] / _MILLI, allowed / _MILLI).tell(turn.subject_event("tenant"))


def _cost(state: TenantState, number: str, lasted_ms: int) -> int:
    """Return thousandths; each minute counts whole as soon as it begins."""
    return (_price(_limits(state), number) or 0) * max(1, -(-lasted_ms // _MINUTE_MS))


def _price(limits: tn.Limits, number: str) -> int | None:
    """Return thousandths a minute, None where nobody knows."""
    tariff = tariff_of(limits, number)
    return _milli(tariff.price_per_minute) if tariff is not None else None


def _milli(amount: float) -> int:
    return round(amount * _MILLI)


def _day(state: TenantState) -> int:
    configuration = state.configuration
    zone: tzinfo = UTC
    try:
        zone = ZoneInfo(configuration.document.time_zone) if configuration else UTC
    except (ZoneInfoNotFoundError, ValueError):  # of the tenant's document, which says nothing better
        zone = UTC
    return datetime.fromtimestamp(state.now_ms / 1000, zone).toordinal()


def _limits(state: TenantState) -> tn.Limits:
    configuration = state.configuration
    return configuration.limits if configuration else tn.Limits()
