"""The phones that the switch can call: agents' desks, outside numbers, and numbers that misbehave on purpose."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from local.switch import holding
from local.switch.causes import SIP_REFUSALS
from local.switch.distributions import Distribution, Fixed
from local.switch.originate import CalledPhone, Destination, reach
from local.switch.states import State

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.core import Switch

# A phone says 180 Ringing within a frame or two.
RINGING_SECONDS = 0.01
# What a phone may do when it is called, besides answering.
REFUSING = {"busy": 486, "reject": 603, "unavailable": 480, "not_found": 404, "broken": 503, "incompatible": 488}
BEHAVIOURS = frozenset({"answer", "no_answer", "early_media", "black_hole", "unregistered", *REFUSING})


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a phone reacts: what it does, after how long, how long it talks before it hangs up by itself.

    `talk` is None for a phone that never hangs up first. `drop_chance` is how likely it drops a talk in the middle,
    `hold_chance` how likely it holds the caller once.
    """

    does: str = "answer"
    answer_seconds: Distribution = field(default_factory=lambda: Fixed(2.0))
    talk_seconds: Distribution | None = None
    drop_chance: float = 0.0
    hold_chance: float = 0.0
    miss_chance: float = 0.0
    reject_chance: float = 0.0


class Phone(CalledPhone):
    """One simulated phone. It takes one call at a time; a second one hears busy."""

    def __init__(self, switch: Switch, destination_name: str, behaviour: Behaviour, dice: random.Random) -> None:
        self.switch = switch
        self.name = destination_name
        self.behaviour = behaviour
        self.dice = dice
        self.leg: Leg | None = None
        self.destination: Destination | None = None
        self.answered_calls = 0

    def ring(self, leg: Leg) -> None:
        """React to an INVITE as the behaviour says."""
        does = self._decide()
        if does == "black_hole":
            return
        after = self.switch.scheduler.after
        if does in REFUSING:
            status = REFUSING[does]
            rings_first = does in {"busy", "reject"}
            after(RINGING_SECONDS, lambda: self._reached(leg, rings=rings_first))
            after(RINGING_SECONDS + (0.5 if rings_first else 0.0), lambda: _refuse(leg, status))
            return
        self.leg = leg
        if does == "early_media":
            after(RINGING_SECONDS, lambda: self._reached(leg, rings=False))
            after(RINGING_SECONDS, leg.pre_answer)
            return
        after(RINGING_SECONDS, lambda: self._reached(leg, rings=True))
        if does == "answer":
            after(max(RINGING_SECONDS, self.behaviour.answer_seconds.draw(self.dice)), lambda: self._pick_up(leg))

    def _decide(self) -> str:
        behaviour = self.behaviour
        if self.leg is not None and self.leg.is_up:
            return "busy"
        if behaviour.does != "answer":
            return behaviour.does
        roll = self.dice.random()
        if roll < behaviour.miss_chance:
            return "no_answer"
        return "reject" if roll < behaviour.miss_chance + behaviour.reject_chance else "answer"

    def _reached(self, leg: Leg, *, rings: bool) -> None:
        if not leg.is_up:
            return
        if self.destination is not None:
            reach(leg, self.destination)
        if rings:
            leg.ring_ready()

    def _pick_up(self, leg: Leg) -> None:
        if leg.is_up and self.leg is leg:
            leg.codec_up = True
            self.answered_calls += 1
            leg.answer()

    def on_bridged(self, leg: Leg, other: Leg) -> None:
        """Talk: perhaps drop the call, hold it once, or hang up when enough is said."""
        behaviour, after = self.behaviour, self.switch.scheduler.after
        if behaviour.drop_chance and self.dice.random() < behaviour.drop_chance:
            after(self.dice.uniform(0.5, 5.0), lambda: self._leave(leg, other))
        elif behaviour.talk_seconds is not None:
            after(behaviour.talk_seconds.draw(self.dice), lambda: self._leave(leg, other))
        if behaviour.hold_chance and self.dice.random() < behaviour.hold_chance:
            begin = self.dice.uniform(1.0, 4.0)
            after(begin, lambda: _hold(leg, other, on=True))
            after(begin + self.dice.uniform(1.0, 6.0), lambda: _hold(leg, other, on=False))

    def _leave(self, leg: Leg, other: Leg) -> None:
        if leg.is_up and leg.bridge is not None and leg.bridge.other(leg) is other:
            leg.hangup_by_phone()

    def on_hangup(self, leg: Leg, _cause: str) -> None:
        """Be free again."""
        if self.leg is leg:
            self.leg = None


def _refuse(leg: Leg, status: int) -> None:
    if leg.is_up:
        leg.hangup(SIP_REFUSALS[status], "recv_refuse")


