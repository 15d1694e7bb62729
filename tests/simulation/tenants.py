"""Tenants drawn by lot: every strategy, every modifier of a queue, every kind of step that a caller can pass."""

import random

from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

SKILLS = ("billing", "english", "repairs")
VIP = "+38067*"
BLACK = "+38093*"
STRATEGIES = [tn.Strategy.Value(name) for name in tn.Strategy.keys() if name != "STRATEGY_UNSPECIFIED"]  # noqa: SIM118 - an enum, not a dict
CONSENTS = (tn.CONSENT_MODE_ANNOUNCE, tn.CONSENT_MODE_PRESS_KEY, tn.CONSENT_MODE_DO_NOT_RECORD)
GROUPS = ("north", "south", "west")


def line_of(tenant_id: str) -> str:
    """Return the line of a tenant; lines differ, so no caller can be meant for two."""
    return f"+38044{sum(tenant_id.encode()):07d}"


def draw(lot: random.Random, tenant_id: str, version: int) -> tn.TenantDocument:
    """Return a version of a tenant. Names stay from one version to the next; who and what there is may change."""
    made = tn.TenantDocument(
        tenant_id=tenant_id, version=version, time_zone="Europe/Kyiv", languages=["uk"], domain=f"{tenant_id}.example"
    )
    made.recording.mode = lot.choice([tn.RECORDING_MODE_ALL, tn.RECORDING_MODE_NONE, tn.RECORDING_MODE_ON_CONSENT])
    made.limits.concurrent_calls = lot.choice([0, 0, 30])
    made.limits.allowed_prefixes.extend(["+44", "+38050", "+38067"])
    made.lists.add(list_id="vip", numbers=[VIP])
    made.lists.add(list_id="black", numbers=[BLACK])
    made.schedules.add(schedule_id="office").open.add(days=[1, 2, 3, 4, 5, 6, 7], until="24:00", **{"from": "00:00"})
    made.dispositions.extend(["sold", "refused"])
    agents = [f"a{number}" for number in range(lot.randint(3, 9))]
    for name in agents:
        _add_agent(lot, made, name)
    queues = [f"q{number}" for number in range(lot.randint(1, 4))]
    for number, queue_id in enumerate(queues):
        _add_queue(lot, made, queue_id, agents)
        if lot.random() < 0.4:
            _overflow(lot, made.queues[number], queues)
    if lot.random() < 0.4:
        campaign = made.campaigns.add(campaign_id="spring", queue_id=lot.choice(queues), line=line_of(tenant_id))
        campaign.pacing = lot.choice([tn.PACING_PREVIEW, tn.PACING_PROGRESSIVE, tn.PACING_PREDICTIVE])
        campaign.most_dials, campaign.abandon_percent = lot.choice([0, 2]), lot.choice([0, 20])
    _add_flow(lot, made, queues, agents)
    made.lines.add(number=line_of(tenant_id), flow="main")
    apart = random.Random(made.SerializeToString(deterministic=True))  # a lot of its own: days stay as they were
    _limit(apart, made.limits)
    _share_line(apart, made)
    return made


def _limit(lot: random.Random, limits: tn.Limits) -> None:
    limits.calls_per_second = lot.choice([0, 0, 1])
    if lot.random() < 0.5:
        for prefix in ("+44", "+380", "+38067"):
            limits.tariffs.add(prefix=prefix, price_per_minute=lot.choice([0.02, 0.5, 3.0]))
        limits.outbound_spend_per_day = lot.choice([0.0, 5.0, 60.0])
    if lot.random() < 0.1:
        limits.denied_prefixes.append("+4420")
    if lot.random() < 0.7:
        limits.allowed_sip_hosts.append("*.example")


def _share_line(lot: random.Random, made: tn.TenantDocument) -> None:
    """Let a second campaign dial under the same line, and the line have a limit."""
    if made.campaigns and lot.random() < 0.5:
        summer = made.campaigns.add(
            campaign_id="summer", queue_id=made.campaigns[0].queue_id, line=made.lines[0].number
        )
        summer.pacing = lot.choice([tn.PACING_PREVIEW, tn.PACING_PROGRESSIVE, tn.PACING_PREDICTIVE])
        made.lines[0].most_dials = lot.choice([0, 1, 2])


