"""Call control as the platform's own listener writes it to the switch: who hears whom, who waits, who is let go."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from services.listener.adapters.sip_route import SipRoute
from services.listener.adapters.switch_plan import Planner
from services.listener.domain.directory import Directory
from services.listener.domain.prompts import PromptLibrary
from services.shared.contracts.ringmaster.v1 import command_pb2 as pb
from services.shared.outbound.address import AddressGuard
from services.shared.outbound.dial import Names
from tests.switch.conftest import Bench
from tests.switch.oracle import EventSocket
from tests.switch.test_truths import answered, parked_caller


class Talk:
    """A customer, an agent and somebody else, each parked; commands go through the listener's plan."""

    def __init__(self, bench: Bench, commands: EventSocket, events: EventSocket) -> None:
        self.commands, self.events = commands, events
        library = PromptLibrary("/prompts", lambda _path: False, "flite|kal")
        self._planner = Planner(
            library, Directory(), str(bench.recordings), "carrier", SipRoute(AddressGuard.parse("127.0.0.0/8"), Names())
        )
        self.customer = parked_caller(bench, events)
        kept = {"hangup_after_bridge": "true"}
        self.agent = answered(bench, commands, events, **kept)
        self.target = answered(bench, commands, events, **kept)

    def do(self, leg_id: str, **action: object) -> None:
        """Write a command, and hold the switch to its word."""
        command = pb.Command(command_id=str(uuid4()), tenant_id="acme", call_id=self.customer, leg_id=leg_id)
        for name, value in action.items():
            getattr(command, name).CopyFrom(value)
        for step in self._planner.plan(command):
            if step.only_while_playing:
                continue
            self.commands.send(step.wire.decode())
            frame = self.commands.reply()
            said = frame.body.decode() or frame.headers.get("Reply-Text", "")
            assert not step.required or not said.startswith(("-", "false")), (step.wire, said)

    def originate(self, leg_id: str, sip: str) -> None:
        """Dial a SIP address."""
        command = pb.Command(command_id=str(uuid4()), tenant_id="acme", call_id=self.customer, leg_id=leg_id)
        command.originate_leg.sip = sip
        self.commands.send(self._planner.originate(command).decode())
        self.commands.reply()

    def bridge(self, leg_id: str, other_id: str, *, parks: bool = False, goes_on: bool = False) -> None:
        """Bridge and wait for it. Afterwards the other one ends too, or both wait parked, or the first alone does."""
        self.forget()
        order = pb.BridgeLegs(other_leg_id=other_id, park_after=parks or goes_on, park_other_after=parks)
        self.do(leg_id, bridge_legs=order)
        self.comes("CHANNEL_BRIDGE", leg_id, other_id)

    def part(self) -> None:
        self.forget()
        self.do(self.customer, part_legs=pb.PartLegs(other_leg_id=self.agent))
        self.events.event_of(self.customer, "CHANNEL_PARK")
        self.events.event_of(self.agent, "CHANNEL_PARK")

    def comes(self, name: str, *legs: str) -> None:
        """Wait for an event that is told on either of some legs."""
        self.events.wait_for(
            lambda event: event.name == name and event.get("Unique-ID") in legs, f"{name} of one of {legs}"
        )

    def forget(self) -> None:
        """Let what has been told count no more."""
        self.commands.api("status")
        self.events.command("noevents")
        self.events.command("event plain ALL")
        self.events.events.clear()

    def consult(self) -> None:
        """Bring the agent and the other one together while the customer waits."""
        self.bridge(self.customer, self.agent)
        self.part()
        self.bridge(self.agent, self.target, parks=True)

    def hears_music(self) -> None:
        """Play music as a router does: what comes while a room ends is lost with it, so anew to whom it sees parked."""
        self.do(self.customer, start_music=pb.StartMusic(stream="moh"))
        first = self.events.wait_for(
            lambda event: event.name in {"PLAYBACK_START", "CHANNEL_PARK"} and event.get("Unique-ID") == self.customer,
            "music, or the end of the room",
        )
        if first.name == "CHANNEL_PARK":
            self.do(self.customer, start_music=pb.StartMusic(stream="moh"))
            self.events.event_of(self.customer, "PLAYBACK_START")

    def lives(self, *legs: str) -> bool:
        self.commands.let_pass(1)
        return all(self.commands.api(f"uuid_exists {leg}") == "true" for leg in legs)

    def lease(self, seconds: int) -> None:
        """Set the router's guard, or take it off."""
        self.do(self.customer, lease_leg=pb.LeaseLeg(seconds=seconds))

    def guards(self, leg_id: str = "") -> int:
        """Take every guard off a leg, the customer's first of all, and return how many there were."""
        return int(self.commands.api(f"sched_del {leg_id or self.customer}").split()[-1])

    def guard_runs_out(self) -> None:
        """Wait until a guard of the customer has fired, whatever it did."""
        self.events.wait_for(
            lambda event: event.name == "DEL_SCHEDULE" and event.get("Task-Group") == self.customer,
            f"end of a guard of {self.customer}",
        )

    def falls_back(self) -> None:
        """Wait until the switch has helped the customer by itself, and the call has ended there."""
        gone = self.events.event_of(self.customer, "CHANNEL_HANGUP")
        assert gone.get("Caller-Destination-Number") == "fallback"

    def in_room(self) -> int:
        """Return how many are in the customer's room."""
        count = self.commands.api(f"conference acme.{self.customer} get count")
        return int(count) if count.isdigit() else 0

    def come_together(self) -> None:
        """Bring all three into the customer's room."""
        self.forget()
        for leg_id in (self.target, self.agent, self.customer):
            self.do(leg_id, join_conference=pb.JoinConference(conference_id=f"acme.{self.customer}"))
        for leg_id in (self.target, self.agent, self.customer):
            self.events.event_of(leg_id, "CUSTOM", Action="add-member")

    def end(self) -> None:
        for leg in (self.customer, self.agent, self.target):
            self.commands.api(f"uuid_kill {leg}")


