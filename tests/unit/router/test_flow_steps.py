"""Each type of step by what a caller would notice and what the events tell (SPEC 2.1, 2.3)."""

import pytest

from services.router.domain.errors import UnreadableFlow
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.flow_log import ends, entered, heard, left, log_of, played, step, told
from tests.unit.router.world import TENANT, Log, document


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


@pytest.mark.parametrize(("completed", "why"), [(True, "played"), (False, "the prompt could not be played")])
def test_the_trace_says_whether_a_prompt_was_heard(why: str, *, completed: bool) -> None:
    log = log_of(told("hear", "news"))
    log.arrive("c1")
    played(log, completed=completed)
    assert [event.flow_step_left.why for event in log.events("flow_step_left")][:1] == [why]


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