def _add_agent(lot: random.Random, made: tn.TenantDocument, name: str) -> None:
    agent = made.agents.add(agent_id=name, name=name, phone=f"phone-{name}")
    for skill in SKILLS:
        if lot.random() < 0.6:
            agent.skills[skill] = lot.randint(1, 100)
    for group_id in lot.choice([GROUPS[:1], GROUPS[1:2], GROUPS[1:], GROUPS[:2], ()]):
        group = next((group for group in made.groups if group.group_id == group_id), None)
        (group or made.groups.add(group_id=group_id)).agent_ids.append(name)


def _add_queue(lot: random.Random, made: tn.TenantDocument, queue_id: str, agents: list[str]) -> None:
    queue = made.queues.add(
        queue_id=queue_id,
        strategy=lot.choice(STRATEGIES),
        ring_timeout_seconds=lot.choice([5, 15]),
        wrap_up_seconds=lot.choice([0, 4, 20]),
        max_wait_seconds=lot.choice([0, 60, 120]),
        capacity=lot.choice([0, 0, 6]),
        service_level_seconds=lot.choice([10, 20, 40]),
        short_abandon_seconds=5,
        priority=lot.choice([0, 0, 1]),
        misses_until_away=lot.choice([0, 2]),
        level_seconds=lot.choice([0, 8]),
        waits_for_empty_levels=lot.random() < 0.5,
        progress_seconds=lot.choice([0, 3]),
        weighted_by_position=lot.random() < 0.5,
        window_seconds=lot.choice([0, 120]),
        ageing_seconds=lot.choice([0, 0, 10]),
        resume_seconds=lot.choice([0, 60]),
        music=lot.choice(["", "jazz"]),
        exit_keys=lot.choice(["", "9"]),
    )
    for name in lot.sample(agents, lot.randint(2, len(agents))):
        queue.tiers.add(agent_id=name, level=lot.randint(1, 3), position=lot.randint(1, 9))
    if lot.random() < 0.4:
        _call_back(lot, queue)
    if lot.random() < 0.5:
        _require_skills(lot, queue)
    if lot.random() < 0.3:
        queue.preferred_skills.add(skill=lot.choice(SKILLS), min_proficiency=lot.choice([0, 50]))
    if lot.random() < 0.4:
        queue.sticky.agent_seconds, queue.sticky.group_seconds = lot.choice([(6, 0), (6, 6), (0, 6)])
    if lot.random() < 0.5:
        queue.list_priorities.add(list_id="vip", priority=lot.choice([2, -1]))
    if lot.random() < 0.2:
        queue.black_lists.append("black")
    if lot.random() < 0.4:
        queue.announcements.add(prompts=["place"], first_seconds=6, every_seconds=15, says_position=True)


def _call_back(lot: random.Random, queue: tn.Queue) -> None:
    policy = queue.callbacks
    policy.after.extend([tn.LOST_CALL_ABANDONED, tn.LOST_CALL_TIMEOUT, tn.LOST_CALL_NO_AGENT])
    policy.order = lot.choice([tn.CALLBACK_ORDER_AGENT_FIRST, tn.CALLBACK_ORDER_CUSTOMER_FIRST])
    policy.attempts, policy.gap_seconds = 2, 60
    policy.first_after_seconds = lot.choice([0, 20])
    policy.ring_timeout_seconds, policy.expires_seconds = 10, 3_600


def _require_skills(lot: random.Random, queue: tn.Queue) -> None:
    skill = lot.choice(SKILLS)
    queue.required_skills.add(skill=skill, min_proficiency=lot.choice([0, 40, 70]))
    if lot.random() < 0.7:
        queue.rings.add(after_seconds=6).required_skills.add(skill=skill)
        queue.rings.add(after_seconds=14)


def _overflow(lot: random.Random, queue: tn.Queue, queues: list[str]) -> None:
    others = [queue_id for queue_id in queues if queue_id > queue.queue_id]
    if others:  # never back: a caller must come to an end
        queue.overflow.queue_id = lot.choice(others)
        queue.overflow.after_seconds = lot.choice([0, 20])
        queue.overflow.waiting = lot.choice([0, 3])
        queue.overflow.estimated_seconds = lot.choice([0, 90])