@pytest.fixture
def talk(bench: Bench, commands: EventSocket, events: EventSocket) -> Iterator[Talk]:
    made = Talk(bench, commands, events)
    yield made
    made.end()


def test_a_sip_address_is_dialled_through_the_very_address_of_its_host(talk: Talk) -> None:
    leg_id = str(uuid4())
    talk.originate(leg_id, "answer@localhost:5076")
    talk.events.event_of(leg_id, "CHANNEL_PARK")
    talk.bridge(talk.customer, leg_id)


def test_two_who_are_parted_wait_parked_and_may_hear_something(talk: Talk) -> None:
    talk.bridge(talk.customer, talk.agent)
    talk.part()
    talk.do(talk.customer, start_music=pb.StartMusic(stream="moh"))
    talk.events.event_of(talk.customer, "PLAYBACK_START")
    talk.do(talk.agent, start_music=pb.StartMusic(ringing=True))
    talk.events.event_of(talk.agent, "PLAYBACK_START")
    assert talk.lives(talk.customer, talk.agent)


def test_the_agent_goes_to_and_fro_and_whoever_is_left_waits_parked(talk: Talk) -> None:
    talk.consult()
    talk.bridge(talk.customer, talk.agent, parks=True)
    talk.events.event_of(talk.target, "CHANNEL_PARK")
    talk.do(talk.target, start_music=pb.StartMusic(stream="moh"))
    talk.events.event_of(talk.target, "PLAYBACK_START")
    talk.bridge(talk.agent, talk.target, parks=True)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    assert talk.lives(talk.customer, talk.agent, talk.target)


