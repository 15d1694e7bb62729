"""Steps that decide without a word to the caller: schedule, check_list, set, branch (SPEC 2.1)."""

from zoneinfo import ZoneInfoNotFoundError

from services.router.domain.flow import variables
from services.router.domain.flow.kinds import FlowFault, Kind, Left, configuration_of
from services.router.domain.model import Call
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.expressions import Unanswered
from services.shared.opening_hours import schedule_exit

OTHERWISE = "otherwise"


def _schedule(turn: Turn, call: Call, step: tn.Step) -> Left:
    configuration = configuration_of(turn, call)
    schedule = configuration.schedules.get(step.schedule.schedule_id)
    if schedule is None:
        raise FlowFault(f"there is no schedule {step.schedule.schedule_id}")
    try:
        way = schedule_exit(schedule, configuration.document.time_zone, turn.now_ms)
    except (ZoneInfoNotFoundError, ValueError) as fault:
        raise FlowFault("the time zone does not exist") from fault
    call.was_closed = way != "open"
    return way, f"schedule {schedule.schedule_id} says {way}"


def _check_list(turn: Turn, call: Call, step: tn.Step) -> Left:
    numbers = configuration_of(turn, call).lists.get(step.check_list.list_id)
    if numbers is None:
        raise FlowFault(f"there is no list {step.check_list.list_id}")
    if numbers.holds(call.caller_number):
        return "listed", f"the caller is in list {step.check_list.list_id}"
    return "not_listed", f"the caller is not in list {step.check_list.list_id}"


def _set(turn: Turn, call: Call, step: tn.Step) -> Left:
    """Set a variable; a value that can't be had leaves it as it was: no caller is lost by arithmetic."""
    scripts, place = configuration_of(turn, call).scripts, (call.flow_id, call.step_id)
    name = step.set.variable
    try:
        if place in scripts.values:
            value = scripts.values[place].value(variables.for_conditions(turn, call))
        else:
            value = scripts.texts[place].filled(variables.for_texts(turn, call))
        variables.keep(turn, call, name, value)
    except (Unanswered, variables.Unsuitable) as fault:
        return "next", f"{name} stays as it was: {fault}"
    return "next", f"{name} was set"


def _branch(turn: Turn, call: Call, _step: tn.Step) -> Left:
    """Take the first case that holds; one that has no answer does not hold, and that is told."""
    values = variables.for_conditions(turn, call)
    unanswered = ""
    cases = configuration_of(turn, call).scripts.cases[call.flow_id, call.step_id]
    for number, (condition, way) in enumerate(cases, 1):
        try:
            if condition.holds(values):
                return way, f"condition {number} holds{unanswered}"
        except Unanswered as fault:
            unanswered += f"; condition {number} has no answer: {fault}" if len(unanswered) < 200 else ""  # noqa: PLR2004 - the reason stays one sentence
    return OTHERWISE, f"no condition holds{unanswered}"


KINDS: dict[str, Kind] = {
    "schedule": Kind(_schedule),
    "check_list": Kind(_check_list),
    "set": Kind(_set),
    "branch": Kind(_branch),
}
