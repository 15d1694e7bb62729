"""Each type of step by what a caller would notice and what the events tell (SPEC 2.1, 2.3)."""

from typing import Any

import orjson
import pytest

from services.router.domain import flow
from services.router.domain.errors import UnreadableFlow
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import TENANT, Log, document

TEXT, NUMBER, FLAG = tn.VARIABLE_TYPE_TEXT, tn.VARIABLE_TYPE_NUMBER, tn.VARIABLE_TYPE_FLAG
VARIABLES = [
    tn.Variable(name="account", type=TEXT),
    tn.Variable(name="score", type=NUMBER, initial="3"),
    tn.Variable(name="vip", type=FLAG),
]


def step(step_id: str, exits: dict[str, str] | None = None, **kind: Any) -> tn.Step:
    return tn.Step(step_id=step_id, exits=exits or {}, **kind)


def told(step_id: str, name: str) -> tn.Step:
    """Return a step by whose prompt a test sees where a call went."""
    return step(step_id, {"next": "return"}, play=tn.PlayStep(prompts=[name]))


def log_of(*steps: tn.Step, more: tuple[tn.Flow, ...] = (), **fields: Any) -> Log:
    tenant = document()
    del tenant.flows[:]
    tenant.flows.append(tn.Flow(flow_id="main", start=steps[0].step_id, steps=steps, variables=VARIABLES))
    tenant.flows.extend(more)
    tenant.MergeFrom(tn.TenantDocument(**fields))
    return Log(tenant)


def left(log: Log, step_id: str) -> tuple[str, str]:
    bodies = [event.flow_step_left for event in log.events("flow_step_left")]
    body = [body for body in bodies if body.step_id == step_id][-1]
    return body.exit, body.why


def played(log: Log, *, completed: bool = True, call_id: str = "c1") -> None:
    command = log.last_command("play_prompt", call_id)
    log.fact(call_id, playback_finished=sw.PlaybackFinished(command_id=command.command_id, completed=completed))


def entered(log: Log, digits: str, call_id: str = "c1") -> None:
    log.press(call_id, digits)


def heard(log: Log) -> list[str]:
    return [
        prompt.name or prompt.text for command in log.commands("play_prompt") for prompt in command.play_prompt.prompts
    ]


def ends(log: Log) -> int:
    log.hangs_up("c1")
    assert log.state.timers == {}
    assert not log.state.calls
    return log.events("call_ended")[-1].call_ended.exit


def test_say_speaks_its_text_with_the_variables_of_the_call() -> None:
    log = log_of(
        step("say", {"next": "return"}, say=tn.SayStep(text="You are {caller}, {vars.score} points", language="en"))
    )
    log.arrive("c1", "+380501112233")
    prompt = log.last_command("play_prompt").play_prompt.prompts[0]
    assert (prompt.text, prompt.language) == ("You are +380501112233, 3 points", "en")
    played(log)
    assert log.last_command("hang_up_leg").leg_id == "c1"
    assert ends(log) == ev.CALL_EXIT_FLOW_ENDED


def test_a_prompt_that_the_document_gives_a_text_for_is_spoken() -> None:
    log = log_of(told("hear", "news"), prompts=[tn.NamedPrompt(prompt_id="news", text="Good day", language="en")])
    log.arrive("c1")
    assert log.last_command("play_prompt").play_prompt.prompts[0].text == "Good day"


def collecting(variable: str = "account") -> Log:
    return log_of(
        step(
            "ask",
            {"next": "yes", "timeout": "late", "invalid": "wrong"},
            collect=tn.CollectStep(prompts=["enter"], variable=variable, min_digits=4, max_digits=6, terminators="#"),
        ),
        told("yes", "yes"),
        told("late", "late"),
        told("wrong", "wrong"),
    )


def test_collect_keeps_digits_in_a_variable_and_in_no_event() -> None:
    log = collecting()
    log.arrive("c1")
    ask = log.last_command("collect_digits").collect_digits
    assert (ask.min_digits, ask.max_digits, ask.terminators) == (4, 6, "#")
    entered(log, "482915")
    assert log.state.calls["c1"].variables["account"] == "482915"
    assert heard(log) == ["yes"]
    assert all(b"482915" not in event.SerializeToString() for event in log.all_events())