def test_a_completed_transfer_leaves_the_agent_parked_and_the_two_end_together(talk: Talk) -> None:
    talk.consult()
    talk.do(talk.customer, start_music=pb.StartMusic(stream="moh"))
    talk.bridge(talk.customer, talk.target)
    talk.events.event_of(talk.agent, "CHANNEL_PARK")
    assert talk.lives(talk.customer, talk.agent, talk.target)
    talk.do(talk.agent, hang_up_leg=pb.HangUpLeg())
    assert talk.lives(talk.customer, talk.target)
    talk.do(talk.target, hang_up_leg=pb.HangUpLeg())
    talk.events.event_of(talk.customer, "CHANNEL_HANGUP")


@pytest.mark.parametrize("leaving", ["agent", "target"])
def test_whoever_is_left_in_a_consultation_waits_parked(talk: Talk, leaving: str) -> None:
    talk.consult()
    gone, left = (talk.agent, talk.target) if leaving == "agent" else (talk.target, talk.agent)
    talk.do(gone, hang_up_leg=pb.HangUpLeg())
    talk.events.event_of(left, "CHANNEL_PARK")
    talk.bridge(talk.customer, left)
    assert talk.lives(talk.customer, left)


def test_three_come_together_in_a_room_and_two_of_them_leave_it_for_each_other(talk: Talk) -> None:
    talk.consult()
    talk.come_together()
    assert talk.lives(talk.customer, talk.agent, talk.target)
    talk.do(talk.agent, hang_up_leg=pb.HangUpLeg())
    talk.bridge(talk.customer, talk.target)
    assert talk.lives(talk.customer, talk.target)
    assert talk.customer not in talk.commands.api("conference list")


@pytest.mark.parametrize("mode", [pb.EAVESDROP_MODE_LISTEN, pb.EAVESDROP_MODE_WHISPER, pb.EAVESDROP_MODE_BARGE])
def test_who_listens_to_an_agent_is_let_go_with_him(talk: Talk, mode: "pb.EavesdropMode.ValueType") -> None:
    talk.bridge(talk.customer, talk.agent)
    listen = pb.EavesdropLeg(target_leg_id=talk.agent, mode=pb.EAVESDROP_MODE_LISTEN)
    talk.do(talk.target, eavesdrop_leg=listen)
    talk.events.event_of(talk.agent, "MEDIA_BUG_START")
    talk.forget()
    talk.do(talk.target, eavesdrop_leg=pb.EavesdropLeg(target_leg_id=talk.agent, mode=mode))
    talk.events.event_of(talk.agent, "MEDIA_BUG_START")
    assert talk.lives(talk.customer, talk.agent, talk.target)
    talk.do(talk.agent, hang_up_leg=pb.HangUpLeg())
    talk.events.event_of(talk.target, "CHANNEL_HANGUP")


def test_a_supervisor_who_takes_over_leaves_the_agent_to_end(talk: Talk) -> None:
    talk.bridge(talk.customer, talk.agent)
    talk.do(talk.target, eavesdrop_leg=pb.EavesdropLeg(target_leg_id=talk.agent, mode=pb.EAVESDROP_MODE_BARGE))
    talk.events.event_of(talk.agent, "MEDIA_BUG_START")
    talk.bridge(talk.customer, talk.target)
    talk.events.event_of(talk.agent, "CHANNEL_HANGUP")
    assert talk.lives(talk.customer, talk.target)


def test_mute_and_digits_change_nothing_else(talk: Talk) -> None:
    talk.bridge(talk.customer, talk.agent)
    talk.do(talk.agent, mute_leg=pb.MuteLeg(muted=True))
    talk.do(talk.agent, mute_leg=pb.MuteLeg(muted=False))
    talk.do(talk.customer, send_digits=pb.SendDigits(digits="12#"))
    assert talk.lives(talk.customer, talk.agent)