def _add_flow(lot: random.Random, made: tn.TenantDocument, queues: list[str], agents: list[str]) -> None:
    flow = made.flows.add(flow_id="main", start="hours")
    flow.variables.add(name="city", type=tn.VARIABLE_TYPE_TEXT, initial="Kyiv")
    flow.steps.add(step_id="hours", schedule=tn.ScheduleStep(schedule_id="office")).exits["open"] = "agree"
    consent = tn.ConsentStep(mode=lot.choice(CONSENTS), prompts=["recorded"], timeout_ms=3_000)
    flow.steps.add(step_id="agree", consent=consent).exits.update({"given": "ask", "refused": "ask"})
    ask = flow.steps.add(step_id="ask", menu=tn.MenuStep(prompts=["welcome"], tries=2, timeout_ms=3_000))
    if lot.random() < 0.3:
        ask.menu.spoken.add(exit="1", phrases=["sales", "I want to buy"])
        ask.menu.spoken.add(exit="boss", phrases=["the boss"])
        ask.exits.update({"boss": "boss", "invalid": "bye"})
    for digit, queue_id in enumerate(queues, 1):
        ask.exits[str(digit)] = f"wait-{queue_id}"
        _add_queue_step(lot, flow, queue_id)
    ask.exits.update({"5": "boss", "6": "leave", "7": "lookup", "8": "abroad", "0": "again", "timeout": "bye"})
    boss = tn.AgentStep(agent_id=lot.choice(agents), ring_timeout_seconds=10)
    ask.menu.barge_in = boss.agent_id != agents[0]  # without a lot of its own: the days of old seeds stay what they are
    flow.steps.add(step_id="boss", agent=boss).exits.update({"unavailable": "leave", "answered": "rate"})
    flow.steps.add(step_id="leave", voicemail=tn.VoicemailStep(prompts=["greet"], max_seconds=20)).exits["next"] = "bye"
    lookup = tn.LookupStep(url="https://crm.example/{caller}", timeout_ms=2_000)
    lookup.results.add(path="city", variable="city")
    flow.steps.add(step_id="lookup", lookup=lookup).exits.update({"next": "hear", "failed": f"wait-{queues[0]}"})
    flow.steps.add(step_id="hear", play=tn.PlayStep(prompts=["news"])).exits["next"] = f"wait-{queues[-1]}"
    abroad = tn.ForwardStep(number="+442071000000", ring_timeout_seconds=10)
    flow.steps.add(step_id="abroad", forward=abroad).exits["failed"] = "office"
    office = tn.ForwardStep(sip="desk@pbx.example:5070", ring_timeout_seconds=10)
    flow.steps.add(step_id="office", forward=office).exits["failed"] = "leave"
    callback = tn.CallbackStep(queue_id=queues[0], prompts=["call-back"], timeout_ms=3_000)
    flow.steps.add(step_id="again", callback=callback).exits.update({"requested": "bye", "declined": "bye"})
    survey = tn.SurveyStep(survey_id="nps", prompts=["rate"], lowest=1, highest=5, tries=1, timeout_ms=3_000)
    flow.steps.add(step_id="rate", survey=survey).exits.update({"next": "bye", "skipped": "bye"})
    flow.steps.add(step_id="bye", hangup=tn.HangUpStep(cause="NORMAL_CLEARING"))


def _add_queue_step(lot: random.Random, flow: tn.Flow, queue_id: str) -> None:
    wait = tn.QueueStep(queue_id=queue_id, priority=lot.choice([0, 0, 3]))
    if lot.random() < 0.2:
        wait.required_skills.add(skill=lot.choice(SKILLS))
    step = flow.steps.add(step_id=f"wait-{queue_id}", queue=wait)
    step.exits.update({"timeout": "leave", "no_agent": "again", "full": "bye", "blacklisted": "bye", "9": "again"})
    if lot.random() < 0.3:
        step.exits["answered"] = "rate"
