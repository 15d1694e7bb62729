"""What another log of the tenant tells, each thing once (ADR 33)."""

from collections.abc import Callable

from services.router.domain import erasing, requests, versions
from services.router.domain.callbacks import opening
from services.router.domain.callbacks.opening import Wish
from services.router.domain.control import lending
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Away, Gone
from services.router.domain.splitting import leaving, moving
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1.input_pb2 import PassedOn


def is_news(turn: Turn, told: PassedOn) -> bool:
    """Whether a log has not told this before: a router that was killed tells once more, in the same order."""
    source, place = f"{told.from_domain}:{told.partition}", [told.offset, told.ordinal]
    known = turn.state.passed
    if known.get(source, [-1, 0]) >= place:
        return False
    known[source] = place
    return True


def take(turn: Turn, told: PassedOn) -> None:
    """Take in what is told, but for inputs, which are taken as if they had come here."""
    take_it = _TAKE.get(told.WhichOneof("told") or "")
    if take_it is not None:
        take_it(turn, told)


def _call(turn: Turn, told: PassedOn) -> None:
    state, known = turn.state, told.call
    call = state.calls.get(known.call_id)
    if call is not None and call.stage is CallStage.HANDING and known.is_over:
        leaving.gone(turn, call)  # it was over there before its leaving was confirmed
    if not known.is_over:
        state.away[known.call_id] = Away(told.from_domain, known.number)
        return
    away = state.away.pop(known.call_id, None)
    state.gone[known.call_id] = Gone(told.from_domain, turn.now_ms, away.hop if away else 0)
    if away is not None and away.version:
        versions.release(turn, away.version)


def _callback_wished(turn: Turn, told: PassedOn) -> None:
    wish = told.callback_wished
    opening.wished(turn, Wish(wish.queue_id, wish.number, wish.reason, wish.line, wish.name, wish.due_ms))


def _agent_lent(turn: Turn, told: PassedOn) -> None:
    if told.agent_lent.for_domain == turn.state.domain:
        requests.take_lent(turn, told.agent_lent)
    else:
        lending.bring(turn, told.agent_lent)


_TAKE: dict[str, Callable[[Turn, PassedOn], None]] = {
    "agents": moving.take_agents,
    "callbacks": moving.take_tasks,
    "campaigns": moving.take_campaigns,
    "callback_wished": _callback_wished,
    "call": _call,
    "agent_gone": moving.agent_gone,
    "document_over": lambda turn, told: versions.over(turn, told.document_over.version),
    "person_forgotten": lambda turn, told: erasing.forgotten_there(turn, told.from_domain, told.person_forgotten),
    "agent_wanted": lambda turn, told: lending.wanted(turn, told.agent_wanted),
    "agent_lent": _agent_lent,
}
