import copy
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.domain.shape import MAX_FAULTS
from services.console.domain.validation import BadDocument, faults_of, sound_document, sound_documents

Document = dict[str, Any]


def paths(document: Any) -> list[str]:
    return [fault.path for fault in faults_of(document)]


def test_the_demo_tenants_are_sound(acme: Document, borealis: Document) -> None:
    assert (faults_of(acme), faults_of(borealis)) == ([], [])


def written(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_a_file_of_values_is_read_as_the_companies_that_it_brings(acme: Document, borealis: Document) -> None:
    """SPEC 1.1: the same document works as Helm values and as a file."""
    assert sound_documents(written({"tenants": {"acme": acme, "borealis": borealis}})) == [acme, borealis]
    assert sound_documents(written(acme)) == [acme]


def test_the_faults_of_a_file_of_values_have_their_paths_there(acme: Document, borealis: Document) -> None:
    values = {"tenants": {"acme": acme | {"domain": "NO"}, "elm": borealis, "oak": 5}}
    with pytest.raises(BadDocument) as refused:
        sound_documents(written(values))
    assert [fault.path for fault in refused.value.faults] == [
        "tenants.acme.domain",
        "tenants.elm.tenant_id",
        "tenants.oak",
    ]
    with pytest.raises(BadDocument, match="by their ids"):
        sound_documents(written({"tenants": [acme]}))
    with pytest.raises(BadDocument, match="not a field"):
        sound_documents(written({"tenants": {}, "kafka": {}}))


def set_in(document: Document, path: tuple[str | int, ...], value: Any) -> Document:
    changed = copy.deepcopy(document)
    place: Any = changed
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return changed


def _forward(**where: str) -> Document:
    return {"step_id": "out", "forward": where, "exits": {"failed": "out"}}


BROKEN: list[tuple[tuple[str | int, ...], Any, str, str]] = [
    (("tenant_id",), "acme\n", "tenant_id", "lower-case letters"),
    (("tenant_id",), "a/b", "tenant_id", "lower-case letters"),
    (("time_zone",), "Europe/Atlantis", "time_zone", "not an IANA time zone"),
    (("time_zone",), "../../etc/passwd", "time_zone", "not an IANA time zone"),
    (("languages",), [], "languages", "at least 1"),
    (("domain",), "Acme", "domain", "domain name"),
    (("lines", 0, "number"), "+38044", "lines[0].number", "too few or too many"),
    (("lines", 0, "number"), "+9990441000001", "lines[0].number", "not a number"),
    (("lines", 0, "number"), "380441000001", "lines[0].number", "E.164"),
    (("lines", 1, "number"), "+380441000001", "lines[1].number", "the same as in lines[0]"),
    (("lines", 0, "flow"), "other", "lines[0].flow", "no flow other"),
    (("queues", 0, "strategy"), "longest_iddle", "queues[0].strategy", "Did you mean longest_idle"),
    (("queues", 0, "tiers", 0, "agent_id"), "nobody", "queues[0].tiers[0].agent_id", "no agent nobody"),
    (("queues", 0, "tiers", 1, "agent_id"), "olena", "queues[0].tiers[1].agent_id", "the same as"),
    (("queues", 1, "queue_id"), "sales", "queues[1].queue_id", "the same as in queues[0]"),
    (("queues", 0, "ring_timeout_seconds"), 0, "queues[0].ring_timeout_seconds", "at least 5"),
    (("queues", 0, "ring_timeout_seconds"), "20", "queues[0].ring_timeout_seconds", "whole number"),
    (("queues", 0, "ring_timeout_secs"), 20, "queues[0].ring_timeout_secs", "Did you mean ring_timeout_seconds"),
    (("agents", 1, "phone"), "olena", "agents[1].phone", "the same as in agents[0]"),
    (("agents", 0, "skills"), {"sales": 101}, "agents[0].skills.sales", "at most 100"),
    (("flows", 0, "start"), "nowhere", "flows[0].start", "no step nowhere"),
    (("flows", 0, "steps", 0, "check_list", "list_id"), "white", "flows[0].steps[0].check_list.list_id", "no list"),
    (("flows", 0, "steps", 2, "schedule", "schedule_id"), "x", "flows[0].steps[2].schedule.schedule_id", "no schedule"),
    (("flows", 0, "steps", 4, "queue", "queue_id"), "x", "flows[0].steps[4].queue.queue_id", "no queue x"),
    (("flows", 0, "steps", 3, "exits", "1"), "x", "flows[0].steps[3].exits.1", "no step x"),
    (("flows", 0, "steps", 3, "exits", "12"), "sales", "flows[0].steps[3].exits.12", "no such exit"),
    (("flows", 0, "steps", 2, "play"), {"prompts": ["x"]}, "flows[0].steps[2]", "exactly one of"),
    (("schedules", 0, "open", 0, "until"), "00:00", "schedules[0].open[0].until", "later than from"),
    (("schedules", 0, "open", 0, "until"), "25:00", "schedules[0].open[0].until", "HH:MM"),
    (("schedules", 0, "open", 0, "days"), [8], "schedules[0].open[0].days[0]", "at most 7"),
    (("schedules", 0, "holidays"), ["2026-02-30"], "schedules[0].holidays[0]", "not a day"),
    (("lists", 0, "numbers", 0), "+38*0", "lists[0].numbers[0]", "prefix"),
    (("webhooks", 0, "url"), "ftp://example.com/x", "webhooks[0].url", "http"),
    (("webhooks", 0, "url"), "http://user:pass@example.com/", "webhooks[0].url", "user or a password"),
    (("webhooks", 0, "url"), "http://example.com/\r\nX: y", "webhooks[0].url", "control characters"),
    (("webhooks", 0, "url"), "http:///nowhere", "webhooks[0].url", "name a host"),
    (("webhooks", 0, "events"), ["call.finished"], "webhooks[0].events[0]", "not known"),
    (("webhooks", 0, "timeout_ms"), 3, "webhooks[0].timeout_ms", "at least 500 ms"),
    (("webhooks", 0, "batch_wait_ms"), 100, "webhooks[0].batch_wait_ms", "say batch_events"),
    (("webhooks", 0, "batch_events"), 501, "webhooks[0].batch_events", "at most 500"),
    (("webhooks", 0, "timeout_ms"), 60_000, "webhooks[0].timeout_ms", "at most 30000"),
    (("webhooks", 0, "concurrency"), 65, "webhooks[0].concurrency", "at most 64"),
    (("webhooks", 0, "retry_wait_seconds"), [-1], "webhooks[0].retry_wait_seconds[0]", "at least 0"),
    (("webhooks", 0, "template"), "{{type}}", "webhooks[0].template", "must be JSON"),
    (("webhooks", 0, "template"), "[" * 99 + "]" * 99, "webhooks[0].template", "nests deeper than 32"),
    (("webhooks", 0, "template"), '"{{data.lime}}"', "webhooks[0].template", "there is no {{data.lime}}"),
    (("webhooks", 0, "template"), '"{{tenant}}"', "webhooks[0].template", "there is no {{tenant}}"),
    (("webhooks", 0, "headers"), {"Host": "x"}, "webhooks[0].headers.Host", "by the platform itself"),
    (("webhooks", 0, "headers"), {"a b": "x"}, "webhooks[0].headers.a b", "no header name"),
    (("webhooks", 0, "headers"), {"A": "x", "a": "y"}, "webhooks[0].headers.a", "is there twice"),
    (("webhooks", 0, "headers"), {"A": "x\r\nB: y"}, "webhooks[0].headers.A", "without line ends"),
    (("recording", "mode"), "some", "recording.mode", "not known"),
    (("recording", "name_template"), "{date}/{x}/{recording_id}", "recording.name_template", "{x} is not known"),
    (("recording", "name_template"), "../{recording_id}", "recording.name_template", "may hold letters"),
    (("recording", "name_template"), "{date}", "recording.name_template", "{recording_id}"),
    (("recording", "percent"), 10, "recording.percent", "mode percent"),
    (("recording", "mode"), "percent", "recording.percent", "mode percent"),
    (("recording", "kms_key_id"), "a\r\nx-evil: 1", "recording.kms_key_id", "letters, digits"),
    (("queues", 0, "recording"), {"mode": "all", "name_template": "{x}"}, "queues[0].recording.name_template", "{x}"),
    (("lines", 0, "recording"), {"mode": "percent"}, "lines[0].recording.percent", "mode percent"),
    (("queues", 0, "strategy"), "best_skill", "queues[0].required_skills", "is missing"),
    (("queues", 0, "required_skills"), [{"skill": "chess"}], "queues[0].required_skills[0].skill", "no agent of queue"),
    (("queues", 0, "rings"), [{"after_seconds": 9}] * 2, "queues[0].rings[1].after_seconds", "later than"),
    (("campaigns", 0, "queue_id"), "x", "campaigns[0].queue_id", "no queue x"),
    (("campaigns", 0, "line"), "+380442222222", "campaigns[0].line", "no line"),
    (("campaigns", 0, "pacing"), "clairvoyant", "campaigns[0].pacing", "not known"),
    (("queues", 0, "callbacks"), {"after": ["bored"]}, "queues[0].callbacks.after[0]", "not known"),
    (("queues", 0, "callbacks"), {"order": "both"}, "queues[0].callbacks.order", "not known"),
    (("queues", 0, "callbacks"), {"attempts": 99}, "queues[0].callbacks.attempts", "at most 20"),
    (("queues", 0, "callbacks"), {"black_lists": ["x"]}, "queues[0].callbacks.black_lists[0]", "no list x"),
    (("queues", 0, "callbacks"), {"caller_number": "+380442222222"}, "queues[0].callbacks.caller_number", "no line of"),
    (
        ("queues", 0, "callbacks"),
        {"hours": [{"days": [1], "from": "18:00", "until": "09:00"}]},
        "queues[0].callbacks.hours[0].until",
        "later than from",
    ),
    (
        ("queues", 0, "callbacks"),
        {"first_after_seconds": 300, "expires_seconds": 300},
        "queues[0].callbacks.first_after_seconds",
        "given up before",
    ),
    (("closed_callbacks",), [{"line": "+380441000001", "queue_id": "x"}], "closed_callbacks[0].queue_id", "no queue x"),
    (("closed_callbacks",), [{"line": "+380442222222", "queue_id": "sales"}], "closed_callbacks[0].line", "no line"),
    (
        ("closed_callbacks",),
        [{"line": "+380441000001", "queue_id": "sales"}] * 2,
        "closed_callbacks[1].line",
        "stands here twice",
    ),
    (("queues", 0, "overflow"), {"queue_id": "x", "waiting": 1}, "queues[0].overflow.queue_id", "no queue x"),
    (("queues", 0, "overflow"), {"queue_id": "sales", "waiting": 1}, "queues[0].overflow.queue_id", "in circles"),
    (("queues", 0, "overflow"), {"queue_id": "support"}, "queues[0].overflow", "no condition"),
    (("queues", 0, "exit_keys"), "1x", "queues[0].exit_keys", "digits, * and #"),
    (("queues", 0, "exit_keys"), "*", "flows[0].steps[4].exits.*", "is missing"),
    (("queues", 0, "black_lists"), ["x"], "queues[0].black_lists[0]", "no list x"),
    (("queues", 0, "list_priorities"), [{"list_id": "x", "priority": 1}], "queues[0].list_priorities[0].list_id", "no"),
    (("queues", 0, "announcements"), [{}], "queues[0].announcements[0]", "says nothing"),
    (("black_lists",), ["x"], "black_lists[0]", "no list x"),
    (("groups",), [{"group_id": "g", "agent_ids": ["x"]}], "groups[0].agent_ids[0]", "no agent x"),
    (("kpis",), [{"kpi_id": "k", "metric": "asa", "norm": 1}] * 2, "kpis[1].kpi_id", "the same as in kpis[0]"),
    (
        ("raporty",),
        [{"raport_id": "r", "report": "summary", "recipients": ["a@example.com"]}] * 2,
        "raporty[1].raport_id",
        "the same as in raporty[0]",
    ),
    (("transcription",), {"mode": "some"}, "transcription.mode", "not known"),
    (("transcription",), {"mode": "all", "percent": 101}, "transcription.percent", "at most 100"),
    (("transcription",), {"mode": "all", "keeps": ["names"]}, "transcription.keeps[0]", "not known"),
    (("transcription",), {"mode": "all", "queues": [{"queue_id": "x"}]}, "transcription.queues[0].queue_id", "queue x"),
    (("speech_rules",), [{"rule_id": "r", "phrases": []}], "speech_rules[0].phrases", "at least 1"),
    (("speech_rules",), [{"rule_id": "r"}], "speech_rules[0]", "phrases, a feeling or both"),
    (("speech_rules",), [{"rule_id": "r", "feeling": {}}], "speech_rules[0].feeling", "has no bound"),
    (("speech_rules",), [{"rule_id": "r", "feeling": {"at_most": 2}}], "speech_rules[0].feeling.at_most", "at most 1"),
    (("speech_rules",), [{"rule_id": "r", "feeling": {"part": "end"}}], "speech_rules[0].feeling.part", "not known"),
    (
        ("speech_rules",),
        [{"rule_id": "r", "feeling": {"at_least": 0.5, "at_most": 0}}],
        "speech_rules[0].feeling.at_most",
        "not be less",
    ),
    (
        ("speech_rules",),
        [{"rule_id": "r", "feeling": {"at_most": 0}, "near": ["a"]}],
        "speech_rules[0]",
        "no phrases that they could be near",
    ),
    (("speech_rules",), [{"rule_id": "r", "phrases": ["..."]}], "speech_rules[0].phrases[0]", "1 to 12 words"),
    (("speech_rules",), [{"rule_id": "r", "phrases": ["a"], "kind": "odd"}], "speech_rules[0].kind", "not known"),
    (("speech_rules",), [{"rule_id": "r", "phrases": ["a"]}] * 2, "speech_rules[1].rule_id", "the same as in"),
    (
        ("speech_rules",),
        [{"rule_id": "r", "phrases": ["a"], "first_seconds": 9, "last_seconds": 9}],
        "speech_rules[0].last_seconds",
        "exclude each other",
    ),
    (("score_cards",), [{"card_id": "c", "criteria": [{"points": 1}]}], "score_cards[0].criteria[0]", "exactly one"),
    (
        ("score_cards",),
        [{"card_id": "c", "criteria": [{"points": 1, "rule_id": "x"}]}],
        "score_cards[0].criteria[0].rule_id",
        "no rule x",
    ),
    (
        ("score_cards",),
        [{"card_id": "c", "criteria": [{"points": 1, "measure": "silence_percent"}]}],
        "score_cards[0].criteria[0]",
        "no bound",
    ),
    (("fallback_number",), "+442079460000", "fallback_number", "allowed_prefixes"),
    (("limits", "outbound_spend_per_day"), 5, "limits.outbound_spend_per_day", "no number has a price"),
    (
        ("limits", "tariffs"),
        [{"prefix": "+380", "price_per_minute": 1}, {"prefix": "+380", "price_per_minute": 2}],
        "limits.tariffs[1].prefix",
        "a price already",
    ),
    (("limits", "tariffs"), [{"prefix": "380", "price_per_minute": 1}], "limits.tariffs[0].prefix", "the first digits"),
    (("fallback_number",), "+380900212345", "fallback_number", "limits.high_risk_prefixes"),
    (("flows", 0, "steps", 2), _forward(sip="desk@pbx.example"), "flows[0].steps[2].forward.sip", "allowed_sip_hosts"),
    (("flows", 0, "steps", 2), _forward(sip="desk@"), "flows[0].steps[2].forward.sip", "user@host"),
    (("flows", 0, "steps", 2), _forward(sip="a@b;maddr=::1"), "flows[0].steps[2].forward.sip", "user@host"),
    (("flows", 0, "steps", 2), _forward(), "flows[0].steps[2].forward", "exactly one of number, sip"),
    (
        ("flows", 0, "steps", 2),
        _forward(sip="desk@pbx.example", number="+380442000000"),
        "flows[0].steps[2].forward",
        "exactly one of number, sip",
    ),
    (("limits", "allowed_sip_hosts"), ["*"], "limits.allowed_sip_hosts[0]", "a host of SIP addresses"),
    (("lines", 0, "most_dials"), -1, "lines[0].most_dials", "at least 0"),
    (("schedules", 0, "time_zone"), "Europe/Kiew", "schedules[0].time_zone", "is not an IANA time zone"),
    (("flows", 0, "steps", 3, "menu", "barge_in"), "no", "flows[0].steps[3].menu.barge_in", "true or false"),
    (("fallback_number",), "+380441000002", "fallback_number", "a line of this tenant"),
]


def test_a_fallback_number_that_the_limits_take_back_is_named(acme: Document) -> None:
    acme["fallback_number"] = "+380442000000"
    acme["limits"] |= {"denied_prefixes": ["+38044"], "outbound_spend_per_day": 5}
    acme["limits"]["tariffs"] = [{"prefix": "+48", "price_per_minute": 0.1}]
    words = " ".join(fault.message for fault in faults_of(acme) if fault.path == "fallback_number")
    assert "limits.denied_prefixes" in words
    assert "no price in limits.tariffs" in words


@pytest.mark.parametrize(("path", "value", "expected_path", "words"), BROKEN, ids=lambda value: str(value)[:40])
def test_one_broken_thing_is_one_fault_that_names_it(
    acme: Document, path: tuple[str | int, ...], value: Any, expected_path: str, words: str
) -> None:
    faults = faults_of(set_in(acme, path, value))
    assert any(fault.path == expected_path and words in fault.message for fault in faults), faults


def test_what_a_step_requires_must_be_known_also_where_its_callers_overflow_to(acme: Document) -> None:
    step = next(step for step in acme["flows"][0]["steps"] if "queue" in step)
    first, second = [queue for queue in acme["queues"] if queue["queue_id"] in ("sales", "support")]
    first, second = (first, second) if step["queue"]["queue_id"] == first["queue_id"] else (second, first)
    step["queue"]["required_skills"] = [{"skill": "gold"}]
    experts = {tier["agent_id"] for tier in first["tiers"]}
    for agent in acme["agents"]:
        agent["skills"] = {"gold": 50} if agent["agent_id"] in experts else {}
    second["tiers"] = [tier for tier in second["tiers"] if tier["agent_id"] not in experts]
    assert second["tiers"]
    before = faults_of(acme)
    first["overflow"] = {"queue_id": second["queue_id"], "waiting": 1}
    (fault,) = set(faults_of(acme)) - set(before)
    assert fault.path.endswith("queue.required_skills[0].skill")
    assert f"no agent of queue {second['queue_id']} has gold" in fault.message


def remove_exit(step: int, name: str) -> Callable[[Document], None]:
    return lambda document: document["flows"][0]["steps"][step]["exits"].pop(name)


@pytest.mark.parametrize(
    ("step", "name", "path"),
    [
        (0, "listed", "flows[0].steps[0].exits.listed"),
        (2, "closed", "flows[0].steps[2].exits.closed"),
        (3, "timeout", "flows[0].steps[3].exits.timeout"),
        (3, "invalid", "flows[0].steps[3].exits.invalid"),
        (4, "timeout", "flows[0].steps[4].exits.timeout"),
        (4, "full", "flows[0].steps[4].exits.full"),
        (6, "next", "flows[0].steps[6].exits.next"),
    ],
)
def test_a_missing_exit_is_named(acme: Document, step: int, name: str, path: str) -> None:
    remove_exit(step, name)(acme)
    assert path in paths(acme)


def test_a_schedule_with_holidays_needs_the_holiday_exit(acme: Document) -> None:
    acme["schedules"][0]["holidays"] = ["2026-01-01"]
    assert paths(acme) == ["flows[0].steps[2].exits.holiday"]


def test_a_step_that_no_call_reaches_is_named(acme: Document) -> None:
    acme["flows"][0]["steps"].append({"step_id": "island", "hangup": {}})
    assert paths(acme) == ["flows[0].steps[9]"]


def test_a_circle_without_an_input_is_named_once_with_its_way(acme: Document) -> None:
    acme["flows"][0]["steps"][3] = {"step_id": "menu", "play": {"prompts": ["x"]}, "exits": {"next": "sales"}}
    acme["flows"][0]["steps"][4]["exits"]["full"] = "hours"
    circles = [fault for fault in faults_of(acme) if "circles" in fault.message]
    assert [str(fault) for fault in circles] == [
        "flows[0].steps[2]: a call could run in circles without an input: hours -> menu -> sales -> hours."
    ]


def test_a_circle_through_a_menu_or_a_wait_is_no_fault(acme: Document) -> None:
    acme["flows"][0]["steps"][3]["exits"]["timeout"] = "menu"
    acme["flows"][0]["steps"][4]["exits"]["timeout"] = "menu"
    assert faults_of(acme) == []


def test_every_fault_is_listed_at_once() -> None:
    with pytest.raises(BadDocument) as raised:
        sound_document(b"tenant_id: A B\nqueues: 3\nfoo: 1\nlines: [{number: +38, flow: x, lable: 2}]")
    assert [fault.path for fault in raised.value.faults] == [
        "agents",
        "domain",
        "flows",
        "foo",
        "languages",
        "lines[0].lable",
        "lines[0].number",
        "name",
        "queues",
        "tenant_id",
        "time_zone",
    ]


def test_a_flood_of_faults_ends() -> None:
    assert len(faults_of({"lines": [{"a": n} for n in range(10_000)]})) <= 2 * MAX_FAULTS


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(json_like)
def test_any_value_is_judged_without_an_accident(document: Any) -> None:
    assert faults_of(document)


@given(st.data())
def test_a_sound_document_with_one_thing_replaced_is_judged_without_an_accident(data: st.DataObject) -> None:
    document = sound_document(SOUND)
    place: Any = document
    while isinstance(place, dict | list) and place:
        keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.integers(0, 3)) == 0:
            place[key] = data.draw(json_like)
            break
        place = place[key]
    for fault in faults_of(document):
        assert fault.message.endswith(".")


