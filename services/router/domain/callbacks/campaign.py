"""Campaigns: a list of customers, called as agents are free (SPEC 4.4).

A campaign keeps few tasks open at a time; each is a callback like any other, so hours, attempts, black lists and one
task a number and queue hold here too. When one rests or is done the next customer of the list has the turn.
"""

from collections.abc import Collection

from services.router.domain.callbacks import opening, pacing, planning
from services.router.domain.callbacks.opening import Wish
from services.router.domain.callbacks.task import Callback, CampaignRun
from services.router.domain.splitting import telling
from services.router.domain.turn import Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.phone_number import normalised

REASON = "campaign"
PACE = "pace"
"""The timer of a predictive campaign that runs."""
MOST_CONTACTS = 50_000
"""Waiting customers of a tenant's campaigns together: they are part of each snapshot."""
MOST_AT_ONCE = 200
"""Customers in one request: to read a number takes some 50 µs, and nothing else is decided meanwhile."""
MOST_TASKS = 500
"""Open tasks of one campaign: beyond that nobody new has the turn, however many rest till their hour."""
FEWEST_JUDGED = 20
"""The share of abandons is judged from so many reached customers on: one of two is no half."""
_PERCENT = 100

Answer = tuple[str, str]
_ACCEPTED: Answer = ("", "")
_ON_ITS_WAY: Answer = (
    "campaign-on-its-way",
    "The campaign is on its way to another routing domain; try again in a moment.",
)


def add_contacts(turn: Turn, request: rq.Request) -> Answer:
    """Add customers to a list; those who wait in it already are not added again."""
    asked = request.add_contacts
    campaign = _campaign(turn, asked.campaign_id)
    if campaign is None:
        return _no_campaign(asked.campaign_id)
    if not _is_here(turn, campaign):
        return _ON_ITS_WAY
    if len(asked.contacts) > MOST_AT_ONCE:
        return "too-many-contacts", f"At most {MOST_AT_ONCE} customers can be added at once."
    waiting = sum(len(run.waiting) for run in turn.state.campaigns.values())
    if waiting + len(asked.contacts) > MOST_CONTACTS:
        return "too-many-contacts", f"{waiting} customers wait already; {MOST_CONTACTS} may."
    run = _run_of(turn, asked.campaign_id)
    known = {number for number, _ in run.waiting}
    for contact in asked.contacts:
        number = normalised(contact.number, campaign.line)
        if number and number not in known:
            known.add(number)
            run.waiting.append([number, contact.name])
    _tell(turn, run, "contacts_added", request.actor)
    _feed(turn, run, campaign)
    return _ACCEPTED


def run_campaign(turn: Turn, request: rq.Request) -> Answer:
    """Let a campaign dial, or pause it."""
    asked = request.run_campaign
    campaign = _campaign(turn, asked.campaign_id)
    if campaign is None:
        return _no_campaign(asked.campaign_id)
    if not _is_here(turn, campaign):
        return _ON_ITS_WAY
    run = _run_of(turn, asked.campaign_id)
    if run.is_running == asked.running:
        return _ACCEPTED
    run.is_running = asked.running
    _keep_pace(turn, run, campaign)
    _tell(turn, run, "started" if asked.running else "paused", request.actor)
    _feed(turn, run, campaign)
    return _ACCEPTED


def go_on(turn: Turn) -> None:
    """Count what became of campaigns' customers in this decision, and give the next ones their turn."""
    while turn.campaigns:
        campaign_id, callback_id, what = turn.campaigns.pop(0)
        run, campaign = turn.state.campaigns.get(campaign_id), _campaign(turn, campaign_id)
        if run is None:
            continue
        if callback_id in run.active and what != planning.ABANDONED:
            run.active.remove(callback_id)
        if what in (planning.REACHED, planning.GIVEN_UP):
            run.open -= 1
        run.reached += what == planning.REACHED
        run.failed += what == planning.GIVEN_UP
        run.abandoned += what == planning.ABANDONED
        if what in (planning.REACHED, planning.ABANDONED):
            pacing.learn(run, is_served=what == planning.REACHED)
        if campaign is not None:
            _judge(turn, run, campaign)
            _feed_line(turn, run, campaign)


