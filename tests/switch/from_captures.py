"""Make the expectations of this suite from captures of a real FreeSWITCH 1.10.12.

    python -m tests.switch.from_captures FOLDER

FOLDER holds the unpacked captures (`*.plain.esl`). For every scenario below, the legs that play a part in it are taken
from one capture, in the order in which they appear there, and written to tests/fixtures/switch/<scenario>.json.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from tests.switch.legs import by_leg, line_of

FIXTURES = Path(__file__).parent.parent / "fixtures" / "switch"

# scenario: (capture, {role: place of the leg in the capture})
SCENARIOS: dict[str, tuple[str, dict[str, int]]] = {
    "caller_cancels_while_parked": ("04b-caller-abandons", {"caller": 0}),
    "caller_hangs_up_during_music": ("04b-caller-abandons", {"caller": 1}),
    "caller_leaves_while_the_agent_rings": ("04b-caller-abandons", {"caller": 5, "agent": 6}),
    "dialplan_bridge_agent_ends": ("04c-hangup-after-answer", {"caller": 0, "agent": 1}),
    "dialplan_bridge_caller_ends": ("04c-hangup-after-answer", {"caller": 4, "agent": 5}),
    "bridge_by_command_caller_ends": ("04c-hangup-after-answer", {"caller": 6, "agent": 7}),
    "bridge_by_command_agent_ends_caller_parks": ("04c-hangup-after-answer", {"caller": 8, "agent": 9}),
    "agent_no_answer": ("04a-agent-leg-failures", {"agent": 0}),
    "agent_busy": ("04a-agent-leg-failures", {"agent": 1}),
    "agent_reject": ("04a-agent-leg-failures", {"agent": 2}),
    "agent_unavailable": ("04a-agent-leg-failures", {"agent": 3}),
    "agent_not_found": ("04a-agent-leg-failures", {"agent": 4}),
    "agent_broken": ("04a-agent-leg-failures", {"agent": 5}),
    "agent_incompatible": ("04a-agent-leg-failures", {"agent": 6}),
    "agent_early_media": ("04a-agent-leg-failures", {"agent": 7}),
    "agent_black_hole": ("04a-agent-leg-failures", {"agent": 9}),
    "agent_killed_while_ringing": ("04a-agent-leg-failures", {"agent": 10}),
    "agent_answers_parks_and_is_killed": ("04a-agent-leg-failures", {"agent": 14}),
    "attended_transfer_by_commands": ("05a-attended-transfer-esl", {"caller": 0, "target": 2}),
    "eavesdrop": ("05e-eavesdrop", {"supervisor": 3}),
    "eavesdrop_on_nobody": ("05e-eavesdrop", {"supervisor": 8}),
    "whole_call": ("02-inbound-call", {"caller": 0, "agent": 1}),
    "recording_of_an_unanswered_call": ("06-recording", {"caller": 5}),
    "recording_until_hangup_after_transfer": ("06-recording", {"caller": 2}),
}

# Events whose headers are compared too.
WITH_HEADERS = frozenset(
    f"CHANNEL_{name}"
    for name in (
        *(f"{event} inbound" for event in ("CREATE", "PARK", "ANSWER", "EXECUTE", "EXECUTE_COMPLETE", "BRIDGE")),
        *(f"{event} inbound" for event in ("UNBRIDGE", "HANGUP", "HANGUP_COMPLETE", "DESTROY", "STATE", "CALLSTATE")),
        *(f"{event} outbound" for event in ("OUTGOING", "CREATE", "ORIGINATE", "PROGRESS", "ANSWER", "PARK")),
        *(f"{event} outbound" for event in ("UNPARK", "HANGUP", "HANGUP_COMPLETE", "DESTROY")),
    )
)


def frames(data: bytes) -> Iterator[tuple[dict[str, str], bytes]]:
    """Cut a capture into frames."""
    at = 0
    while (end := data.find(b"\n\n", at)) >= 0:
        headers = dict(line.split(": ", 1) for line in data[at:end].decode("latin-1").split("\n") if ": " in line)
        length = int(headers.get("Content-Length", "0"))
        yield headers, data[end + 2 : end + 2 + length]
        at = end + 2 + length


def plain_event(body: bytes) -> dict[str, str]:
    """Read a plain event's headers; of a repeated header the first one counts."""
    headers: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").partition("\n\n")[0].split("\n"):
        name, colon, value = line.partition(": ")
        if colon:
            headers.setdefault(name, unquote(value))
    return headers


def _events(path: Path) -> Iterator[Mapping[str, str]]:
    for headers, body in frames(path.read_bytes()):
        if headers.get("Content-Type") == "text/event-plain":
            yield plain_event(body)


def main(folder: Path) -> None:
    """Write all fixtures."""
    FIXTURES.mkdir(parents=True, exist_ok=True)
    always: dict[str, list[str]] = {}
    for scenario, (capture, roles) in SCENARIOS.items():
        legs = list(by_leg(_events(folder / f"{capture}.plain.esl")).values())
        chosen = {role: legs[place] for role, place in roles.items()}
        lines = {role: [line_of(event) for event in leg] for role, leg in chosen.items()}
        (FIXTURES / f"{scenario}.json").write_text(json.dumps({"source": capture, "legs": lines}, indent=1) + "\n")
        for event in (event for leg in chosen.values() for event in leg):
            _keep_what_is_always_there(always, event)
    document = {key: " ".join(names) for key, names in always.items()}
    (FIXTURES / "header_names.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")


def _keep_what_is_always_there(always: dict[str, list[str]], event: Mapping[str, str]) -> None:
    """Narrow the names of an event's headers, by direction, down to those that every such event has."""
    key = f"{event['Event-Name']} {event.get('Call-Direction', '-')}"
    if key not in WITH_HEADERS:
        return
    known = always.setdefault(key, list(event))
    always[key] = [name for name in known if name in event]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