def test_collect_leaves_by_its_own_exit_when_nothing_was_pressed() -> None:
    log = collecting()
    log.arrive("c1")
    entered(log, "")
    assert heard(log) == ["late"]


def test_digits_that_are_no_number_are_invalid_where_a_number_is_wanted() -> None:
    log = collecting("score")
    log.arrive("c1")
    entered(log, "12*4")
    assert heard(log) == ["wrong"]
    assert log.state.calls["c1"].variables["score"] == 3


@pytest.mark.parametrize(
    ("wish", "kept"),
    [
        (tn.SetStep(variable="account", text="A-{vars.score}"), "A-3"),
        (tn.SetStep(variable="score", expression="vars.score * 2 + 1"), 7),
        (tn.SetStep(variable="vip", expression="caller.startsWith('+38050')"), True),
    ],
)
def test_set_keeps_a_text_or_what_an_expression_gives(wish: tn.SetStep, kept: str | int | bool) -> None:  # noqa: FBT001 - a value
    log = log_of(step("set", {"next": "hear"}, set=wish), told("hear", "on"))
    log.arrive("c1")
    assert log.state.calls["c1"].variables == {"score": 3} | {wish.variable: kept}
    assert left(log, "set") == ("next", f"{wish.variable} was set")


@pytest.mark.parametrize(
    "wish",
    [
        tn.SetStep(variable="score", text="many"),
        tn.SetStep(variable="score", expression="1 / 0"),
        tn.SetStep(variable="score", expression="9007199254740993 * 1000"),
        tn.SetStep(variable="score", expression="size(vars.account)"),
        tn.SetStep(variable="vip", expression="vars.score"),
        tn.SetStep(variable="nobody", text="x"),
    ],
)
def test_a_value_that_can_not_be_had_leaves_the_variable_and_loses_no_caller(wish: tn.SetStep) -> None:
    log = log_of(step("set", {"next": "hear"}, set=wish), told("hear", "on"))
    log.arrive("c1")
    assert heard(log) == ["on"]
    assert log.state.calls["c1"].variables == {"score": 3}
    assert "stays as it was" in left(log, "set")[1]


@pytest.mark.parametrize(
    ("conditions", "way"),
    [
        (["vars.score > 2", "true"], "case1"),
        (["vars.score > 5", "caller.endsWith('33')"], "case2"),
        (["false", "1 == 2"], "otherwise"),
        (["vars.account == 'x'", "true"], "case2"),
        (["vars.score", "1 / 0 > 1"], "otherwise"),
        (["has(vars.account)", "hour >= 0 && weekday <= 7 && !answered && waited == 0"], "case2"),
    ],
)
def test_branch_takes_the_first_condition_that_holds_and_else_otherwise(conditions: list[str], way: str) -> None:
    cases = [tn.BranchCase(condition=text, exit=f"case{number}") for number, text in enumerate(conditions, 1)]
    exits = {name: name for name in ("case1", "case2", "otherwise")}
    log = log_of(step("which", exits, branch=tn.BranchStep(cases=cases)), *(told(name, name) for name in exits))
    log.arrive("c1")
    assert heard(log) == [way]


def test_a_condition_without_an_answer_is_told_in_the_trace() -> None:
    case = tn.BranchCase(condition="vars.account == 'x'", exit="a")
    log = log_of(step("which", {"otherwise": "b", "a": "b"}, branch=tn.BranchStep(cases=[case])), told("b", "b"))
    log.arrive("c1")
    assert left(log, "which") == ("otherwise", "no condition holds; condition 1 has no answer: a variable is not set")


