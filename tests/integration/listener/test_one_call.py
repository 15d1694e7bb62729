"""One whole call through a simulated FreeSWITCH in a process of its own: our commands in, the tenant's facts out."""

from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.testing.waiting import wait_until
from tests.integration.listener.conftest import Platform

AGENT_LEG = "agent-leg-1"
LEASED_SECONDS = 5


def test_a_call_is_answered_asked_bridged_recorded_and_ended(platform: Platform) -> None:
    platform.start()
    leg = platform.call_in()

    platform.command(command_id="c1", call_id=leg, leg_id=leg, lease_leg=pb.LeaseLeg(seconds=20))
    platform.command(command_id="c2", call_id=leg, leg_id=leg, answer_leg=pb.AnswerLeg())
    ask = pb.CollectDigits(max_digits=1, tries=2, timeout_ms=3000, valid=["1", "2"])
    platform.command(command_id="c3", call_id=leg, leg_id=leg, collect_digits=ask)
    collected = platform.fact(leg, "digits_collected").digits_collected
    assert (collected.command_id, collected.digits) == ("c3", "2")

    platform.command(command_id="c4", call_id=leg, leg_id=leg, start_music=pb.StartMusic())
    platform.command(
        command_id="c5",
        call_id=leg,
        leg_id=AGENT_LEG,
        originate_leg=pb.OriginateLeg(phone="anna@acme.example", ring_timeout_ms=10_000, caller_name="Jürgen {x}"),
    )
    assert platform.result("c5").outcome == pb.COMMAND_OUTCOME_DONE
    created = platform.fact(AGENT_LEG, "leg_created")
    assert (created.call_id, created.leg_created.command_id) == (leg, "c5")
    platform.fact(AGENT_LEG, "leg_parked")

    platform.command(command_id="c6", call_id=leg, leg_id=leg, lease_leg=pb.LeaseLeg(seconds=0))
    platform.command(command_id="c7", call_id=leg, leg_id=leg, start_recording=pb.StartRecording(recording_id="r1"))
    platform.command(command_id="c8", call_id=leg, leg_id=leg, bridge_legs=pb.BridgeLegs(other_leg_id=AGENT_LEG))
    assert platform.fact(leg, "leg_bridged").leg_bridged.other_leg_id == AGENT_LEG
    assert platform.fact(leg, "recording_began").recording_began.path == f"acme/{leg}/r1.wav"

    platform.command(command_id="c9", call_id=leg, leg_id=AGENT_LEG, hang_up_leg=pb.HangUpLeg())
    platform.fact(AGENT_LEG, "leg_hung_up")
    assert platform.fact(leg, "leg_hung_up").leg_hung_up.cause == "NORMAL_CLEARING"
    finished = platform.fact(leg, "recording_finished").recording_finished
    assert finished.recording_id == "r1"
    assert (platform.folder / "rec" / finished.path).stat().st_size > 44

    for number in range(1, 10):
        assert platform.result(f"c{number}").outcome == pb.COMMAND_OUTCOME_DONE, number
    for each in (leg, AGENT_LEG):
        sequences = [told.fact.leg_sequence for told in platform.inputs() if told.fact.leg_id == each]
        assert sequences == list(range(1, len(sequences) + 1))


def test_a_lease_that_no_router_takes_off_cuts_no_talk(platform: Platform) -> None:
    """Whoever decides died between the bridge and its answer."""
    platform.start()
    leg = platform.call_in()
    platform.command(command_id="c1", call_id=leg, leg_id=leg, lease_leg=pb.LeaseLeg(seconds=120))
    platform.command(command_id="c2", call_id=leg, leg_id=leg, answer_leg=pb.AnswerLeg())
    calls = pb.OriginateLeg(phone="anna@acme.example", ring_timeout_ms=60_000)
    platform.command(command_id="c3", call_id=leg, leg_id=AGENT_LEG, originate_leg=calls)
    platform.fact(AGENT_LEG, "leg_parked")
    platform.command(command_id="c4", call_id=leg, leg_id=leg, lease_leg=pb.LeaseLeg(seconds=LEASED_SECONDS))
    platform.command(command_id="c5", call_id=leg, leg_id=leg, bridge_legs=pb.BridgeLegs(other_leg_id=AGENT_LEG))
    platform.fact(leg, "leg_bridged")
    bridged = platform.switch.status()["now"]
    wait_until(lambda: platform.switch.status()["now"] > bridged + LEASED_SECONDS + 2, "the lease's end", 60)
    assert platform.switch.leg(leg)["partner"] == AGENT_LEG
    assert "leg_fell_back" not in platform.kinds(leg)
