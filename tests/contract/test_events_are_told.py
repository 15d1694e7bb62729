"""Each event of the catalogue is told by something that runs, and a test has seen it (SPEC 7.2)."""

from pathlib import Path
from typing import Any

import pytest

from services.recorder.adapters.announcer import Announcer
from services.recorder.adapters.mongo import RecordingDocument
from services.recorder.adapters.transcript_events import TranscriptEvents
from services.recorder.domain.location import CallId, Location, RecordingId, TenantId
from services.recorder.domain.transcript.transcript import Subject
from services.shared.bus.events import event_type
from services.shared.bus.topics import CALLS
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.event_pb2 import Event
from services.shared.testing.memory_bus import MemoryBus
from tests.contract.test_topics import PUBLIC_EVENTS
from tests.unit.router.world import Log, document

ROOT = Path(__file__).resolve().parents[2]
SEEN_BY = {
    "unit/router/test_calls.py": """
        call.started call.answered call.ended call.lost flow.step_entered flow.step_left ivr.choice queue.joined
        queue.left offer.created offer.ringing offer.accepted offer.cancelled agent.state_changed agent.wrapup_started
        recording.started recording.stopped limit.exceeded config.changed""",
    "unit/router/test_offers.py": """
        call.held call.resumed offer.rejected offer.missed offer.lost_race offer.failed agent.status_changed
        agent.wrapup_ended form.answered""",
    "unit/router/test_transfers.py": "call.transferred",
    "unit/router/test_modifiers.py": "queue.position_changed client.vip_called client.blacklisted",
    "unit/router/test_recording.py": "recording.paused recording.masked recording.resumed",
    "unit/router/test_callbacks.py": """
        callback.requested callback.attempted callback.succeeded callback.failed callback.cancelled callback.expired
        callback.rescheduled""",
    "unit/router/test_campaigns.py": "campaign.changed",
    "unit/router/test_writing_to_callers.py": "message.requested",
    "unit/router/test_erasing.py": "person.erasure_requested person.erased",
    "unit/webhooks/test_rules.py": "client.repeated_calls kpi.violated kpi.recovered",
    "unit/stats/test_kpi.py": "kpi.violated kpi.recovered",
    "integration/stats/test_raporty.py": "report.ready",
}
"""Tests that look at what a service has told; each names its events there."""
SEEN_HERE = """
    agent.registered agent.unregistered switch.connected switch.disconnected switch.restarted switch.gap
    recording.stored recording.failed recording.deleted transcript.completed transcript.failed analysis.rule_matched
"""


def test_somebody_has_seen_each_public_event_told() -> None:
    elsewhere = {kind for kinds in SEEN_BY.values() for kind in kinds.split()}
    assert elsewhere | set(SEEN_HERE.split()) == set(PUBLIC_EVENTS)
    for path, kinds in SEEN_BY.items():
        text = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert [kind for kind in kinds.split() if kind.replace(".", "_", 1) not in text] == [], path


def test_phones_and_switches_are_told_of() -> None:
    log = Log(document())
    phone = "phone-olena@acme.example"
    log.fact("", phone_registered=sw.PhoneRegistered(address=phone, user_agent="Desk 1"))
    log.fact("", phone_unregistered=sw.PhoneUnregistered(address=phone, expired=True))
    log.fact("", switch_connected=sw.SwitchConnected())
    log.fact("", switch_gap=sw.SwitchGap(from_us=1_000_000, until_us=2_000_000))
    log.fact("", switch_disconnected=sw.SwitchDisconnected(reason="the connection ended"))
    log.fact("", switch_restarted=sw.SwitchRestarted(former_core_uuid="core-0"))
    told = {event_type(event): event for event in log.events()}
    assert told["agent.registered"].agent_registered.user_agent == "Desk 1"
    assert told["agent.unregistered"].agent_unregistered.expired
    assert told["switch.restarted"].switch_restarted.former_core_uuid == "core-0"
    assert getattr(told["switch.gap"].switch_gap, "from").ToMilliseconds() == 1_000
    of_switch = [event for event in log.events() if event.subject.startswith("switch:")]
    assert [event.sequence for event in of_switch] == [1, 2, 3, 4]
    assert {event_type(event) for event in of_switch} == {
        kind for kind in SEEN_HERE.split() if kind.startswith("switch.")
    }


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(partitions=1)


def test_recordings_and_transcripts_are_told_of_and_twice_under_the_same_ids(bus: MemoryBus) -> None:
    announcer, transcripts = Announcer(bus.producer), TranscriptEvents(bus.producer)
    for _ in range(2):
        announcer.stored(_recording())
        announcer.failed(Location(TenantId("acme"), CallId("c1"), RecordingId("r2")), "empty", 5)
        announcer.deleted(_recording(), "olena")
        transcripts.completed(_transcript())
        transcripts.failed(Subject("acme", "c1", "r3", 1_000, 5), "no speech engine", 5)
    told = [Event.FromString(record.value) for record in bus.records(CALLS)]
    first, again = told[: len(told) // 2], told[len(told) // 2 :]
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert len({event.event_id for event in first}) == len(first)
    assert {event_type(event) for event in first} == {
        kind for kind in SEEN_HERE.split() if kind.split(".")[0] in {"recording", "transcript", "analysis"}
    }


def _recording() -> RecordingDocument:
    return RecordingDocument(
        *("r1", "acme", "c1", "fs1", "sound", "acme/c1/r1.opus", 900, "ab", 1_000, 2, 8_000, "audio/ogg"),
        *(False, False, 5, 6),
        delete_reason="by hand",
    )


def _transcript() -> dict[str, Any]:
    match = {"rule_id": "rude", "speaker": "agent", "at_ms": 40, "kind": "phrase", "phrase": "no"}
    return {
        "tenant_id": "acme",
        "call_id": "c1",
        "recording_id": "r1",
        "language": "uk",
        "engine": "whisper",
        "words": 12,
        "confidence": 0.9,
        "redactions": 0,
        "queue_id": "sales",
        "agent_id": "olena",
        "made_us": 9,
        "analysis": {"matches": [match]},
    }
