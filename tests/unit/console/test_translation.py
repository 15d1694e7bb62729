import json
from typing import Any

from services.console.cli import run
from services.console.domain.difference import changes
from services.console.domain.schema import SCHEMA
from services.console.domain.translation import complete, to_contract
from services.shared.contracts.ringmaster.v1.tenant_pb2 import (
    PersonalData,
    RecordingMode,
    Speaker,
    SpeechMeasure,
    SpeechRuleKind,
    Strategy,
    TenantDocument,
    TranscriptionMode,
    TranscriptionSides,
)
from tests.unit.console.conftest import ROOT

Document = dict[str, Any]


def test_the_contract_says_what_the_words_say(acme: Document) -> None:
    contract = to_contract(acme, 7)
    assert (contract.tenant_id, contract.version, contract.domain) == ("acme", 7, "acme.example")
    assert [line.number for line in contract.lines] == ["+380441000001", "+380441000002"]
    assert [queue.strategy for queue in contract.queues] == [
        Strategy.STRATEGY_LONGEST_IDLE,
        Strategy.STRATEGY_BEST_SKILL,
    ]
    assert contract.recording.mode == RecordingMode.RECORDING_MODE_ALL
    menu = contract.flows[0].steps[3]
    assert (menu.WhichOneof("step"), menu.exits["1"], menu.menu.timeout_ms) == ("menu", "sales", 5000)
    assert contract.agents[0].skills["english"] == 60


def test_a_menu_that_is_heard_out_says_so_and_one_that_says_nothing_may_be_interrupted(acme: Document) -> None:
    menu = to_contract(acme, 1).flows[0].steps[3].menu
    assert (menu.HasField("barge_in"), menu.barge_in) == (True, True)
    acme["flows"][0]["steps"][3]["menu"]["barge_in"] = False
    menu = to_contract(acme, 1).flows[0].steps[3].menu
    assert (menu.HasField("barge_in"), menu.barge_in) == (True, False)


def test_wishes_for_transcripts_are_told_as_the_contract_names_them(acme: Document) -> None:
    acme["transcription"] = {"mode": "all", "keeps": ["email"], "queues": [{"queue_id": "sales", "sides": "agent"}]}
    acme["speech_rules"] = [{"rule_id": "greeting", "kind": "required", "speaker": "agent", "phrases": ["добрий день"]}]
    acme["score_cards"] = [
        {"card_id": "calm", "criteria": [{"measure": "silence_percent", "at_most": 30, "points": 5}]}
    ]
    contract = to_contract(acme, 1)
    assert contract.transcription.mode == TranscriptionMode.TRANSCRIPTION_MODE_ALL
    assert list(contract.transcription.keeps) == [PersonalData.PERSONAL_DATA_EMAIL]
    assert contract.transcription.queues[0].sides == TranscriptionSides.TRANSCRIPTION_SIDES_AGENT
    rule = contract.speech_rules[0]
    assert (rule.kind, rule.speaker) == (SpeechRuleKind.SPEECH_RULE_KIND_REQUIRED, Speaker.SPEAKER_AGENT)
    assert (rule.near_words, rule.likeness) == (10, 85)
    assert contract.score_cards[0].criteria[0].measure == SpeechMeasure.SPEECH_MEASURE_SILENCE_PERCENT


def test_what_is_left_out_gets_its_default(borealis: Document) -> None:
    del borealis["queues"][0]["ring_timeout_seconds"]
    contract = to_contract(borealis, 1)
    assert contract.queues[0].ring_timeout_seconds == 20
    assert [tier.position for tier in contract.queues[0].tiers] == [1, 2, 3, 4, 5]
    assert [tier.level for tier in contract.queues[0].tiers] == [1, 1, 1, 2, 2]


def test_filling_in_changes_nothing_of_what_was_written_and_is_done_once(acme: Document) -> None:
    before = json.dumps(acme)
    filled = complete(acme)
    assert json.dumps(acme) == before
    assert complete(filled) == filled


def test_every_field_of_the_contract_can_be_written_in_words() -> None:
    contract = {field.name for field in TenantDocument.DESCRIPTOR.fields} - {"version"}
    assert contract == set(SCHEMA["properties"])
    for collection, field in TenantDocument.DESCRIPTOR.fields_by_name.items():
        schema = SCHEMA["properties"].get(collection, {})
        entry = schema.get("items", schema)
        if field.message_type is not None:
            assert {one.name for one in field.message_type.fields} == set(entry["properties"]), collection


def test_the_published_schema_is_the_one_in_force() -> None:
    published = json.loads((ROOT / "proto" / "tenant.schema.json").read_text(encoding="utf-8"))
    assert published == json.loads(json.dumps(SCHEMA)), "write it anew: python -m services.console schema"


def test_a_difference_names_what_changed_by_its_id(acme: Document) -> None:
    after = json.loads(json.dumps(acme))
    after["queues"][1]["wrap_up_seconds"] = 99
    after["agents"].pop(0)
    after["lines"].append({"number": "+380441000003", "flow": "main"})
    found = {change.path: (change.before, change.after) for change in changes(acme, after)}
    assert found["queues[support].wrap_up_seconds"] == (15, 99)
    assert found["agents[olena]"][1] is None
    assert found["lines[+380441000003]"] == (None, {"number": "+380441000003", "flow": "main"})
    assert len(found) == 3


def test_a_new_order_is_one_change_and_equal_documents_have_none(acme: Document) -> None:
    after = json.loads(json.dumps(acme))
    assert list(changes(acme, after)) == []
    after["agents"].reverse()
    assert [change.path for change in changes(acme, after)] == ["agents (order)"]


def test_the_command_line_validates_without_a_network(tmp_path: Any, capsys: Any) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    text = (ROOT / "local/demo/tenants/borealis.yaml").read_text(encoding="utf-8").replace("${RECEIVER_PORT}", "1")
    good.write_text(text)
    bad.write_text(text.replace("ring_all", "ring_al").replace("tenant_id: borealis", "tenant_id: other"))
    assert run(["validate", str(good)]) == 0
    assert run(["validate", str(good), str(bad)]) == 1
    assert f"{bad}: queues[0].strategy: ring_al is not known. Did you mean ring_all?" in capsys.readouterr().err
    assert run(["validate", str(tmp_path / "none.yaml")]) == 1


def test_documents_of_one_batch_may_not_share_a_line_or_a_domain(tmp_path: Any, capsys: Any) -> None:
    text = (ROOT / "local/demo/tenants/borealis.yaml").read_text(encoding="utf-8").replace("${RECEIVER_PORT}", "1")
    first, second = tmp_path / "1.yaml", tmp_path / "2.yaml"
    first.write_text(text)
    second.write_text(text.replace("tenant_id: borealis", "tenant_id: other"))
    assert run(["validate", str(first), str(second)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{second}: domain: the domain borealis.example is also in {first}.",
        f"{second}: lines[0].number: the line +442071000001 is also in {first}.",
    ]
