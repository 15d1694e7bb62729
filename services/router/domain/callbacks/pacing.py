"""How many customers a predictive campaign rings ahead of its agents (SPEC 4.4).

It expects of each customer who is rung to answer as often as the last ones did, and of each busy agent to finish within
a ring as often as the queue's average handling lets expect. How much of that it dares (`boost`) it learns: a little
more with every customer who was served, half as much with every one who hung up before an agent was there. Nothing
dared is progressive dialling, one customer for each free agent. Above the cap on abandons it dials as preview.
"""

import math
from collections.abc import Iterator

from services.router.domain import estimating
from services.router.domain.callbacks import planning
from services.router.domain.callbacks.task import Callback, CampaignRun
from services.router.domain.lifecycle import AgentState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

PACE_MS = 1_000
"""Agents come and go between the campaign's own events: it is looked after so often while it runs."""
RING_MS = 8_000
"""What passes from the dial to most answers."""
DEFAULT_ABANDON_PERCENT = 3
"""Where the campaign names none."""
MOST_BOOST = 100
STEP = 2
_REMEMBERED = 200
_FEWEST_ANSWERS = 0.1
_BUSY = (AgentState.TALKING, AgentState.HOLDING, AgentState.WRAP_UP)


def is_predictive(campaign: tn.Campaign, run: CampaignRun) -> bool:
    """Whether customers are dialled ahead of agents now."""
    return campaign.pacing == tn.PACING_PREDICTIVE and not run.is_slow


def cap_percent(campaign: tn.Campaign) -> int:
    """Return the cap on abandons, 0 = none."""
    is_ahead = campaign.pacing == tn.PACING_PREDICTIVE
    return campaign.abandon_percent or (DEFAULT_ABANDON_PERCENT if is_ahead else 0)


def note_dial(run: CampaignRun) -> None:
    """Count a dial; the older half is forgotten from time to time, so that the day's hour counts."""
    run.dialled += 1
    if run.dialled >= _REMEMBERED:
        run.dialled, run.answered = run.dialled // 2, run.answered // 2


def note_answer(run: CampaignRun) -> None:
    """Count a customer who answered."""
    run.answered += 1


def learn(run: CampaignRun, *, is_served: bool) -> None:
    """Dare a little more after a customer who was served, half as much after one who hung up."""
    run.boost = min(MOST_BOOST, run.boost + STEP) if is_served else run.boost // 2


def rings_wanted(turn: Turn, run: CampaignRun, campaign: tn.Campaign) -> int:
    """Return how many customers' phones should ring at this moment."""
    index = turn.state.indexes.get(campaign.queue_id)
    if index is None:
        return 0
    free = max(0, index.states[AgentState.IDLE] - len(index.waiting))
    busy = sum(index.states[state] for state in _BUSY)
    handling_ms = estimating.handling_ms(turn.state, campaign.queue_id)
    ending = busy * (1 - math.exp(-RING_MS / handling_ms))
    rate = max(_FEWEST_ANSWERS, (run.answered + 1) / (run.dialled + 1))
    dared = run.boost / MOST_BOOST
    return int(free * (1 + dared * (1 / rate - 1)) + dared * ending / rate)


def ringing(turn: Turn, run: CampaignRun) -> int:
    """Return how many customers' phones ring."""
    calls = (turn.state.calls.get(task.call_id) for task in _turns(turn, run))
    return sum(call is not None and not call.is_leg_answered for call in calls)


def about_to_ring(turn: Turn, run: CampaignRun) -> int:
    """Return how many more have the turn and will be dialled."""
    return sum(task.call_id not in turn.state.calls for task in _turns(turn, run))


def is_full(turn: Turn, run: CampaignRun, campaign: tn.Campaign, but: str = "") -> bool:
    """Whether a campaign, or all of its line together, dial as many customers as may be, one task left out."""
    if 0 < campaign.most_dials <= _dialling(turn, run, but):
        return True
    return is_line_full(turn, campaign.line, but)


def is_line_full(turn: Turn, line: str, but: str = "") -> bool:
    """Whether all campaigns of a line together dial as many customers as it may."""
    most = _most_of_line(turn, line)
    return most > 0 and most <= sum(_dialling(turn, each, but) for each in of_line(turn, line))


def is_line_full_of_left(turn: Turn, line: str, but: str) -> bool:
    """Whether as many customers as a line may dial are dialled for what its campaigns left here when they went."""
    most = _most_of_line(turn, line)
    if not most:
        return False
    left = (task for task in turn.state.callbacks.values() if task.campaign_id and task.callback_id != but)
    return most <= sum(task.line == line and planning.is_dialling(turn, task) for task in left)


def _most_of_line(turn: Turn, line: str) -> int:
    """Return how many customers a line may dial at once; 0 = as many as there are."""
    configuration = turn.state.configuration
    return configuration.line_dials.get(line, 0) if configuration else 0


def of_line(turn: Turn, line: str) -> list[CampaignRun]:
    """Return the campaigns that dial under a line."""
    configuration = turn.state.configuration
    known = configuration.campaigns if configuration else {}
    runs = turn.state.campaigns.values()
    return [run for run in runs if run.campaign_id in known and known[run.campaign_id].line == line]


def _dialling(turn: Turn, run: CampaignRun, but: str) -> int:
    return sum(task.callback_id != but and planning.is_dialling(turn, task) for task in _turns(turn, run))


def _turns(turn: Turn, run: CampaignRun) -> Iterator[Callback]:
    """Yield the tasks that have the turn; one that this decision ended is counted out a moment later."""
    for callback_id in run.active:
        task = turn.state.callbacks.get(callback_id)
        if task is not None:
            yield task
