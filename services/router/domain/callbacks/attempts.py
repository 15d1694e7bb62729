"""One attempt to call a customer back: its turn in the queue, whose phone rings first, the dial (SPEC 4.2, 4.3).

A task that is due becomes a call without a customer: it waits in the queue's order like a caller whom nobody hears.
When its turn comes an agent is rung (agent first) or kept free (customer first), and the customer is dialled. All that
forbids the dial is asked again at that moment: hours pass and black lists change while a task waits for an agent.
"""

from zoneinfo import ZoneInfoNotFoundError

from services.router.domain import calls, offers, outbound, remembering, talking, versions, waiting, widening
from services.router.domain.callbacks import pacing, planning
from services.router.domain.callbacks.hours import NEVER, next_allowed_ms
from services.router.domain.callbacks.joining import wait_live
from services.router.domain.callbacks.numbers import time_zones
from services.router.domain.callbacks.task import Callback, Policy, policy_of
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call, Leg, LegRole, Offer
from services.router.domain.splitting import moving, telling
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.destinations import ban

GUARD_MS = 15_000
"""A dial whose end was not told so long after its ring time-out is given up."""
SECOND_MS = 1_000
BLACKLISTED = "BLACKLISTED"
NOT_ALLOWED = "NOT_ALLOWED"
OWN_LINE = "OWN_LINE"
NO_HOUR = "NO_HOUR"


def begin(turn: Turn, task: Callback) -> None:
    """Let a task that is due wait for its turn, unless now is not the time."""
    if task.call_id or task.lines:
        return
    queue = planning.queue_of(turn, task)
    if queue is None:
        planning.cancel(turn, task, "queue_removed")
    elif not waiting.is_here(turn.state, queue.queue_id):
        moving.send_task(turn, task)
    elif _may_be_dialled(turn, task, queue):
        if outbound.too_fast(turn, _limits(turn)) is not None:
            planning.plan(turn, task, turn.now_ms + SECOND_MS)
        elif _is_ahead(turn, task):
            _dial_ahead(turn, task, queue)
        else:
            _enter(turn, task, queue)


def may_be_offered(turn: Turn, call: Call) -> bool:
    """Whether a task whose turn it is may go on; if not it has left the queue. The first time the call is told."""
    task = turn.state.callbacks[call.callback_id]
    queue = planning.queue_of(turn, task)
    if queue is None or not _may_be_dialled(turn, task, queue):
        return False
    if not call.sequence:
        _tell_started(turn, call)
    return True


def is_customer_first(turn: Turn, call: Call) -> bool:
    """Whether this call rings its customer before an agent: by the queue's policy, or the campaign's pacing.

    One for whom an agent's phone rings already goes on as it began, whatever a document says by now: when the customer
    answers, every agent who is kept free is rung.
    """
    if not call.is_absent or call.offers:
        return False
    configuration, task = turn.state.configuration, turn.state.callbacks[call.callback_id]
    campaign = configuration.campaigns.get(task.campaign_id) if configuration else None
    if campaign is None:
        return policy_for(turn, call).is_customer_first
    run = turn.state.campaigns.get(task.campaign_id)  # elsewhere, when a document gave the campaign another queue
    return campaign.pacing == tn.PACING_PROGRESSIVE and not (run is not None and run.is_slow)


def policy_for(turn: Turn, call: Call) -> Policy:
    """Return how a call's queue calls back."""
    return policy_of(waiting.queue_of(turn.state, call.queue_id) or tn.Queue())


def agent_answered(turn: Turn, offer: Offer) -> None:
    """Dial the customer of an agent who has answered, or let the agent go when that may not be any more."""
    call = turn.state.calls[offer.call_id]
    task = turn.state.callbacks[call.callback_id]
    queue = planning.queue_of(turn, task)
    calls.to_stage(call, CallStage.CALLING)
    offers.accept(turn, offer)
    waiting.leave(turn, call, ev.QUEUE_EXIT_UNSPECIFIED)
    call.agent_id, call.other_leg_id = offer.agent_id, offer.leg_id
    if queue is None or not _may_be_dialled(turn, task, queue):
        calls.hang_up(turn, call, ev.CALL_EXIT_NOT_REACHED)
        return
    turn.command(call, offer.leg_id).start_music.stream = queue.music
    _dial(turn, call, task, offer.agent_id)


