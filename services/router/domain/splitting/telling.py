"""What a domain tells the reception by the way (ADR 33); of a tenant that is whole nothing is told."""

import orjson

from services.router.domain.callbacks.task import CampaignRun
from services.router.domain.model import Call
from services.router.domain.turn import Turn


def call_begun(turn: Turn, call: Call) -> None:
    """Tell of a call that is made here."""
    if turn.state.domain:
        told = turn.pass_on("").call
        told.call_id, told.number = call.call_id, call.caller_number


def call_over(turn: Turn, call: Call) -> None:
    """Tell that a call is over."""
    if turn.state.domain:
        told = turn.pass_on("").call
        told.call_id, told.is_over = call.call_id, True


def agent_gone(turn: Turn, agent_id: str) -> None:
    """Tell that the last work of an agent is over whom the document does not have any more."""
    if turn.state.domain:
        told = turn.pass_on("").agent_gone
        told.agent_id, told.sequence = agent_id, turn.state.sequences.pop(f"agent:{agent_id}", 0)


def campaign_gone(turn: Turn, campaign_id: str) -> None:
    """Give back to the reception what is left of a campaign: how many events were told of it."""
    if turn.state.domain:
        pass_campaign(turn, "", CampaignRun(campaign_id))


def pass_campaign(turn: Turn, domain: str, run: CampaignRun) -> None:
    """Pass a campaign on; it is told of in one count, wherever it is."""
    sequence = turn.state.sequences.pop(f"campaign:{run.campaign_id}", 0)
    turn.pass_on(domain).campaigns.records.append(orjson.dumps({"run": run, "sequence": sequence}))
    if not turn.state.domain:
        turn.state.campaigns_at[run.campaign_id] = domain
