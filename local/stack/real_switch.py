"""A real FreeSWITCH in the place of the simulated one: which one was asked for, and how it is started here."""

import os
import shutil
import socket
import sys
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.phones.stage import BEGUN
from local.stack.layout import ROOT, Layout
from local.stack.part import Part, PartFailed, answers, listens
from local.voices.clips import SAMPLE_RATE, Samples, find_speech

CONFIGURATION = ROOT / "freeswitch" / "conf"
# Secrets of a stack on loopback: they guard nothing and are the same each time, so that a person can type them.
ESL_PASSWORD = "ringmaster-local"  # noqa: S105 - see above
DIRECTORY_PASSWORD = "local-directory"  # noqa: S105 - see above
PHONE_SECRET = "ringmaster-local-phones"  # noqa: S105 - see above
DEFAULT_EVENT_SOCKET_PORT = 8021
DEFAULT_CARRIER_PORT = 5080
DEFAULT_PHONE_PORT = 5060
MOST_CALLS = 30
_LOOPBACK = "127.0.0.1"
# The demo's acme has a carrier of its own, which is here the same phones under another gateway.
_TRUNK = """<include>
  <gateway name="acme.trunk">
    <param name="proxy" value="{proxy}"/>
    <param name="register" value="false"/>
    <param name="username" value="acme"/>
    <param name="password" value="none"/>
    <param name="caller-id-in-from" value="true"/>
    <variables><variable name="outbound_redirect_fatal" value="true" direction="outbound"/></variables>
  </gateway>
</include>
"""
# Prompts of the demo tenants' flows, in the order in which clips are given to them.
_PROMPTS = ("welcome", "main_menu", "wrong_choice", "all_busy", "closed")
_LANGUAGES = ("uk", "en")


@dataclass(frozen=True, slots=True)
class RealSwitch:
    """A FreeSWITCH and how it is reached. `program` is None for one that somebody else has started."""

    program: str | None
    host: str
    event_socket_port: int
    password: str
    carrier_port: int
    phone_port: int
    recordings: str | None = None
    """Where its recordings are seen from here; None for the stack's own folder."""


def asked_for(layout: Layout, environment: Mapping[str, str] = os.environ) -> RealSwitch | None:
    """Return the real FreeSWITCH that SWITCH=real or FREESWITCH_HOST asks for, None for the simulated one.

    Raises PartFailed with one sentence when it can't be had.
    """
    elsewhere, kind = environment.get("FREESWITCH_HOST"), environment.get("SWITCH", "simulated")
    if elsewhere:
        return _elsewhere(elsewhere, environment)
    if kind == "simulated":
        return None
    if kind != "real":
        raise PartFailed(f"SWITCH={kind} is unknown: say SWITCH=real for an installed FreeSWITCH, or leave it out.")
    program = shutil.which(environment.get("FREESWITCH_BIN") or "freeswitch")
    if program is None:
        raise PartFailed(
            "FreeSWITCH is missing: install FreeSWITCH 1.10 and say where its program is, "
            "for example FREESWITCH_BIN=/usr/local/freeswitch/bin/freeswitch SWITCH=real make up"
        )
    ports = (layout.port("event_socket"), ESL_PASSWORD, layout.port("carriers"), layout.port("telephones"))
    return RealSwitch(program, _LOOPBACK, *ports)


def _elsewhere(address: str, environment: Mapping[str, str]) -> RealSwitch:
    host, _, port = address.partition(":")
    try:
        ports = [
            int(port or environment.get("FREESWITCH_PORT") or DEFAULT_EVENT_SOCKET_PORT),
            int(environment.get("FREESWITCH_CARRIER_PORT") or DEFAULT_CARRIER_PORT),
            int(environment.get("FREESWITCH_PHONE_PORT") or DEFAULT_PHONE_PORT),
        ]
    except ValueError as error:
        raise PartFailed(f"FREESWITCH_HOST={address}: a port is not a number.") from error
    password = environment.get("FREESWITCH_PASSWORD", ESL_PASSWORD)
    return RealSwitch(None, host, ports[0], password, ports[1], ports[2], environment.get("FREESWITCH_RECORDINGS"))


