"""Where an input of the tenant's own log belongs: requests, phones and answers come to the reception (ADR 33)."""

from typing import Any

from services.router.domain.callbacks.task import CampaignRun
from services.router.domain.splitting import telling
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1.input_pb2 import Input

MOST_KNOWN = 20_000
"""So many callbacks are known whose ids do not say where they are; the oldest are forgotten."""
ID_PREFIX = "cb-"
_BY_AGENT = frozenset({"set_agent_status", "end_wrap_up", "extend_wrap_up", "reject_offer", "dial_number"})
_BY_CALLBACK = frozenset({"cancel_callback", "reschedule_callback"})
_BY_CAMPAIGN = frozenset({"add_contacts", "run_campaign"})


def domain_of(state: TenantState, given: Input) -> str:
    """Return the domain that an input is for; empty when it is for the reception."""
    match given.WhichOneof("input"):
        case "request":
            return _of_request(state, given.request)
        case "fact":
            return state.agents_at.get(_agent_of(state, given), "")
        case "clip_recognised":
            return _of_call(state, given.clip_recognised.call_id)
    return ""


def has_left(state: TenantState, given: Input) -> bool:
    """Whether an input that was sent on to a domain is for an agent who has left it meanwhile."""
    agent_id = _agent_of(state, given)
    configuration = state.configuration
    is_known = configuration is not None and agent_id in configuration.agents
    return bool(state.domain) and is_known and agent_id not in state.agents


def send_on(turn: Turn, domain: str, given: Input) -> None:
    """Send an input on as it came."""
    state = turn.state
    kind = given.request.WhichOneof("request") or ""
    if kind in _BY_CAMPAIGN:
        campaign_id = getattr(given.request, kind).campaign_id
        if campaign_id not in state.campaigns_at:
            telling.pass_campaign(turn, domain, CampaignRun(campaign_id))
    turn.pass_on(domain).input.CopyFrom(given)
    if given.request.HasField("ask_callback"):
        known = state.callbacks_at
        known[ID_PREFIX + given.request.request_id] = domain
        if len(known) > MOST_KNOWN:
            del known[next(iter(known))]


def _of_request(state: TenantState, request: rq.Request) -> str:
    kind = request.WhichOneof("request") or ""
    asked: Any = getattr(request, kind, None)
    if kind in _BY_AGENT:
        return state.agents_at.get(asked.agent_id, "")
    if kind in _BY_CALLBACK:
        return "" if asked.callback_id in state.callbacks else _of_callback(state, asked.callback_id)
    if kind in _BY_CAMPAIGN:
        known = state.campaigns_at.get(asked.campaign_id)
        return _of_campaign(state, asked.campaign_id) if known is None else known
    if kind == "ask_callback":
        return _of_queue(state, asked.queue_id)
    return "" if asked is None or kind == "erase_person" else _of_call(state, asked.call_id)


def _of_queue(state: TenantState, queue_id: str) -> str:
    configuration = state.configuration
    return configuration.domain_of_queue.get(queue_id, "") if configuration else ""


def _of_campaign(state: TenantState, campaign_id: str) -> str:
    configuration = state.configuration
    campaign = configuration.campaigns.get(campaign_id) if configuration else None
    return _of_queue(state, campaign.queue_id) if campaign is not None else ""


def _of_callback(state: TenantState, callback_id: str) -> str:
    domain, between, _ = callback_id.partition(".")
    return state.callbacks_at.get(callback_id) or (domain if between and domain in state.domains else "")


def _agent_of(state: TenantState, given: Input) -> str:
    """Return the agent by whom an input finds its log; empty for one that goes by something else."""
    asked: str = given.request.WhichOneof("request") or ""
    if asked in _BY_AGENT:
        return str(getattr(given.request, asked).agent_id)
    fact, configuration = given.fact, state.configuration
    kind = fact.WhichOneof("fact") or ""
    if configuration is None or kind not in ("phone_registered", "phone_unregistered"):
        return ""
    return configuration.agent_of_address.get(getattr(fact, kind).address, "")


def _of_call(state: TenantState, call_id: str) -> str:
    if call_id in state.calls or call_id in state.ended:
        return ""
    found = state.away.get(call_id) or state.gone.get(call_id)
    return found.domain if found is not None else ""