def test_a_customer_whose_agent_is_let_go_at_once_stays_and_may_hear_something(talk: Talk) -> None:
    talk.bridge(talk.customer, talk.agent)
    talk.forget()
    talk.do(talk.customer, part_legs=pb.PartLegs(other_leg_id=talk.agent))
    talk.do(talk.agent, hang_up_leg=pb.HangUpLeg())
    talk.do(talk.customer, start_music=pb.StartMusic(stream="moh"))
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    talk.do(talk.customer, start_music=pb.StartMusic(stream="moh"))
    talk.events.event_of(talk.customer, "PLAYBACK_START")
    talk.events.event_of(talk.agent, "CHANNEL_HANGUP")
    assert talk.lives(talk.customer)
    talk.bridge(talk.customer, talk.target)
    assert talk.lives(talk.customer, talk.target)


def test_a_customer_whose_talk_goes_on_and_to_whom_nobody_comes_falls_back(talk: Talk, bench: Bench) -> None:
    """No router is there when the agent leaves: the switch helps itself, as with a call that nobody claims."""
    talk.bridge(talk.customer, talk.agent, goes_on=True)
    talk.forget()
    bench.hang_up(talk.agent)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    talk.events.event_of(talk.customer, "CHANNEL_EXECUTE", Application="hangup")
    assert talk.events.event_of(talk.customer, "CHANNEL_HANGUP").get("Caller-Destination-Number") == "fallback"


def test_a_router_that_is_there_takes_the_guard_off_and_the_next_talk_has_none(talk: Talk, bench: Bench) -> None:
    talk.bridge(talk.customer, talk.agent, goes_on=True)
    talk.forget()
    bench.hang_up(talk.agent)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    talk.lease(20)
    talk.bridge(talk.customer, talk.target)
    talk.lease(0)
    assert talk.guards() == 0
    assert talk.lives(talk.customer, talk.target)
    talk.do(talk.target, hang_up_leg=pb.HangUpLeg())
    talk.events.event_of(talk.customer, "CHANNEL_HANGUP")


def test_a_leased_customer_who_is_parked_by_the_switch_has_the_lease_alone(talk: Talk) -> None:
    """A second guard, of five seconds, would take them from a router that renews its own in ten."""
    talk.bridge(talk.customer, talk.agent, parks=True)
    talk.lease(20)
    talk.bridge(talk.agent, talk.target, parks=True)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    assert talk.guards() == 1
    talk.bridge(talk.customer, talk.agent, parks=True)
    talk.lease(0)
    talk.events.event_of(talk.target, "CHANNEL_PARK")
    assert (talk.guards(), talk.guards(talk.target)) == (0, 0), "only customers are guarded"
    talk.forget()
    talk.do(talk.agent, hang_up_leg=pb.HangUpLeg())
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    assert talk.guards() == 1


def test_a_customer_who_is_parted_has_the_routers_guard_alone(talk: Talk) -> None:
    talk.bridge(talk.customer, talk.agent, goes_on=True)
    talk.lease(0)
    talk.part()
    talk.lease(20)
    talk.do(talk.agent, hang_up_leg=pb.HangUpLeg())
    assert talk.lives(talk.customer)
    assert talk.guards() == 1


def test_a_customer_who_is_taken_over_or_held_has_no_guard(talk: Talk) -> None:
    talk.bridge(talk.customer, talk.agent, goes_on=True)
    talk.lease(0)
    talk.do(talk.customer, hold_leg=pb.HoldLeg())
    talk.do(talk.customer, resume_leg=pb.ResumeLeg())
    talk.bridge(talk.customer, talk.target, goes_on=True)
    talk.events.event_of(talk.agent, "CHANNEL_HANGUP")
    assert talk.lives(talk.customer, talk.target)
    assert talk.guards() == 0


def test_no_guard_follows_a_customer_into_a_room(talk: Talk) -> None:
    talk.bridge(talk.customer, talk.agent, parks=True)
    talk.lease(0)
    talk.forget()
    room = pb.JoinConference(conference_id=f"acme.{talk.customer}")
    talk.do(talk.agent, join_conference=room)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    assert talk.guards() == 0
    talk.do(talk.customer, join_conference=room)
    talk.events.event_of(talk.customer, "CUSTOM", Action="add-member")
    assert talk.guards() == 0


