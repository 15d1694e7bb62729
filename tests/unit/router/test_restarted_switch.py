"""What becomes of agents who were ringing, and of talks, when a switch dies: it is back, or it is silent."""

import orjson
import pytest

from services.router.domain.lifecycle import AgentState
from services.router.domain.snapshot import from_snapshot, to_snapshot
from services.shared.contracts.ringmaster.v1 import command_pb2 as cm
from services.shared.contracts.ringmaster.v1 import event_pb2 as ev
from services.shared.contracts.ringmaster.v1 import switch_pb2 as sw
from services.shared.contracts.ringmaster.v1.input_pb2 import Input
from tests.unit.router.world import CORE, LINE, NODE, TENANT, Log, document

BACK = "core-2"
RING_SECONDS = 15
RELEASE_SECONDS = 60


@pytest.fixture
def log() -> Log:
    """Return a tenant in which olena is rung for c1 at the switch's last moment; taras is ready too."""
    log = Log(document())
    log.ready("olena")
    log.queue("c1")
    log.rings("c1")
    log.ready("taras")
    log.is_switch_there = False
    return log


def _state(log: Log, agent_id: str = "olena") -> AgentState:
    return log.state.agents[agent_id].state


def _told(log: Log, leg_id: str = "", boot: str = BACK, **body: object) -> None:
    fact = sw.SwitchFact(node=NODE, core_uuid=boot, leg_id=leg_id, **body)  # type: ignore[arg-type]
    log.feed(Input(tenant_id=TENANT, fact=fact))


def _comes_back(log: Log, *known_legs: str) -> None:
    """Let the switch be there under a new boot, as its listener tells it that still knows some of its legs."""
    log.is_switch_there = True
    _told(log, switch_connected=sw.SwitchConnected())
    if known_legs:
        _told(log, switch_restarted=sw.SwitchRestarted(former_core_uuid=CORE))
    for leg_id in known_legs:
        _told(log, leg_id, leg_hung_up=sw.LegHungUp(cause="SYSTEM_SHUTDOWN", reconciled=True))


def _answers_that_it_lives_not(log: Log) -> None:
    ordered = log.last_command("hang_up_leg")
    log.result(ordered, cm.COMMAND_OUTCOME_FAILED, "NO_SUCH_LEG")


def test_who_rang_is_free_at_once_when_the_listener_knows_both_legs(log: Log) -> None:
    rung = log.last_command("originate_leg").leg_id
    log.wait(8)
    _comes_back(log, "c1", rung)
    assert (_state(log), log.state.calls, log.state.legs) == (AgentState.IDLE, {}, {})


def test_who_rang_is_free_as_soon_as_the_switch_says_that_the_leg_is_not_there(log: Log) -> None:
    """The listener was killed before it had written the agent's leg down."""
    log.wait(8)
    _comes_back(log, "c1")
    _answers_that_it_lives_not(log)
    assert (_state(log), log.state.legs) == (AgentState.IDLE, {})


def test_who_had_rung_out_before_the_switch_was_back_is_free_as_soon_as_it_is(log: Log) -> None:
    rung = log.last_command("originate_leg").leg_id
    log.wait(RING_SECONDS + 25)
    _comes_back(log, "c1", rung)
    assert log.state.legs == {}
    assert log.state.agents["olena"].leg_id == ""


def test_who_rang_at_a_switch_that_stays_silent_may_be_in_a_talk_and_is_kept_for_a_minute(log: Log) -> None:
    log.wait(RING_SECONDS + RELEASE_SECONDS - 2)
    assert log.state.agents["olena"].leg_id
    log.wait(4)
    assert log.state.agents["olena"].leg_id == ""
    assert _state(log) is AgentState.IDLE


def test_a_boot_that_its_listener_knows_nothing_of_any_more_ends_with_the_next_one(log: Log) -> None:
    """The machine came back with an empty disk: nobody is left who could tell what lived on it."""
    log.wait(8)
    _comes_back(log)
    log.wait(4)
    assert "c1" in log.state.calls, "who knows how it ended may tell it yet"
    log.wait(2)
    assert (log.state.calls, log.state.legs) == ({}, {})
    assert _state(log) is AgentState.IDLE
    (ended,) = log.events("call_ended")
    assert ended.call_ended.exit == ev.CALL_EXIT_ERROR


def test_a_talk_of_a_former_boot_ends_too() -> None:
    log = Log(document())
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    _comes_back(log)
    log.wait(3_600)
    assert (log.state.calls, log.state.legs) == ({}, {})
    assert _state(log) is AgentState.IDLE


def test_a_leg_that_was_ordered_before_the_new_boot_may_be_on_it(log: Log) -> None:
    """Its listener has kept the order until there was a session, and carried it out then."""
    log.wait(RING_SECONDS + 1)
    log.is_switch_there = True
    log.result(log.last_command("lease_leg"), cm.COMMAND_OUTCOME_DONE)
    ordered = log.last_command("originate_leg")
    assert ordered.originate_leg.phone.startswith("phone-taras@")
    _told(log, switch_connected=sw.SwitchConnected())
    log.wait(6)
    assert ordered.leg_id in log.state.legs


def test_a_session_with_the_same_boot_ends_nothing() -> None:
    log = Log(document())
    log.ready("olena")
    log.queue("c1")
    log.talk("c1")
    log.fact("", switch_connected=sw.SwitchConnected())
    assert not [timer for timer in log.state.timers if timer.startswith("boot:")]
    log.wait(60)
    assert log.events("call_ended") == []


def test_of_two_boots_within_a_moment_the_last_one_keeps_its_calls(log: Log) -> None:
    _comes_back(log)
    log.wait(3)
    _told(log, boot="core-3", switch_connected=sw.SwitchConnected())
    created = sw.LegCreated(direction=sw.DIRECTION_INBOUND, line=LINE, caller_number="+380501112244")
    log.feed(
        Input(
            tenant_id=TENANT,
            fact=sw.SwitchFact(node=NODE, core_uuid="core-3", switch_sequence=1, leg_id="c9", leg_created=created),
        )
    )
    log.wait(30)
    assert list(log.state.calls) == ["c9"]


def test_who_takes_the_tenant_over_ends_what_a_former_boot_left(log: Log) -> None:
    _comes_back(log)
    log.state = from_snapshot(orjson.loads(orjson.dumps(to_snapshot(log.state))))
    log.wait(6)
    assert log.state.calls == {}