@pytest.mark.parametrize("condition", ["caller ==", "nobody == 1", "[1].map(x, x)", "vars.unknown == 1", "(" * 400])
def test_a_document_with_a_condition_that_can_not_be_read_is_refused_whole(condition: str) -> None:
    log = Log(document())
    newer = document(version=2)
    branch = tn.BranchStep(cases=[tn.BranchCase(condition=condition, exit="a")])
    newer.flows[0].steps.append(step("which", {"otherwise": "bye", "a": "bye"}, branch=branch))
    with pytest.raises(UnreadableFlow, match="step which"):
        log.feed(Input(tenant_id=TENANT, document=newer))
    assert log.state.version == 1


def with_agent(**exits: str) -> Log:
    return log_of(
        step("taras", {"unavailable": "sorry", **exits}, agent=tn.AgentStep(agent_id="taras", ring_timeout_seconds=10)),
        told("sorry", "sorry"),
        step(
            "rate",
            {"next": "thanks", "skipped": "return"},
            survey=tn.SurveyStep(survey_id="nps", prompts=["rate"], lowest=1, highest=5),
        ),
        told("thanks", "thanks"),
    )


def test_agent_rings_the_one_who_is_named_and_nobody_else() -> None:
    log = with_agent()
    log.ready("olena", "taras")
    log.arrive("c1")
    offer = log.events("offer_created")[-1].offer_created
    assert (offer.agent_id, offer.queue_id, offer.strategy) == ("taras", "", "named_agent")
    originate = log.talk("c1")
    assert originate.originate_leg.phone == "phone-taras@acme.example"
    assert log.events("call_answered")[-1].call_answered.agent_id == "taras"
    assert not log.events("queue_left")
    log.hangs_up(originate.leg_id)
    assert ends(log) == ev.CALL_EXIT_ANSWERED


@pytest.mark.parametrize("how", ["is_offline", "rings_out", "refuses", "can_not_be_reached", "bridge_fails"])
def test_agent_who_does_not_take_the_call_lets_the_flow_go_on(how: str) -> None:
    log = with_agent()
    log.ready(*(["olena"] if how == "is_offline" else ["olena", "taras"]))
    log.arrive("c1")
    if how == "rings_out":
        log.rings("c1")
        log.wait(11)
    elif how == "refuses":
        log.hangs_up(log.rings("c1").leg_id, "CALL_REJECTED")
    elif how == "can_not_be_reached":
        log.refused(log.last_command("originate_leg", "c1"), "USER_NOT_REGISTERED")
    elif how == "bridge_fails":
        leg_id = log.rings("c1").leg_id
        log.fact(leg_id, "c1", leg_answered=sw.LegAnswered())
        log.refused(log.last_command("bridge_legs", "c1"))
    assert heard(log) == ["sorry"]
    assert left(log, "taras")[0] == "unavailable"
    assert [event.offer_created.agent_id for event in log.events("offer_created")] == ["taras"] * (how != "is_offline")


def test_a_caller_who_gives_up_while_a_named_agent_rings_frees_the_agent() -> None:
    log = with_agent()
    log.ready("taras")
    log.arrive("c1")
    leg_id = log.rings("c1").leg_id
    log.hangs_up("c1")
    log.hangs_up(leg_id, "ORIGINATOR_CANCEL")
    assert log.events("agent_state_changed")[-1].agent_state_changed.state == ev.AGENT_STATE_IDLE
    assert heard(log) == []


@pytest.mark.parametrize("parked_first", [True, False])
def test_after_the_talk_the_caller_stays_for_the_survey_and_the_rating_names_the_agent(*, parked_first: bool) -> None:
    log = with_agent(answered="rate")
    log.ready("taras")
    log.arrive("c1")
    leg_id = log.talk("c1").leg_id
    assert log.last_command("bridge_legs").bridge_legs.park_after
    log.wait(20)
    log.fact("c1", leg_unbridged=sw.LegUnbridged(other_leg_id=leg_id))
    if parked_first:
        log.fact("c1", leg_parked=sw.LegParked())
        log.hangs_up(leg_id)
    else:
        log.hangs_up(leg_id)
        log.fact("c1", leg_parked=sw.LegParked())
    assert log.last_command("lease_leg").lease_leg.seconds > 0
    assert list(log.last_command("collect_digits").collect_digits.valid) == ["1", "2", "3", "4", "5"]
    entered(log, "5")
    answered = log.events("form_answered")[-1].form_answered
    assert (answered.form_id, answered.agent_id, dict(answered.answers)) == ("nps", "taras", {"rating": "5"})
    played(log)
    assert not [command for command in log.commands("hang_up_leg") if command.leg_id == "c1"][:-1]
    log.wait(15)
    assert ends(log) == ev.CALL_EXIT_ANSWERED
    assert log.events("call_ended")[-1].call_ended.talk_ms == 20_000