SOUND = b"""
tenant_id: t
name: T
time_zone: UTC
languages: [en]
domain: t.example
lines: [{number: "+442071000001", flow: f}]
agents: [{agent_id: a, name: A, phone: a}]
queues: [{queue_id: q, strategy: random, tiers: [{agent_id: a}]}]
schedules: [{schedule_id: s, open: [{days: [1], from: "08:00", until: "09:00"}]}]
lists: [{list_id: l, numbers: ["+44*"]}]
webhooks: [{endpoint_id: e, url: "https://example.com/", secret_ref: s, events: ["call.*"]}]
flows:
  - flow_id: f
    start: a
    steps:
      - {step_id: a, schedule: {schedule_id: s}, exits: {open: b, closed: z}}
      - {step_id: b, check_list: {list_id: l}, exits: {listed: z, not_listed: c}}
      - {step_id: c, queue: {queue_id: q}}
      - {step_id: z, hangup: {}}
"""


def test_a_large_sound_document_is_judged_in_seconds() -> None:
    document = sound_document(SOUND)
    document["agents"] = [{"agent_id": f"a{n}", "name": "A", "phone": f"p{n}"} for n in range(2_000)]
    document["queues"][0]["tiers"] = [{"agent_id": f"a{n}"} for n in range(2_000)]
    began = time.process_time()
    assert faults_of(document) == []
    assert time.process_time() - began < 20