def test_a_customer_who_was_called_is_guarded_after_a_talk_and_talks_again(
    bench: Bench, commands: EventSocket, talk: Talk
) -> None:
    commands.api(f"uuid_kill {talk.customer}")
    talk.customer = answered(bench, commands, talk.events, hangup_after_bridge="true")
    talk.bridge(talk.customer, talk.agent, goes_on=True)
    talk.forget()
    bench.hang_up(talk.agent)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    assert talk.guards() == 1
    talk.bridge(talk.customer, talk.target)
    assert talk.lives(talk.customer, talk.target)


def test_a_lease_that_runs_out_while_the_customer_waits_makes_the_switch_help_itself(talk: Talk) -> None:
    talk.forget()
    talk.lease(1)
    talk.falls_back()


def test_a_lease_that_nobody_takes_off_runs_out_in_the_talk_and_does_not_cut_it(talk: Talk, bench: Bench) -> None:
    """All routers died between the bridge and its answer. What comes after the talk is guarded as ever."""
    talk.forget()
    talk.lease(2)
    talk.bridge(talk.customer, talk.agent, goes_on=True)
    talk.guard_runs_out()
    assert talk.lives(talk.customer, talk.agent)
    bench.hang_up(talk.agent)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    talk.falls_back()


def test_a_lease_that_nobody_takes_off_does_not_cut_the_customer_from_whoever_called_them(talk: Talk) -> None:
    """The same where the customer is the other leg of the bridge."""
    talk.forget()
    talk.lease(2)
    talk.bridge(talk.agent, talk.customer)
    talk.guard_runs_out()
    assert talk.lives(talk.customer, talk.agent)


def test_a_lease_that_outlives_a_short_talk_helps_the_customer_after_it(talk: Talk, bench: Bench) -> None:
    talk.lease(4)
    talk.bridge(talk.customer, talk.agent, goes_on=True)
    talk.forget()
    bench.hang_up(talk.agent)
    talk.events.event_of(talk.customer, "CHANNEL_PARK")
    talk.falls_back()


def test_a_lease_that_nobody_takes_off_does_not_fetch_the_customer_out_of_a_room(talk: Talk) -> None:
    talk.consult()
    talk.lease(3)
    talk.come_together()
    talk.guard_runs_out()
    assert talk.lives(talk.customer, talk.agent, talk.target)
    assert talk.in_room() == 3


def test_a_customer_who_is_left_alone_in_a_room_and_to_whom_nobody_comes_falls_back(talk: Talk, bench: Bench) -> None:
    talk.consult()
    talk.lease(20)
    talk.come_together()
    talk.lease(0)
    bench.hang_up(talk.agent)
    assert talk.lives(talk.customer, talk.target)
    assert talk.in_room() == 2
    bench.hang_up(talk.target)
    talk.falls_back()


def test_a_customer_who_is_left_alone_in_a_room_is_kept_by_a_router_that_is_there(talk: Talk, bench: Bench) -> None:
    talk.consult()
    talk.come_together()
    talk.lease(0)
    talk.forget()
    bench.hang_up(talk.agent)
    bench.hang_up(talk.target)
    talk.events.event_of(talk.target, "CHANNEL_HANGUP")
    talk.lease(20)
    talk.hears_music()
    talk.commands.let_pass(5)
    assert talk.guards() == 1
    assert talk.lives(talk.customer)
    newcomer = answered(bench, talk.commands, talk.events)
    talk.bridge(talk.customer, newcomer)
    assert talk.lives(talk.customer, newcomer)
    talk.do(newcomer, hang_up_leg=pb.HangUpLeg())
    talk.events.event_of(talk.customer, "CHANNEL_HANGUP")