def freeswitch(layout: Layout, switch: RealSwitch) -> Part:
    """Return FreeSWITCH with exactly the files of freeswitch/conf; all that differs comes by environment."""
    home = layout.path("freeswitch", "x").parent
    folders = {name: home / name for name in ("log", "db", "run", "storage", "certs")} | {
        "recordings": layout.path("recordings")
    }
    command = [switch.program or "", "-nf", "-nc", "-nonat", "-conf", str(CONFIGURATION)]
    for name, folder in folders.items():
        folder.mkdir(exist_ok=True)
        command += [f"-{name}", str(folder)]
    layout.path("call-records").mkdir(exist_ok=True)
    layout.path("gateways", "acme.xml").write_text(_TRUNK.format(proxy=layout.address("agents")), encoding="utf-8")
    _write_sounds(layout)
    ports = tuple(layout.port(name) for name in ("event_socket", "carriers", "telephones"))
    return Part(
        "freeswitch",
        command,
        lambda: all(listens(port) for port in ports),
        layout.path("logs", "freeswitch.log"),
        _node_environment(layout),
    )


def _node_environment(layout: Layout) -> dict[str, str]:
    """Return what freeswitch/conf/vars.xml reads."""
    return {
        "RINGMASTER_ESL_PASSWORD": ESL_PASSWORD,
        "RINGMASTER_ESL_PORT": str(layout.port("event_socket")),
        "RINGMASTER_CARRIER_PORT": str(layout.port("carriers")),
        "RINGMASTER_PHONE_PORT": str(layout.port("telephones")),
        "RINGMASTER_RTP_FIRST_PORT": str(layout.media_port("switch")),
        "RINGMASTER_RTP_LAST_PORT": str(layout.media_port("switch") + 998),
        # Outside numbers are answered by the same phones as the agents' are.
        "RINGMASTER_GATEWAY_PROXY": layout.address("agents"),
        "RINGMASTER_CONSOLE_URL": layout.url("console"),
        "RINGMASTER_DIRECTORY_PASSWORD": DIRECTORY_PASSWORD,
        "RINGMASTER_GATEWAYS_DIR": str(layout.path("gateways")),
        "RINGMASTER_MUSIC_DIR": str(layout.path("music")),
        "RINGMASTER_CALL_RECORDS_DIR": str(layout.path("call-records")),
    }


def phones(layout: Layout, switch: RealSwitch, scenario: Path) -> Part:
    """Return SIPp's callers and agents. Raises PartFailed when SIPp is missing."""
    if shutil.which("sipp") is None:
        raise PartFailed("SIPp is missing, which plays the callers and agents: install it (Debian: sip-tester).")
    folder = layout.path("phones")
    folder.mkdir(exist_ok=True)
    for old in (folder / BEGUN, *folder.glob("*.log"), *folder.glob("*.errors")):
        old.unlink(missing_ok=True)
    options = {
        "folder": folder,
        "tenants": layout.path("tenants"),
        "scenario": scenario,
        "switch": switch.host,
        "address": _address_towards(switch.host),
        "most-calls": MOST_CALLS,
        "http-port": layout.port("switch"),
        "carrier-port": switch.carrier_port,
        "phone-port": switch.phone_port,
        "callers-port": layout.port("callers"),
        "agents-port": layout.port("agents"),
        "office-port": layout.port("office"),
        "media-port": layout.media_port("phones"),
    }
    command = [sys.executable, "-m", "local.phones"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    url = layout.url("switch", "/status")
    environment = {"PYTHONPATH": str(ROOT), "RINGMASTER_PHONE_SECRET": PHONE_SECRET}
    return Part("phones", command, lambda: answers(url), layout.path("logs", "phones.log"), environment)


def _address_towards(host: str) -> str:
    """Return this machine's address on the way to a host; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, DEFAULT_CARRIER_PORT))
        except OSError as error:
            raise PartFailed(f"FREESWITCH_HOST={host} can't be reached: {error.strerror}") from error
        return str(probe.getsockname()[0])


def _write_sounds(layout: Layout) -> None:
    """Write the demo flows' prompts and hold music, of the best speech that this machine has."""
    speech = find_speech()
    for number, name in enumerate(_PROMPTS):
        clip = speech.clips[number % len(speech.clips)]
        for language in _LANGUAGES:
            _write_wave(layout.path("prompts", "default", language, f"{name}.wav"), clip.samples)
    _write_wave(layout.path("music", "waiting.wav"), speech.music)


def _write_wave(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