def pace(turn: Turn, campaign_id: str) -> None:
    """Dial as many as the agents of this moment let expect to be served."""
    run, campaign = turn.state.campaigns.get(campaign_id), _campaign(turn, campaign_id)
    if run is not None and campaign is not None:
        _feed(turn, run, campaign)
        _keep_pace(turn, run, campaign)


def follow_document(turn: Turn) -> None:
    """Forget campaigns that a new document does not have, and their customers."""
    for run in turn.state.campaigns.values():
        campaign = _campaign(turn, run.campaign_id)
        if campaign is not None:
            _keep_pace(turn, run, campaign)
    for campaign_id in [known for known in turn.state.campaigns if _campaign(turn, known) is None]:
        forget_run(turn, campaign_id)
        telling.campaign_gone(turn, campaign_id)
        for task in [task for task in turn.state.callbacks.values() if task.campaign_id == campaign_id]:
            planning.cancel(turn, task, "campaign_removed")


def forget_run(turn: Turn, campaign_id: str) -> None:
    """Let a campaign go that is looked after elsewhere."""
    del turn.state.campaigns[campaign_id]
    turn.cancel_timer(PACE, campaign_id)


def join_run(turn: Turn, came: CampaignRun) -> CampaignRun:
    """Take a campaign, or more of its customers, from elsewhere; what is known of it here already is added to."""
    run = _run_of(turn, came.campaign_id)
    known = {number for number, _ in run.waiting}
    run.waiting += [contact for contact in came.waiting if contact[0] not in known]
    for name in ("reached", "failed", "abandoned", "dialled", "answered"):
        setattr(run, name, getattr(run, name) + getattr(came, name))
    run.is_running, run.is_slow, run.boost = run.is_running or came.is_running, came.is_slow, came.boost
    campaign = _campaign(turn, run.campaign_id)
    if campaign is not None:
        _keep_pace(turn, run, campaign)
        turn.campaigns.append((run.campaign_id, "", planning.RESTS))
    return run


def task_came(turn: Turn, task: Callback) -> None:
    """Count a task that came from elsewhere, where its campaign is here."""
    run = turn.state.campaigns.get(task.campaign_id)
    if run is not None:
        run.open += 1


def task_went(turn: Turn, task: Callback) -> None:
    """Count a task no more that goes elsewhere without its campaign, whose customers have another queue by now."""
    run = turn.state.campaigns.get(task.campaign_id)
    if run is not None:
        run.open -= 1
        turn.campaigns.append((task.campaign_id, task.callback_id, planning.RESTS))


def forget(turn: Turn, numbers: Collection[str]) -> int:
    """Strike customers off every list, and return how many times they stood there."""
    struck = 0
    for run in turn.state.campaigns.values():
        left = [contact for contact in run.waiting if contact[0] not in numbers]
        if len(left) == len(run.waiting):
            continue
        struck += len(run.waiting) - len(left)
        run.waiting = left
        _tell(turn, run, "contacts_removed", "")
        campaign = _campaign(turn, run.campaign_id)
        if campaign is not None:
            _feed(turn, run, campaign)
    return struck


def _run_of(turn: Turn, campaign_id: str) -> CampaignRun:
    """Return a campaign; one that is new here counts those of its tasks that are here before it."""
    run = turn.state.campaigns.get(campaign_id)
    if run is None:
        open_ = sum(task.campaign_id == campaign_id for task in turn.state.callbacks.values())
        run = turn.state.campaigns[campaign_id] = CampaignRun(campaign_id, open=open_)
    return run