def _hold(leg: Leg, other: Leg, *, on: bool) -> None:
    if leg.state == State.EXCHANGE_MEDIA and leg.bridge is not None and leg.bridge.other(leg) is other:
        (holding.hold if on else holding.resume)(leg, by_phone=True)


class PhoneBook:
    """The directory: agents by `user/<agent>@<domain>`, gateways, and addresses of profiles.

    `sofia/internal/<behaviour>@…` reaches a phone that behaves as its user part says (`busy@…`, `no_answer@…`,
    `answer@…`), so that a test can choose an outcome without a scenario.
    """

    def __init__(self, switch: Switch, dice: random.Random, outside: Behaviour | None = None) -> None:
        self._switch = switch
        self._dice = dice
        self._outside = outside or Behaviour()
        self._phones: dict[str, Phone] = {}
        self._known: dict[tuple[str, str], Destination] = {}

    def add_agent(self, agent: str, domain: str, behaviour: Behaviour, port: int) -> Phone:
        """Give an agent a desk phone."""
        name = f"sofia/internal/{agent}@127.0.0.1:{port}"
        phone = Phone(self._switch, name, behaviour, random.Random(self._dice.random()))
        destination = Destination(
            name,
            f"{agent}@127.0.0.1:{port}",
            port,
            phone,
            f"{agent}@{domain}",
            (("dialed_user", agent), ("dialed_domain", domain), ("presence_id", f"{agent}@{domain}")),
        )
        phone.destination = destination
        self._phones[f"{agent}@{domain}"] = phone
        self._known[("user", f"{agent}@{domain}")] = destination
        return phone

    def phone(self, agent_at_domain: str) -> Phone | None:
        """Return an agent's phone."""
        return self._phones.get(agent_at_domain)

    def behave(self, agent_at_domain: str, **changes: object) -> bool:
        """Change how an agent's phone behaves; False when there is none."""
        phone = self._phones.get(agent_at_domain)
        if phone is None:
            return False
        phone.behaviour = replace(phone.behaviour, **changes)  # type: ignore[arg-type] # checked by the caller's schema
        return True

    def does(self, agent_at_domain: str) -> str:
        """Return what an agent's phone does when it is called."""
        phone = self._phones.get(agent_at_domain)
        return "" if phone is None else phone.behaviour.does

    def states(self) -> list[tuple[str, dict[str, object]]]:
        """Return every agent's address with what the phone does and whether it is in a call."""
        return [
            (
                address,
                {
                    "does": phone.behaviour.does,
                    "busy": phone.leg is not None and phone.leg.is_up,
                    "answered_calls": phone.answered_calls,
                },
            )
            for address, phone in self._phones.items()
        ]

    def find(self, endpoint: str, address: str) -> Destination | str:
        """Return where a dial string leads, or why nowhere."""
        if endpoint == "user":
            return self._user(address)
        if endpoint == "error":
            return address.upper()
        if endpoint == "sofia":
            return self._sofia(address)
        return "CHAN_NOT_IMPLEMENTED" if endpoint in {"loopback", "verto"} else "DESTINATION_OUT_OF_ORDER"

    def _user(self, address: str) -> Destination | str:
        user, _, domain = address.partition("@")
        destination = self._known.get(("user", f"{user}@{domain or self._switch.globals['domain']}"))
        if destination is None:
            return "SUBSCRIBER_ABSENT"
        phone = destination.phone
        if isinstance(phone, Phone) and phone.behaviour.does == "unregistered":
            return "USER_NOT_REGISTERED"
        return destination

    def _sofia(self, address: str) -> Destination | str:
        where, _, rest = address.partition("/")
        if where == "gateway":
            gateway, _, number = rest.partition("/")
            through = (("sip_gateway_name", gateway),)
            return self._one_off("external", number, gateway, self._outside, through) if number else "INVALID_URL"
        if not rest:
            return "INVALID_URL"
        user, _, host = rest.partition(";")[0].partition("@")
        does = user if user in BEHAVIOURS else self._outside.does
        if host.endswith(":5999"):
            does = "broken"
        return self._one_off(where, user, host or "127.0.0.1", replace(self._outside, does=does))

    def _one_off(
        self, profile: str, user: str, host: str, behaviour: Behaviour, variables: tuple[tuple[str, str], ...] = ()
    ) -> Destination:
        """Return a phone that exists for one call."""
        address = f"{user}@{host}"
        name = f"sofia/{profile}/{address}" if profile != "external" else f"sofia/external/{user}"
        phone = Phone(self._switch, name, behaviour, random.Random(self._dice.random()))
        phone.destination = Destination(name, address, 5080, phone, variables=variables)
        return phone.destination