def _is_ahead(turn: Turn, task: Callback) -> bool:
    """Whether a task's campaign dials its customer before an agent is kept free."""
    configuration, run = turn.state.configuration, turn.state.campaigns.get(task.campaign_id)
    campaign = configuration.campaigns.get(task.campaign_id) if configuration else None
    return run is not None and campaign is not None and pacing.is_predictive(campaign, run)


def _dial_ahead(turn: Turn, task: Callback, queue: tn.Queue) -> None:
    """Dial a customer who will wait in the queue as any caller; one who would be too many rests a moment."""
    run, configuration = turn.state.campaigns[task.campaign_id], turn.state.configuration
    campaign = configuration.campaigns[task.campaign_id] if configuration else tn.Campaign()
    _take_turn(turn, task)
    if pacing.ringing(turn, run) >= pacing.rings_wanted(turn, run, campaign):
        planning.plan(turn, task, turn.now_ms + pacing.PACE_MS)
        return
    call = _new_call(turn, task, queue)
    call.stage, call.is_absent = CallStage.CALLING, True
    _tell_started(turn, call)
    pacing.note_dial(run)
    _dial(turn, call, task, "")


def dial_with_reserved(turn: Turn, call: Call, agent_id: str) -> None:
    """Dial the customer while an agent is kept free."""
    calls.to_stage(call, CallStage.CALLING)
    _dial(turn, call, turn.state.callbacks[call.callback_id], agent_id)


def customer_answered(turn: Turn, call: Call) -> None:
    """Connect a customer who answered with the agent who waits, or have the one ring who was kept free."""
    if call.stage is not CallStage.CALLING:
        return
    turn.cancel_timer("dial", call.call_id)
    call.is_leg_answered = True
    calls.lease(turn, call)
    if call.other_leg_id:
        call.is_absent = False
        turn.state.absent.discard(call.call_id)
        calls.to_stage(call, CallStage.CONNECTING)
        talking.connect(turn, call, call.other_leg_id)
        return
    task = turn.state.callbacks.get(call.callback_id)
    run = turn.state.campaigns.get(task.campaign_id) if task is not None else None
    if run is not None and not call.offers:
        pacing.note_answer(run)
    wait_live(turn, call)
    ring_ms = offers.ring_ms_of(waiting.queue_of(turn.state, call.queue_id) or tn.Queue())
    for offer_id in call.offers:
        offers.ring(turn, call, turn.state.offers[offer_id], ring_ms)


def dial_overdue(turn: Turn, call: Call) -> None:
    """Give a dial up whose end was not told."""
    calls.hang_up(turn, call, ev.CALL_EXIT_NOT_REACHED, "NO_ANSWER")


def drop_needless(turn: Turn) -> None:
    """End the calls that this decision made needless."""
    while turn.needless:
        call = turn.state.calls.get(turn.needless.pop(0))
        if call is not None:
            calls.hang_up(turn, call, ev.CALL_EXIT_NOT_REACHED)


def _may_be_dialled(turn: Turn, task: Callback, queue: tn.Queue) -> bool:
    """Whether a task's number may be dialled now; if not, the task is planned anew or has failed for good."""
    policy = policy_of(queue)
    cause = _ban(turn, task, queue, policy)
    opens_ms = _next_hour_ms(turn, task, policy)
    if cause or opens_ms == NEVER:
        planning.postpone(turn, task, turn.now_ms)
        planning.failed(turn, task, cause or NO_HOUR, is_final=True)
        return False
    if opens_ms > turn.now_ms:
        planning.postpone(turn, task, opens_ms)
        return False
    if not turn.state.node or _is_full(turn) or _is_held_back(turn, task):
        planning.postpone(turn, task, turn.now_ms + planning.LATER_MS)
        return False
    return True


def _ban(turn: Turn, task: Callback, queue: tn.Queue, policy: Policy) -> str:
    """Return why a number may never be dialled, by the document in force; empty when it may."""
    configuration = turn.state.configuration
    if configuration is None:
        return NOT_ALLOWED
    document = configuration.document
    listed = [*document.black_lists, *queue.black_lists, *policy.black_lists]
    if any(configuration.lists[each].holds(task.number) for each in listed if each in configuration.lists):
        return BLACKLISTED
    if task.number in configuration.lines:
        return OWN_LINE
    if ban(configuration.limits, task.number):
        return NOT_ALLOWED
    return ""


