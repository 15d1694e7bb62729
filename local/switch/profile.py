"""A leg's caller profile: who calls whom, and when what happened, as the Caller-* and Other-Leg-* headers say it."""

from dataclasses import dataclass, field

from local.switch.encoding import header


@dataclass(slots=True)
class Times:
    """Instants of a leg's life in microseconds; zero is never."""

    profile_created: int = 0
    created: int = 0
    answered: int = 0
    progress: int = 0
    progress_media: int = 0
    hungup: int = 0
    transfer: int = 0
    resurrect: int = 0
    bridged: int = 0
    last_hold: int = 0
    hold_accum: int = 0

    def lines(self, prefix: str) -> str:
        """Return the eleven time headers."""
        return (
            f"{prefix}-Profile-Created-Time: {self.profile_created}\n"
            f"{prefix}-Channel-Created-Time: {self.created}\n"
            f"{prefix}-Channel-Answered-Time: {self.answered}\n"
            f"{prefix}-Channel-Progress-Time: {self.progress}\n"
            f"{prefix}-Channel-Progress-Media-Time: {self.progress_media}\n"
            f"{prefix}-Channel-Hangup-Time: {self.hungup}\n"
            f"{prefix}-Channel-Transfer-Time: {self.transfer}\n"
            f"{prefix}-Channel-Resurrect-Time: {self.resurrect}\n"
            f"{prefix}-Channel-Bridged-Time: {self.bridged}\n"
            f"{prefix}-Channel-Last-Hold: {self.last_hold}\n"
            f"{prefix}-Channel-Hold-Accum: {self.hold_accum}\n"
        )


_ENDING = "{0}-Screen-Bit: true\n{0}-Privacy-Hide-Name: false\n{0}-Privacy-Hide-Number: false\n"


@dataclass(slots=True)
class CallerProfile:
    """The parties of one leg. `index` grows with every transfer and bridge by command."""

    unique_id: str
    channel_name: str
    direction: str
    destination_number: str
    caller_id_name: str = ""
    caller_id_number: str = ""
    source: str = "mod_sofia"
    username: str = ""
    dialplan: str = ""
    context: str = "default"
    network_addr: str = ""
    ani: str = ""
    callee_id_name: str = ""
    callee_id_number: str = ""
    orig_caller_id_name: str = ""
    orig_caller_id_number: str = ""
    rdnis: str = ""
    transfer_source: str = ""
    logical_direction: str = ""
    index: int = 1
    times: Times = field(default_factory=Times)

    def caller_block(self) -> str:
        """Return the Caller-* headers in the switch's order."""
        return self._lines("Caller", f"Caller-Profile-Index: {self.index}\n", self.times)

    def other_leg_block(self, role: str) -> str:
        """Return the Other-Leg-* headers that the partner shows; `role` is originator or originatee.

        The copy that a called leg holds of its caller is taken before the caller's times are known, so they are zero
        in every capture.
        """
        times = self.times if role == "originatee" else Times()
        return f"Other-Type: {role}\n" + self._lines("Other-Leg", "", times)

    def _lines(self, prefix: str, index_line: str, times: Times) -> str:
        lines = [
            header(f"{prefix}-Direction", self.direction),
            header(f"{prefix}-Logical-Direction", self.logical_direction or self.direction),
        ]
        lines += [
            header(f"{prefix}-{name}", value)
            for name, value in (
                ("Username", self.username),
                ("Dialplan", self.dialplan),
                ("Caller-ID-Name", self.caller_id_name),
                ("Caller-ID-Number", self.caller_id_number),
                ("Orig-Caller-ID-Name", self.orig_caller_id_name),
                ("Orig-Caller-ID-Number", self.orig_caller_id_number),
                ("Callee-ID-Name", self.callee_id_name),
                ("Callee-ID-Number", self.callee_id_number),
                ("Network-Addr", self.network_addr),
                ("ANI", self.ani),
                ("Destination-Number", self.destination_number),
                ("Unique-ID", self.unique_id),
                ("Source", self.source),
                ("Transfer-Source", self.transfer_source),
                ("Context", self.context),
                ("RDNIS", self.rdnis),
                ("Channel-Name", self.channel_name),
            )
            if value
        ]
        return "".join(lines) + index_line + times.lines(prefix) + _ENDING.format(prefix)

    def swap_parties(self) -> None:
        """Flip caller and callee: a called leg that is handed to an application becomes a caller itself."""
        self.caller_id_name, self.callee_id_name = self.callee_id_name, self.caller_id_name
        self.caller_id_number, self.callee_id_number = self.callee_id_number, self.caller_id_number
