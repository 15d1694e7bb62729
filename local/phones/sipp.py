"""SIPp's processes: callers, agents, and the registrations that go before them."""

import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where everybody is: the switch, and the addresses of the phones; agents' are seen at `office_port`."""

    switch_host: str
    carrier_port: int
    phone_port: int
    local_host: str
    callers_port: int
    agents_port: int
    office_port: int
    media_port: int


@dataclass(slots=True)
class Sipp:
    """One scenario that is played by SIPp in its folder; each start writes a log of its own."""

    name: str
    scenario: str
    folder: Path
    options: list[str]
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    logs: list[Path] = field(default_factory=list)
    finishes: bool = False

    def start(self) -> None:
        """Start it. Where `setpriv` is there the kernel ends it with its parent: no caller outlives the stack."""
        log = self.folder / f"{self.name}-{time.time_ns() // 1_000_000}.log"
        self.logs.append(log)
        self.started, self.finishes = time.monotonic(), False
        setpriv = shutil.which("setpriv")
        command = [
            *((setpriv, "--pdeathsig", "KILL") if setpriv else ()),
            *("sipp", "-sf", str(HERE / self.scenario), "-nostdin", "-trace_logs", "-log_file", str(log)),
            *("-trace_err", "-error_file", str(log.with_suffix(".errors"))),
            *self.options,
        ]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def finish(self) -> None:
        """Begin no new call and end with the last one. Asked a second time, SIPp would end the calls that are left."""
        if self.process is not None and self.is_running and not self.finishes:
            self.finishes = True
            self.process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """End it now."""
        if self.process is None or not self.is_running:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def lasted_seconds(self) -> float:
        """Return how long ago it was started, to within a look: ask at once after it has ended."""
        return time.monotonic() - self.started

    def last_words(self) -> str:
        """Return what SIPp says of its own trouble."""
        errors = self.logs[-1].with_suffix(".errors")
        return errors.read_text(encoding="utf-8", errors="replace")[-300:] if errors.exists() else "no reason given"

    def lines(self) -> list[str]:
        """Return everything that it and its former lives have logged."""
        logs = sorted(self.folder.glob(f"{self.name}-*.log"))
        found = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
        return "".join(found).splitlines()


def callers(folder: Path, place: Place, per_hour: float, most: int) -> Sipp:
    """Return the callers: `callers.csv` says who they are, at most `most` call at a time."""
    options = [
        *(f"{place.switch_host}:{place.carrier_port}", "-inf", str(folder / "callers.csv")),
        *("-r", "1", "-rp", str(max(1, round(3_600_000 / per_hour))), "-l", str(most)),
        *_addresses(place, place.callers_port, place.media_port),
    ]
    return Sipp("callers", "caller.xml", folder, options)


def agents(folder: Path, place: Place) -> Sipp:
    """Return the agents' phones, all on one port."""
    return Sipp("agents", "agent.xml", folder, _addresses(place, place.agents_port, place.media_port + 1_000))


def registrations(folder: Path, place: Place, switch: tuple[str, int], phones: int) -> Sipp:
    """Return one round of registrations of the phones in `phones.csv`, by way of `switch`."""
    options = [
        *(f"{switch[0]}:{switch[1]}", "-inf", str(folder / "phones.csv")),
        *("-m", str(phones), "-r", "20", "-l", "20", "-timeout", "20"),
        *("-i", place.local_host),
    ]
    return Sipp("registrations", "register.xml", folder, options)


def may_send_events() -> bool:
    """Whether SIPp may write telephone events (RFC 4733): it does so on a raw socket, which root may open."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP).close()
    except PermissionError:
        return False
    return True


def _addresses(place: Place, port: int, media_port: int) -> list[str]:
    return [
        *(
            "-i",
            place.local_host,
            "-p",
            str(port),
            "-bind_local",
            "-aa",
            "-mi",
            place.local_host,
            "-mp",
            str(media_port),
        ),
        *("-cp", str(port + 1), "-deadcall_wait", "4000"),
    ]