def _next_hour_ms(turn: Turn, task: Callback, policy: Policy) -> int:
    configuration = turn.state.configuration
    zones = time_zones(task.number) or ((configuration.document.time_zone if configuration else "") or "UTC",)
    try:
        return next_allowed_ms(policy.hours, zones, turn.now_ms)
    except (ZoneInfoNotFoundError, ValueError):  # of the tenant's document; it is not guessed when a customer sleeps
        return NEVER


def _is_full(turn: Turn) -> bool:
    """Whether the tenant has as many calls as it may, or has spent what it may today."""
    limits = _limits(turn)
    live = calls.live_calls(turn.state)
    return 0 < limits.concurrent_calls <= live or outbound.overspent(turn, limits) is not None


def _limits(turn: Turn) -> tn.Limits:
    configuration = turn.state.configuration
    return configuration.limits if configuration else tn.Limits()


def _is_held_back(turn: Turn, task: Callback) -> bool:
    """Whether a task's campaign is paused, or it or its line dials as many customers as may be."""
    configuration, run = turn.state.configuration, turn.state.campaigns.get(task.campaign_id)
    campaign = configuration.campaigns.get(task.campaign_id) if configuration else None
    if campaign is None:
        return False
    if run is None:  # the campaign has gone to another log, and its task was just being called when it went
        return pacing.is_line_full_of_left(turn, campaign.line, task.callback_id)
    return not run.is_running or pacing.is_full(turn, run, campaign, task.callback_id)


def _enter(turn: Turn, task: Callback, queue: tn.Queue) -> None:
    """Put a call without a customer into the queue's order: at the place kept for it, or as one who comes now."""
    state = turn.state
    call = _new_call(turn, task, queue)
    call.stage, call.is_absent, call.is_waiting = CallStage.WAITING, True, True
    widening.widen(turn, call, state.indexes[queue.queue_id])
    waiting.index_call(state, call)
    turn.callers.append(call.call_id)


def _take_turn(turn: Turn, task: Callback) -> None:
    """Count a task among those of its campaign that have the turn, also one that rested since its last attempt."""
    run = turn.state.campaigns.get(task.campaign_id)
    if run is not None and task.callback_id not in run.active:
        run.active.append(task.callback_id)


def _new_call(turn: Turn, task: Callback, queue: tn.Queue) -> Call:
    state = turn.state
    call = Call(turn.new_leg_id(), state.node, task.line, task.number, task.name, state.version, "", turn.now_ms)
    call.callback_id, call.queue_id = task.callback_id, queue.queue_id
    call.keeps_place = bool(task.entered_ms)
    call.priority = task.priority if call.keeps_place else task.priority + policy_of(queue).priority
    call.skills = dict(task.skills)
    if call.keeps_place:
        call.entered_ms, call.entered_order = task.entered_ms, task.entered_order
    else:
        state.entries += 1
        call.entered_ms, call.entered_order = turn.now_ms, state.entries
    call.joined_ms = call.entered_ms
    call.last_agent_id = remembering.last_agent(state, call, queue)
    task.call_id = call.call_id
    _take_turn(turn, task)
    outbound.note_begun(turn, _limits(turn))
    state.calls[call.call_id] = call
    state.absent.add(call.call_id)
    versions.hold(state, call.version)
    return call


def _dial(turn: Turn, call: Call, task: Callback, agent_id: str) -> None:
    policy = policy_for(turn, call)
    task.attempts += 1
    call.dialled_ms = turn.now_ms
    command = turn.command(call, call.call_id, policy.ring_ms)
    originate = command.originate_leg
    originate.number, originate.gateway = task.number, policy.gateway
    originate.ring_timeout_ms = policy.ring_ms
    originate.caller_number = policy.caller_number or task.line
    leg = Leg(call.call_id, call.call_id, LegRole.CUSTOMER, call.node, command_id=command.command_id)
    turn.state.legs[leg.leg_id] = leg
    outbound.dialled(turn, leg.leg_id, task.number)
    turn.set_timer("dial", call.call_id, policy.ring_ms + GUARD_MS)
    planning.tell_attempted(turn, task, agent_id)


def _tell_started(turn: Turn, call: Call) -> None:
    body = turn.call_event(call).call_started
    body.direction = sw.DIRECTION_OUTBOUND
    body.line = call.line
    body.caller.number, body.caller.name = call.caller_number, call.caller_name
    body.leg_id = call.call_id
    body.tenant_version = call.version
    body.node = call.node
    body.callback_id = call.callback_id
    telling.call_begun(turn, call)