def test_a_caller_whom_the_switch_does_not_give_back_after_the_talk_is_not_left_in_silence() -> None:
    log = with_agent(answered="rate")
    log.ready("taras")
    log.arrive("c1")
    log.hangs_up(log.talk("c1").leg_id)
    log.wait(6)
    assert log.last_command("hang_up_leg").leg_id == "c1"


def test_a_caller_who_hangs_up_first_is_not_asked() -> None:
    log = with_agent(answered="rate")
    log.ready("taras")
    log.arrive("c1")
    leg_id = log.talk("c1").leg_id
    log.hangs_up("c1")
    log.hangs_up(leg_id)
    assert not log.commands("collect_digits")
    log.wait(15)
    assert log.state.timers == {}


def leaving_a_message() -> Log:
    log = log_of(
        step("mail", {"next": "thanks"}, voicemail=tn.VoicemailStep(prompts=["greet"], max_seconds=30, end_digit="#")),
        told("thanks", "thanks"),
    )
    log.arrive("c1")
    played(log)
    return log


def test_voicemail_records_after_its_greeting_until_the_caller_presses_its_key() -> None:
    log = leaving_a_message()
    start = log.last_command("start_recording").start_recording
    assert start.without_bridge
    assert start.limit_seconds == 31
    recording_id = start.recording_id
    log.fact("c1", recording_began=sw.RecordingBegan(recording_id=recording_id, path="x.wav"))
    log.fact("c1", digit_pressed=sw.DigitPressed(digit="5"))
    assert heard(log) == ["greet"]
    log.fact("c1", digit_pressed=sw.DigitPressed(digit="#"))
    assert log.last_command("stop_recording").stop_recording.recording_id == recording_id
    assert heard(log) == ["greet", "thanks"]
    log.fact("c1", recording_finished=sw.RecordingFinished(recording_id=recording_id, path="x.wav", duration_ms=4000))
    log.hangs_up("c1")
    assert list(log.events("call_ended")[-1].call_ended.recording_ids) == [recording_id]


def test_voicemail_ends_at_its_longest() -> None:
    log = leaving_a_message()
    log.wait(31)
    assert log.commands("stop_recording")
    assert heard(log) == ["greet", "thanks"]


@pytest.mark.parametrize("mode", [tn.CONSENT_MODE_ANNOUNCE, tn.CONSENT_MODE_PRESS_KEY, tn.CONSENT_MODE_DO_NOT_RECORD])
@pytest.mark.parametrize("agrees", [True, False])
@pytest.mark.parametrize(
    ("policy", "without_being_asked"), [(tn.RECORDING_MODE_ALL, True), (tn.RECORDING_MODE_ON_CONSENT, False)]
)
def test_the_recording_policy_respects_what_the_caller_said(
    mode: "tn.ConsentMode.ValueType",
    *,
    agrees: bool,
    policy: "tn.RecordingMode.ValueType",
    without_being_asked: bool,
) -> None:
    log = log_of(
        step("may", {"given": "wait", "refused": "wait"}, consent=tn.ConsentStep(mode=mode, prompts=["we record"])),
        step("wait", queue=tn.QueueStep(queue_id="sales")),
        recording=tn.RecordingPolicy(mode=policy),
    )
    log.ready("olena", "taras")
    log.arrive("c1")
    if mode == tn.CONSENT_MODE_ANNOUNCE:
        played(log, completed=agrees)
    elif mode == tn.CONSENT_MODE_PRESS_KEY:
        entered(log, "1" if agrees else "")
    log.talk("c1")
    expected = agrees and mode != tn.CONSENT_MODE_DO_NOT_RECORD
    assert bool(log.commands("start_recording", "c1")) == expected
    assert left(log, "may")[0] == ("given" if expected else "refused")
    other = log_of(step("wait", queue=tn.QueueStep(queue_id="sales")), recording=tn.RecordingPolicy(mode=policy))
    other.ready("olena")
    other.arrive("c1")
    other.talk("c1")
    assert bool(other.commands("start_recording", "c1")) == without_being_asked


