"""Names of recordings from a company's template and from what callers send: safe for every file system (SPEC 6.3)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.form import Form
from services.recorder.domain.location import location_of
from services.recorder.domain.naming import KEY_BYTES, PART_BYTES, UNKNOWN, CallNote, object_key, safe_part
from services.recorder.domain.policy import DEFAULT_NAME

PLACE = location_of("acme/call-1/rec-1.wav")
MIDNIGHT_US = 1_795_392_000 * 1_000_000
# Microsoft, "Naming Files, Paths, and Namespaces": the strictest rules that a copy can meet.
FORBIDDEN = set('<>:"/\\|?*') | {chr(code) for code in range(32)} | {"\x7f"}
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789")}
hostile = st.one_of(
    st.text(max_size=300),
    st.sampled_from(["..", ".", "../../etc/passwd", "con", "NUL.txt", "a/b", "x\0y", "rec-1.", " ", "…", "a" * 500]),
)
templates = st.lists(
    st.sampled_from(["{date}", "{time}", "{queue}", "{agent}", "{caller}", "{line}", "{recording_id}", "x", "/", " "]),
    max_size=12,
).map("".join)


def is_safe(part: str) -> bool:
    """Judge one part of a path by the rules above, without the code under test."""
    return (
        bool(part)
        and part not in (".", "..")
        and not set(part) & FORBIDDEN
        and not part.endswith((".", " "))
        and not part.startswith(" ")
        and part.split(".", maxsplit=1)[0].upper() not in DEVICES
        and len(part.encode()) <= 255
    )


def key(template: str = DEFAULT_NAME, note: CallNote | None = None, zone: str = "UTC", at_us: int = MIDNIGHT_US) -> str:
    return object_key(PLACE, template, note or CallNote(), at_us, zone, Form.FLAC)


@given(templates, hostile, hostile, hostile)
def test_whatever_is_filled_in_stays_in_the_companys_folder_and_fits_every_file_system(
    template: str, queue: str, agent: str, caller: str
) -> None:
    found = key(template, CallNote(queue, agent, caller, "+380441000001"))
    parts = found.split("/")
    assert parts[0] == "acme"
    assert all(is_safe(part) for part in parts)
    assert "rec-1" in found
    assert found.endswith(".flac")
    assert len(found.encode()) <= KEY_BYTES


@given(templates, st.sets(st.from_regex(r"[0-9a-f]{1,3}", fullmatch=True), min_size=2, max_size=5))
def test_two_recordings_of_one_call_never_have_one_name(template: str, ids: set[str]) -> None:
    apart = template.replace("{recording_id}", "/{recording_id}/")  # else ids of one length keep them apart, as ours do
    note = CallNote("a1b2c3", "olena", "+380501112233", "+380441000001")
    places = [location_of(f"acme/call-{''.join(sorted(ids))}/{each}.wav") for each in sorted(ids)]
    keys = [object_key(place, apart, note, MIDNIGHT_US, "UTC", Form.WAV) for place in places]
    assert len(set(keys)) == len(ids)


@given(hostile)
def test_a_part_is_safe_and_made_safe_only_once(text: str) -> None:
    found = safe_part(text)
    assert is_safe(found)
    assert len(found.encode()) <= PART_BYTES + 1
    assert safe_part(found) == found


def test_the_key_carries_the_day_of_the_company() -> None:
    assert key() == "acme/2026-11-23/call-1/rec-1.flac"
    assert key(at_us=MIDNIGHT_US - 1) == "acme/2026-11-22/call-1/rec-1.flac"
    assert key(zone="Europe/Kyiv", at_us=MIDNIGHT_US - 1) == "acme/2026-11-23/call-1/rec-1.flac"
    assert key(zone="No/Where") == "acme/2026-11-23/call-1/rec-1.flac"


def test_a_template_is_filled_with_what_is_known() -> None:
    note = CallNote("продаж", "olena", "+380501112233", "+380441000001")
    found = key("{queue}/{agent} {time}/{caller}_{recording_id}", note, "Europe/Kyiv")
    assert found == "acme/продаж/olena_02-00-00/+380501112233_rec-1.flac"
    assert key("{queue}/{recording_id}") == f"acme/{UNKNOWN}/rec-1.flac"


@pytest.mark.parametrize("agent", ["../../rival", "..\\rival", "/etc", "a/../../b", "%2e%2e%2f", "\u202egpj.exe"])
def test_path_tricks_make_no_path(agent: str) -> None:
    found = key("{agent}/{recording_id}", CallNote(agent_id=agent))
    assert found.count("/") == 2
    assert re.fullmatch(r"acme/[A-Za-z0-9._]+/rec-1\.flac", found)
