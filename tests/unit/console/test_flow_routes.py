"""Single flows over the API: versions, diff, publish, rollback, pictures; who may, and what is refused."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from services.console.domain.flow_picture import mermaid, svg
from tests.unit.console.conftest import Office, demo_text
from tests.unit.console.test_flow_words import FLOWS

PATH = "/v1/tenants/acme/flows"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def open_office(office: Office) -> Office:
    assert office.ask("PUT", "/v1/tenants/acme", "acme-admin", demo_text("acme")).status_code == 200
    return office


def main_flow(office: Office, version: str = "") -> dict[str, Any]:
    answer = office.ask("GET", f"{PATH}/main{version}", "acme-analyst").get_json()
    found: dict[str, Any] = answer["flow"]
    return found


def shortened(flow: dict[str, Any]) -> dict[str, Any]:
    """Return the flow with another prompt at closed hours."""
    steps = [
        {**step, "play": {"prompts": ["apology"]}} if step["step_id"] == "closed" else step for step in flow["steps"]
    ]
    return {**flow, "steps": steps}


def test_a_flow_is_listed_read_changed_compared_and_rolled_back(open_office: Office) -> None:
    listed = open_office.ask("GET", PATH, "acme-analyst").get_json()
    assert (listed["version"], listed["flows"][0]["flow_id"]) == (1, "main")
    before = main_flow(open_office)
    changes = open_office.ask("POST", f"{PATH}/main/diff", "acme-analyst", shortened(before)).get_json()["changes"]
    assert [(one["path"], one["after"]) for one in changes] == [("flows[main].steps[closed].play.prompts", ["apology"])]
    applied = open_office.ask("PUT", f"{PATH}/main", "acme-admin", yaml.safe_dump(shortened(before))).get_json()
    assert (applied["version"], applied["is_new"]) == (2, True)
    assert main_flow(open_office) == shortened(before)
    assert main_flow(open_office, "?version=1") == before
    assert open_office.ask("POST", f"{PATH}/main/rollback?version=1", "acme-admin").get_json()["version"] == 3
    assert main_flow(open_office) == before


def test_a_new_flow_is_added_and_the_rest_stays(open_office: Office) -> None:
    flow = {"start": "bye", "steps": [{"step_id": "bye", "hangup": {}}]}
    assert open_office.ask("PUT", f"{PATH}/night", "acme-admin", flow).status_code == 200
    names = [one["flow_id"] for one in open_office.ask("GET", PATH, "acme-admin").get_json()["flows"]]
    assert names == ["main", "night"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/main", {"start": "x", "steps": [{"step_id": "bye", "hangup": {}}]}, 422),
        ("PUT", "/main", {"flow_id": "other", "start": "x", "steps": []}, 422),
        ("PUT", "/main", "[1, 2]", 400),
        ("PUT", "/main", "a: *b", 422),
        ("PUT", "/main", b"a: " + b"x" * 10_000_000, 413),
        ("GET", "/nothing", "", 404),
        ("GET", "/main?version=9", "", 404),
        ("GET", "/main?version=x", "", 400),
        ("GET", "/nothing/picture.svg", "", 404),
        ("POST", "/main/rollback?version=9", "", 404),
        ("POST", "/main/rollback", "", 400),
        ("POST", "/main/diff", {"start": "x"}, 422),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_changes(
    open_office: Office, method: str, path: str, body: Any, status: int
) -> None:
    answer = open_office.ask(method, PATH + path, "acme-admin", body)
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert open_office.ask("GET", PATH, "acme-admin").get_json()["version"] == 1


@pytest.mark.parametrize(
    ("token", "method", "path", "status"),
    [
        ("", "GET", "/main", 401),
        ("borealis-admin", "GET", "/main", 403),
        ("borealis-admin", "GET", "/main/picture.svg", 403),
        ("acme-supervisor", "PUT", "/main", 403),
        ("acme-supervisor", "POST", "/main/rollback?version=1", 403),
        ("acme-olena", "GET", "/main", 403),
        ("acme-analyst", "GET", "/main/picture.mmd", 200),
    ],
)
def test_tenant_and_role_are_checked(open_office: Office, token: str, method: str, path: str, status: int) -> None:
    assert open_office.ask(method, PATH + path, token).status_code == status


def test_the_picture_shows_every_step_and_every_way(open_office: Office) -> None:
    answer = open_office.ask("GET", f"{PATH}/main/picture.svg", "acme-admin")
    assert answer.mimetype == "image/svg+xml"
    texts = [text.text for text in ET.fromstring(answer.data).iter(f"{SVG}text")]  # noqa: S314 - our own
    flow = main_flow(open_office)
    assert {step["step_id"] for step in flow["steps"]} <= set(texts)
    ways = {(step["step_id"], goal) for step in flow["steps"] for goal in step.get("exits", {}).values()}
    assert answer.get_data(as_text=True).count("marker-end") == len(ways)


def test_words_in_a_flow_are_nothing_to_obey_in_its_pictures() -> None:
    flow = yaml.safe_load(FLOWS)[0]
    hostile = '"]<script>alert(1)</script>&amp; click s0 "javascript:x" %%{init}%%'
    flow["steps"][5]["say"]["text"] = hostile
    drawing = svg(flow)
    ET.fromstring(drawing)  # noqa: S314 - our own
    assert "<script" not in drawing
    lines = mermaid(flow).splitlines()
    assert all(
        re.fullmatch(r'flowchart TD|    begin\(\("start"\)\) --> s0|    s\d+(\["[^"]*"\]| -->\|"[^"]*"\| s\d+)', one)
        for one in lines
    )
    assert "<script" not in mermaid(flow)
