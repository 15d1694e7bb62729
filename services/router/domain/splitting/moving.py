"""What a new document has put elsewhere goes there as soon as its work here is over: no call is cut, no agent (ADR 33).

Callers who wait go at once and keep their place; agents at rest go at once, others when they are at rest; so do
callbacks and campaigns. Who talks, or hears a prompt, is led on by the log that has the call.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from services.router.domain import agents
from services.router.domain.callbacks import campaign, opening, planning
from services.router.domain.callbacks.task import Callback, CampaignRun
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import Agent, Call
from services.router.domain.splitting import leaving, telling
from services.router.domain.splitting.records import built
from services.router.domain.state import TenantState
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import input_pb2 as ip
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

MOST_TOGETHER: Final = 500
"""Records in one note."""
MOST_CONTACTS: Final = 2_000
"""Customers of a campaign in one note."""


def tell_document(turn: Turn, document: TenantDocument) -> None:
    """Have every domain know the document, a new one also those that callers still go by."""
    state = turn.state
    for domain in state.domains:
        _pass_document(turn, domain, document)
    for one in document.routing_domains:
        if state.domain or one.domain_id in state.domains:
            continue
        state.domains.append(one.domain_id)
        greeting = turn.pass_on(one.domain_id).input
        greeting.fact.node = state.node
        greeting.fact.switch_connected.SetInParent()
        for version in sorted(state.documents):
            _pass_document(turn, one.domain_id, TenantDocument.FromString(state.documents[version]))


def _pass_document(turn: Turn, domain: str, document: TenantDocument) -> None:
    told = turn.pass_on(domain).input
    told.tenant_id, told.domain = turn.state.tenant_id, domain
    told.document.CopyFrom(document)


def find(state: TenantState) -> None:
    """Find who is here and belongs elsewhere, by the document in force."""
    configuration = state.configuration
    state.leavers, state.strays = set(), set()
    if configuration is None or not (configuration.is_split or state.domains):
        return
    homes = configuration.domain_of_agent
    known = (agent_id for agent_id in state.agents if agent_id in configuration.agents)
    state.leavers = {agent_id for agent_id in known if homes.get(agent_id, "") != state.domain}
    state.strays = {call.call_id for call in state.calls.values() if _is_stray(state, call)}


def _is_stray(state: TenantState, call: Call) -> bool:
    configuration = state.configuration
    is_known = configuration is not None and call.queue_id in configuration.queues
    return call.is_waiting and not call.is_absent and is_known and call.queue_id not in state.indexes


def follow_document(turn: Turn) -> None:
    """Send on the callbacks and campaigns of queues that a new document has put elsewhere, and find who else is to."""
    find(turn.state)
    for run in list(turn.state.campaigns.values()):  # before their tasks, which are counted where they come
        wanted = _campaign_queue(turn, run)
        if wanted and not _is_at_home(turn, wanted):
            _send_campaign(turn, run, wanted)
    for task in list(turn.state.callbacks.values()):
        if not _is_at_home(turn, task.queue_id) and not planning.is_dialling(turn, task):
            send_task(turn, task)


def send(turn: Turn) -> None:
    """Send on whom nothing keeps any more."""
    state = turn.state
    for call_id in sorted(state.strays):
        call = state.calls.get(call_id)
        if call is None or not call.is_waiting:
            state.strays.discard(call_id)
        elif call.stage is CallStage.WAITING and not call.offers:
            leaving.over(turn, call, _home_of(turn, call.queue_id), leaving.WAIT)
    _send_agents(turn, [agent_id for agent_id in sorted(state.leavers) if is_free(state, agent_id)])


# -- agents


def send_new(turn: Turn, agent_id: str, domain: str) -> None:
    """Let an agent begin in a domain, offline."""
    turn.state.agents[agent_id] = Agent(agent_id, since_ms=turn.now_ms)
    turn.state.leavers.add(agent_id)
    turn.state.agents_at[agent_id] = domain


def is_free(state: TenantState, agent_id: str) -> bool:
    """Whether an agent is here and nothing keeps it."""
    agent = state.agents.get(agent_id)
    if agent is None:
        state.leavers.discard(agent_id)
        return False
    is_bound = agent.offer_id or agent.leg_id or agent.call_id or agent.supervised_call_id
    return agent.state not in agents.BUSY and not is_bound


def _send_agents(turn: Turn, leaving_now: Sequence[str]) -> None:
    state, configuration = turn.state, turn.state.configuration
    if configuration is None:
        return
    of_home: dict[str, list[bytes]] = {}
    for agent_id in leaving_now:
        home = configuration.way_to(configuration.domain_of_agent.get(agent_id, ""))
        of_home.setdefault(home, []).append(packed_agent(turn, agent_id))
        if not state.domain:
            state.agents_at[agent_id] = home
    for home, records in of_home.items():
        for start in range(0, len(records), MOST_TOGETHER):
            turn.pass_on(home).agents.records.extend(records[start : start + MOST_TOGETHER])


def packed_agent(turn: Turn, agent_id: str) -> bytes:
    """Take an agent out of this log, and return its record for another one."""
    state = turn.state
    agent = state.agents.pop(agent_id)
    state.leavers.discard(agent_id)
    agents.went(turn, agent)
    sequence = state.sequences.pop(f"agent:{agent_id}", 0)
    rests_until = state.timers.get(f"reach:{agent_id}", 0)
    turn.cancel_timer("reach", agent_id)
    return orjson.dumps({"agent": agent, "sequence": sequence, "rests_until": rests_until})


def take_agents(turn: Turn, told: ip.PassedOn) -> None:
    """Take agents who have come; the reception sends those on who are not its own."""
    for packed in told.agents.records:
        take_agent(turn, packed)


def take_agent(turn: Turn, packed: bytes) -> None:
    """Take an agent who has come, for as long as something is to be done here; then it goes where it belongs."""
    state, configuration, record = turn.state, turn.state.configuration, orjson.loads(packed)
    agent = built(Agent, record["agent"])
    agent.state = AgentState(agent.state)
    state.agents[agent.agent_id] = agent
    state.agents_at.pop(agent.agent_id, None)
    if record["sequence"]:
        state.sequences[f"agent:{agent.agent_id}"] = record["sequence"]
    if record["rests_until"]:
        turn.set_timer("reach", agent.agent_id, max(1, record["rests_until"] - turn.now_ms))
    agents.came(turn, agent)
    if configuration is None or agent.agent_id not in configuration.agents:
        agents.remove(turn, agent)
    elif configuration.domain_of_agent.get(agent.agent_id, "") != state.domain:
        state.leavers.add(agent.agent_id)


def agent_gone(turn: Turn, told: ip.PassedOn) -> None:
    """Take note that an agent without an entry is gone; one who has an entry again meanwhile begins anew."""
    state, agent_id = turn.state, told.agent_gone.agent_id
    configuration = state.configuration
    state.agents_at.pop(agent_id, None)
    if told.agent_gone.sequence:
        state.sequences[f"agent:{agent_id}"] = told.agent_gone.sequence
    if configuration is None or agent_id not in configuration.agents or agent_id in state.agents:
        return
    home = configuration.domain_of_agent.get(agent_id, "")
    if home:
        send_new(turn, agent_id, home)
    else:
        agents.come_new(turn, agent_id)


# -- callbacks and campaigns


def send_task(turn: Turn, task: Callback) -> None:
    """Send an open callback to where its queue is; nobody hears of that."""
    state, home = turn.state, _home_of(turn, task.queue_id)
    planning.let_go(turn, task)
    planning.forget(turn, task)
    campaign.task_went(turn, task)
    sequence = state.sequences.pop(f"callback:{task.callback_id}", 0)
    turn.pass_on(home).callbacks.records.append(orjson.dumps({"task": task, "sequence": sequence}))
    if not state.domain:
        state.callbacks_at[task.callback_id] = home


def take_tasks(turn: Turn, told: ip.PassedOn) -> None:
    """Take callbacks whose queue is here; the reception sends others on."""
    for packed in told.callbacks.records:
        record = orjson.loads(packed)
        task = built(Callback, record["task"])
        take_task(turn, task, record["sequence"])
        if _is_at_home(turn, task.queue_id):
            turn.state.callbacks_at.pop(task.callback_id, None)
        else:
            send_task(turn, task)


def take_task(turn: Turn, task: Callback, sequence: int) -> None:
    """Take an open callback as it is; of two of one number and queue the one that is here stays."""
    task.lines = []
    if sequence:
        turn.state.sequences[f"callback:{task.callback_id}"] = sequence
    known = opening.find(turn, task.number, task.queue_id)
    opening.put(turn, task)
    campaign.task_came(turn, task)
    if known is not None:
        planning.cancel(turn, task, "merged")
    elif not task.call_id:
        planning.plan(turn, task, task.due_ms)


def _send_campaign(turn: Turn, run: CampaignRun, queue_id: str) -> None:
    home, waits = _home_of(turn, queue_id), run.waiting
    run.active, run.open, run.waiting = [], 0, waits[:MOST_CONTACTS]  # its tasks come after it, and count there
    telling.pass_campaign(turn, home, run)
    for start in range(MOST_CONTACTS, len(waits), MOST_CONTACTS):
        more = CampaignRun(run.campaign_id, waiting=waits[start : start + MOST_CONTACTS])
        telling.pass_campaign(turn, home, more)
    campaign.forget_run(turn, run.campaign_id)


def take_campaigns(turn: Turn, told: ip.PassedOn) -> None:
    """Take campaigns whose queue is here, or more of their customers; the reception sends others on."""
    state = turn.state
    for packed in told.campaigns.records:
        record = orjson.loads(packed)
        came = built(CampaignRun, record["run"])
        if record["sequence"]:
            state.sequences[f"campaign:{came.campaign_id}"] = record["sequence"]
        run = campaign.join_run(turn, came)
        state.campaigns_at.pop(came.campaign_id, None)
        wanted = _campaign_queue(turn, run)
        if not wanted:
            campaign.forget_run(turn, run.campaign_id)
        elif not _is_at_home(turn, wanted):
            _send_campaign(turn, run, wanted)


# -- small parts


def _home_of(turn: Turn, queue_id: str) -> str:
    configuration = turn.state.configuration
    return configuration.way_to(configuration.domain_of_queue.get(queue_id, "")) if configuration else ""


def _is_at_home(turn: Turn, queue_id: str) -> bool:
    configuration = turn.state.configuration
    return configuration is None or configuration.is_here(queue_id)


def _campaign_queue(turn: Turn, run: CampaignRun) -> str:
    configuration = turn.state.configuration
    wanted = configuration.campaigns.get(run.campaign_id) if configuration else None
    return wanted.queue_id if wanted is not None else ""