def test_a_subflow_comes_back_with_its_variables_and_its_trace() -> None:
    inner = tn.Flow(
        flow_id="inner",
        start="set",
        steps=[
            step("set", {"next": "ask"}, set=tn.SetStep(variable="score", expression="vars.score + 1")),
            step(
                "ask",
                {"1": "return", "timeout": "return", "invalid": "return"},
                menu=tn.MenuStep(prompts=["which"]),
            ),
        ],
    )
    log = log_of(
        step("go", {"next": "say"}, subflow=tn.SubflowStep(flow_id="inner")),
        step("say", {"next": "return"}, say=tn.SayStep(text="{vars.score}")),
        more=(inner,),
    )
    log.arrive("c1")
    entered(log, "1")
    assert heard(log) == ["4"]
    trace = [
        (event.WhichOneof("body"), body.flow_id, body.step_id)
        for event in log.events()
        if (body := event.flow_step_entered if event.HasField("flow_step_entered") else event.flow_step_left).step_id
    ]
    assert trace == [
        ("flow_step_entered", "main", "go"),
        ("flow_step_entered", "inner", "set"),
        ("flow_step_left", "inner", "set"),
        ("flow_step_entered", "inner", "ask"),
        ("flow_step_left", "inner", "ask"),
        ("flow_step_left", "main", "go"),
        ("flow_step_entered", "main", "say"),
    ]
    played(log)
    assert ends(log) == ev.CALL_EXIT_FLOW_ENDED


def test_a_flow_that_calls_itself_without_end_is_ended_and_told() -> None:
    log = log_of(step("again", {"next": "return"}, subflow=tn.SubflowStep(flow_id="main")))
    log.arrive("c1")
    assert left(log, "again") == ("error", "subflows are nested deeper than 8")
    assert ends(log) == ev.CALL_EXIT_ERROR


def test_a_call_goes_on_in_the_document_that_it_started_with() -> None:
    log = collecting()
    log.arrive("c1")
    log.feed(Input(tenant_id=TENANT, document=document(version=2)))
    entered(log, "1234")
    assert heard(log) == ["yes"]
    assert log.state.calls["c1"].version == 1


def asking_the_crm(**more: Any) -> Log:
    wish = tn.LookupStep(
        url="https://crm.example/of/{caller}?n={caller_name}",
        timeout_ms=2_000,
        results=[tn.LookupResult(path="id", variable="account"), tn.LookupResult(path="s.0", variable="score")],
        **more,
    )
    log = log_of(
        step("look", {"next": "hear", "failed": "sorry"}, lookup=wish), told("hear", "on"), told("sorry", "sorry")
    )
    log.arrive("c1")
    return log


def brought(log: Log, **found: Any) -> None:
    lookup_id = log.state.calls["c1"].step_phase
    request = rq.Request(actor="system", take_lookup=rq.TakeLookup(call_id="c1", lookup_id=lookup_id, **found))
    assert not log.feed(Input(tenant_id=TENANT, request=request)).replies


def test_lookup_asks_once_with_values_that_stay_one_piece_of_the_url() -> None:
    log = asking_the_crm()
    lookups = [lookup for out in log.outputs for lookup in out.lookups]
    assert [lookup.url for lookup in lookups] == ["https://crm.example/of/%2B380501112233?n=Client"]
    assert flow.pending(log.state) == lookups
    brought(log, status=200, duration_ms=35, values={"account": "A7", "score": "12"})
    assert heard(log) == ["on"]
    assert log.state.calls["c1"].variables == {"account": "A7", "score": 12}
    assert left(log, "look") == ("next", "it answered 200 in 35 ms, with 2 values to keep")
    assert flow.pending(log.state) == []