def _keep_pace(turn: Turn, run: CampaignRun, campaign: tn.Campaign) -> None:
    if run.is_running and campaign.pacing == tn.PACING_PREDICTIVE:
        turn.set_timer(PACE, run.campaign_id, pacing.PACE_MS)
    else:
        turn.cancel_timer(PACE, run.campaign_id)


def _feed(turn: Turn, run: CampaignRun, campaign: tn.Campaign) -> None:
    """Open tasks for the next customers: as many as agents are at work, and the line may dial."""
    if not run.is_running:
        return
    while run.waiting and _has_room(turn, run, campaign) and run.open < MOST_TASKS:
        number, name = run.waiting.pop(0)
        if opening.find(turn, number, campaign.queue_id) is not None:
            continue
        wish = Wish(campaign.queue_id, number, REASON, campaign.line, name, campaign_id=campaign.campaign_id)
        task = opening.request(turn, wish)
        if task is None:
            run.waiting.insert(0, [number, name])
            return
        run.open += 1
        run.active.append(task.callback_id)
    if not run.waiting and not run.open:
        run.is_running = False
        _keep_pace(turn, run, campaign)
        _tell(turn, run, "done", "")


def _feed_line(turn: Turn, run: CampaignRun, campaign: tn.Campaign) -> None:
    """Give the next customers their turn, also those of campaigns that waited for the same line."""
    _feed(turn, run, campaign)
    configuration = turn.state.configuration
    if configuration is None or campaign.line not in configuration.line_dials:
        return
    for other in pacing.of_line(turn, campaign.line):
        if other is not run:
            _feed(turn, other, configuration.campaigns[other.campaign_id])


def _has_room(turn: Turn, run: CampaignRun, campaign: tn.Campaign) -> bool:
    """Whether one more customer may have the turn."""
    if pacing.is_line_full(turn, campaign.line):
        return False
    if pacing.is_predictive(campaign, run):
        under_way = pacing.ringing(turn, run) + pacing.about_to_ring(turn, run)
        is_wanted = under_way < pacing.rings_wanted(turn, run, campaign)
        return is_wanted and len(run.active) < (campaign.most_dials or MOST_TASKS)
    return len(run.active) < _room(turn, campaign)


def _room(turn: Turn, campaign: tn.Campaign) -> int:
    index = turn.state.indexes.get(campaign.queue_id)
    at_work = sum(index.logged_in.values()) if index else 0
    return min(max(1, at_work), campaign.most_dials or MOST_TASKS)


def _judge(turn: Turn, run: CampaignRun, campaign: tn.Campaign) -> None:
    """Dial as preview while too many hung up before an agent talked, and as the document says again below that."""
    reached = run.reached + run.abandoned
    share = run.abandoned * _PERCENT / reached if reached >= FEWEST_JUDGED else 0.0
    cap = pacing.cap_percent(campaign)
    is_slow = bool(cap) and share > cap
    if is_slow != run.is_slow:
        run.is_slow, run.boost = is_slow, 0
        _tell(turn, run, "slowed_down" if is_slow else "sped_up", "")


def _campaign(turn: Turn, campaign_id: str) -> tn.Campaign | None:
    configuration = turn.state.configuration
    return configuration.campaigns.get(campaign_id) if configuration else None


def _is_here(turn: Turn, campaign: tn.Campaign) -> bool:
    configuration = turn.state.configuration
    return configuration is None or configuration.is_here(campaign.queue_id)


def _no_campaign(campaign_id: str) -> Answer:
    return "campaign-not-found", f"There is no campaign {campaign_id}."


def _tell(turn: Turn, run: CampaignRun, change: str, actor: str) -> None:
    body = turn.subject_event(f"campaign:{run.campaign_id}").campaign_changed
    body.campaign_id, body.change, body.actor = run.campaign_id, change, actor
    body.waiting, body.open = len(run.waiting), run.open
    body.reached, body.failed, body.abandoned = run.reached, run.failed, run.abandoned
