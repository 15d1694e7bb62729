"""The language that a call is held in, as its flow chooses it (SPEC 6.4)."""

from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import TENANT, Log, document


def choosing() -> tn.TenantDocument:
    """Return a company whose menu asks for the language: 7 is English, 8 a language that it does not have."""
    made = document()
    made.languages[:] = ["uk", "en", "ru"]
    flow = made.flows[0]
    flow.variables.add(name="note", type=tn.VARIABLE_TYPE_TEXT, initial="ru")
    flow.variables.add(name="language", type=tn.VARIABLE_TYPE_LANGUAGE)
    ask = next(step for step in flow.steps if step.step_id == "ask")
    for digit, language in (("7", "en"), ("8", "de")):
        ask.exits[digit] = f"in_{language}"
        chosen = flow.steps.add(step_id=f"in_{language}", set=tn.SetStep(variable="language", text=language))
        chosen.exits.update({"next": "greet", "failed": "greet"})
    flow.steps.add(step_id="greet", play=tn.PlayStep(prompts=["news"])).exits["next"] = "speak"
    flow.steps.add(step_id="speak", say=tn.SayStep(text="Hello")).exits["next"] = "wait"
    return made


def heard(log: Log) -> list[tuple[str, str]]:
    """Return what was played to the caller and in which language, and play it to its end."""
    found = []
    while (order := log.commands("play_prompt", "c1")) and log.state.calls["c1"].step_command_id == order[
        -1
    ].command_id:
        found += [(prompt.name or prompt.text, prompt.language) for prompt in order[-1].play_prompt.prompts]
        finished = sw.PlaybackFinished(command_id=order[-1].command_id, completed=True)
        log.fact("c1", playback_finished=finished)
    return found


def recorded_in(log: Log) -> str:
    """Let the caller talk with olena, and return the language that the recording's start tells."""
    log.talk("c1")
    recording_id = log.last_command("start_recording").start_recording.recording_id
    log.fact("c1", call_id="c1", recording_began=sw.RecordingBegan(recording_id=recording_id, path="a.wav"))
    return log.events("recording_started")[-1].recording_started.language


def called(made: tn.TenantDocument) -> Log:
    log = Log(made)
    log.ready("olena")
    log.arrive("c1")
    return log


def test_what_a_caller_chooses_in_a_menu_is_the_language_of_prompts_and_of_the_recording() -> None:
    log = called(choosing())
    log.press("c1", "7")
    assert heard(log) == [("news", "en"), ("Hello", "en")]
    assert recorded_in(log) == "en"


def test_a_language_that_the_company_does_not_have_is_not_chosen_and_no_other_variable_counts() -> None:
    log = called(choosing())
    log.press("c1", "8")
    assert heard(log) == [("news", ""), ("Hello", "")]
    assert recorded_in(log) == ""


def test_the_companys_crm_may_know_the_callers_language() -> None:
    made = choosing()
    made.flows[0].start = "crm"
    lookup = tn.LookupStep(url="https://crm.example/", results=[tn.LookupResult(path="tongue", variable="language")])
    made.flows[0].steps.add(step_id="crm", lookup=lookup).exits.update({"next": "ask", "failed": "ask"})
    log = called(made)
    found = rq.TakeLookup(call_id="c1", lookup_id=log.state.calls["c1"].lookup[2], status=200)
    found.values["language"] = "ru"
    log.feed(Input(tenant_id=TENANT, request=rq.Request(request_id="looked-up", take_lookup=found)))
    question = log.last_command("collect_digits", "c1").collect_digits
    assert {prompt.language for prompt in question.prompts} == {"ru"}
    log.press("c1", "1")
    assert recorded_in(log) == "ru"


def test_a_spoken_menu_listens_in_the_language_of_the_call_alone() -> None:
    made = choosing()
    made.flows[0].variables[1].initial = "uk"
    ask = next(step for step in made.flows[0].steps if step.step_id == "ask")
    ask.menu.spoken.add(exit="1", phrases=["продаж"])
    log = called(made)
    log.press("c1", "")
    answer = log.last_command("record_answer", "c1")
    log.fact("c1", answer_recorded=sw.AnswerRecorded(command_id=answer.command_id))
    assert log.last_command("recognise_answer", "c1").recognise_answer.languages == ["uk"]


def test_who_dials_a_customer_may_say_in_which_language() -> None:
    log = Log(choosing())
    log.fact("", switch_connected=sw.SwitchConnected())
    log.ready("olena")
    wish = rq.DialNumber(agent_id="olena", number="+442071000002", language="en")
    assert log.request("dial", dial_number=wish).accepted
    (call_id,) = log.state.calls
    agent_leg = log.last_command("originate_leg").leg_id
    log.fact(agent_leg, call_id, leg_answered=sw.LegAnswered())
    log.fact(call_id, call_id, recording_began=sw.RecordingBegan(recording_id="rec-1", path="a.wav"))
    assert log.events("recording_started")[-1].recording_started.language == "en"
    assert log.state.calls[call_id].variables == {":language": "en"}