@pytest.mark.parametrize("how", ["fault", "too_late"])
def test_lookup_without_an_answer_takes_its_fallback(how: str) -> None:
    log = asking_the_crm()
    if how == "fault":
        brought(log, fault="the address is not public", duration_ms=3)
    else:
        log.wait(3)
    assert heard(log) == ["sorry"]
    assert left(log, "look")[0] == "failed"


def test_an_answer_that_comes_again_or_too_late_changes_nothing() -> None:
    log = asking_the_crm()
    late = rq.TakeLookup(call_id="c1", lookup_id=log.state.calls["c1"].step_phase, values={"score": "9"})
    log.wait(3)
    out = log.feed(Input(tenant_id=TENANT, request=rq.Request(actor="system", take_lookup=late)))
    assert (out.events, out.commands) == ([], [])
    late.call_id = "gone"
    log.feed(Input(tenant_id=TENANT, request=rq.Request(actor="system", take_lookup=late)))
    assert log.state.calls["c1"].variables["score"] == 3


def test_values_that_do_not_fit_leave_their_variables() -> None:
    log = asking_the_crm(fields={"who": "{caller}", "is": 'a "{vars.score}"'})
    assert log.outputs[-1].lookups[0].body == b'{"is": "a \\"3\\"", "who": "+380501112233"}'
    brought(log, status=200, values={"score": "many"})
    assert log.state.calls["c1"].variables == {"score": 3}
    assert heard(log) == ["on"]


def test_a_pending_lookup_outlives_a_snapshot() -> None:
    log = asking_the_crm()
    resumed = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(log.state))))
    assert flow.pending(resumed) == flow.pending(log.state) != []


def offering_a_callback(caller: str = "+380501112233") -> Log:
    wish = tn.CallbackStep(
        queue_id="sales", prompts=["shall-we"], number_prompts=["which"], confirm_prompts=["is-it"], timeout_ms=4_000
    )
    log = log_of(
        step("back", {"requested": "yes", "declined": "no"}, callback=wish), told("yes", "yes"), told("no", "no")
    )
    log.arrive("c1", caller)
    return log


def requested(log: Log) -> list[tuple[str, str, str]]:
    bodies = [event.callback_requested for event in log.events("callback_requested")]
    return [(body.number, body.queue_id, body.reason) for body in bodies]


@pytest.mark.parametrize(
    ("caller", "presses", "number"),
    [
        ("+380501112233", ["1"], "+380501112233"),
        ("0501112233", ["1"], "+380501112233"),
        ("+380501112233", ["2", "0671112233", "1"], "+380671112233"),
        ("+380501112233", ["2", "00442079460000", "1"], "+442079460000"),
        ("anonymous", ["1", "0671112233", "1"], "+380671112233"),
        ("+380501112233", ["2", "999", "0671112233", "2", "0681112233", "1"], "+380681112233"),
    ],
)
def test_callback_is_requested_at_the_number_that_the_caller_confirmed(
    caller: str, presses: list[str], number: str
) -> None:
    log = offering_a_callback(caller)
    for digits in presses:
        entered(log, digits)
    assert requested(log) == [(number, "sales", "asked")]
    assert heard(log) == ["yes"]


@pytest.mark.parametrize(
    "presses", [[""], ["2", ""], ["2", "0671112233", ""], ["2", "999", "999", "999"], ["2", *["0671112233", "2"] * 3]]
)
def test_callback_without_a_confirmed_number_is_not_requested(presses: list[str]) -> None:
    log = offering_a_callback()
    for digits in presses:
        entered(log, digits)
    assert requested(log) == []
    assert heard(log) == ["no"]


def test_a_number_is_read_out_digit_by_digit_before_it_is_taken() -> None:
    log = offering_a_callback()
    entered(log, "2")
    entered(log, "0671112233")
    assert log.last_command("collect_digits").collect_digits.prompts[0].text == "3 8 0 6 7 1 1 1 2 2 3 3"
