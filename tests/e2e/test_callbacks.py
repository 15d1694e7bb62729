"""Customers are called back on the true parts: asked for over the API, lost, and with their place kept."""

import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.stack.layout import Layout
from local.stack.parts import ADMIN_TOKEN
from local.stack.stack import TENANTS, Stack
from local.stack.web import get, post
from services.shared.testing.ports import free_range
from services.shared.testing.waiting import wait_until
from tests.e2e.asking import ask

pytestmark = [pytest.mark.stack, pytest.mark.kafka, pytest.mark.timeout(400)]

SPEED = 15
SECONDS = 60.0
LINE = "+380441000001"
SCENARIO = """
minutes: 600
seed: 3
lines: [{number: "+380441000001"}]
outside: {answer: "fixed(3)", talk: "fixed(10)"}
agents: [{id: olena, domain: acme.example, answer: "fixed(2)"}]
"""


@dataclass
class Town:
    """A stack with one agent, whose customers are in the test's hands."""

    layout: Layout

    def api(self, path: str = "", **body: Any) -> Any:
        url = self.layout.url("console", f"/v1/tenants/acme/callbacks{path}")
        return ask(url, body) if body else get(url, ADMIN_TOKEN)

    def refusal(self, **body: Any) -> int:
        """Return the status with which a wish is refused."""
        with pytest.raises(urllib.error.HTTPError) as refused:
            self.api(**body)
        refused.value.close()
        return refused.value.code

    def task(self, number: str, state: str) -> dict[str, Any] | None:
        listed = self.api("?state=done") if state not in ("planned", "calling") else self.api()
        found = [one for one in listed["callbacks"] if one["number"] == number and one["state"] == state]
        return found[0] if found else None

    def truth(self) -> dict[str, Any]:
        return dict(get(self.layout.url("switch", "/truth")))

    def dials(self, number: str) -> list[dict[str, Any]]:
        return [dial for dial in self.truth()["dials"] if dial["number"] == number]

    def calls(self, number: str, **kind: Any) -> str:
        choices = [{"1": 1}, {"1": 1}]  # the menu's sales, and yes to being called back
        body = {"line": LINE, "number": number, "patience": "fixed(600)", "ends_first": 1.0, "digits": choices, **kind}
        return str(post(self.layout.url("switch", "/call"), body)["uuid"])

    def call(self, uuid: str) -> dict[str, Any]:
        return next(call for call in self.truth()["calls"] if call["uuid"] == uuid)


def _tenants(folder: Path) -> Path:
    """Write the shop with one agent, whose waiting callers may ask to be called back by 9."""
    document = yaml.safe_load((TENANTS / "acme.yaml").read_text(encoding="utf-8"))
    sales = document["queues"][0]
    sales["tiers"], sales["exit_keys"], sales["wrap_up_seconds"] = [{"agent_id": "olena"}], "9", 0
    sales["callbacks"]["first_after_seconds"] = 0
    steps = document["flows"][0]["steps"]
    next(step for step in steps if step["step_id"] == "sales")["exits"]["9"] = "offer"
    offer = {"queue_id": "sales", "prompts": ["all_busy"], "timeout_ms": 5000}
    steps.append({"step_id": "offer", "callback": offer, "exits": {"requested": "bye", "declined": "sorry"}})
    folder.mkdir()
    text = yaml.safe_dump(document, allow_unicode=True).replace("'${RECEIVER_PORT}'", "${RECEIVER_PORT}")
    (folder / "acme.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("callbacks")
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    wall0 = time.time()
    clock = {
        "RINGMASTER_CLOCK_SPEED": str(SPEED),
        "RINGMASTER_CLOCK_EPOCH": str(wall0),
        "RINGMASTER_CLOCK_WALL0": str(wall0),
    }
    layout = Layout(folder / "run", free_range())
    stack = Stack(layout, clock, scenario, lambda _line: None, _tenants(folder / "tenants"))
    try:
        stack.start()
        yield Town(layout)
    finally:
        stack.stop()


def test_a_number_asked_for_over_the_api_is_called_and_talks_with_an_agent(town: Town) -> None:
    number = "+380501110001"
    asked = town.api(queue_id="sales", number="050 111 00 01", name="Client")
    assert asked["accepted"]
    done = wait_until(lambda: town.task(number, "succeeded"), "the customer is called back", SECONDS)
    assert (done["callback_id"], done["attempts"], done["agent_id"]) == (asked["callback_id"], 1, "olena")
    [dial] = town.dials(number)
    assert dial["talked_with"] == ["olena@acme.example"]


def test_a_callback_for_later_is_listed_moved_and_cancelled_and_nobody_is_dialled(town: Town) -> None:
    number = "+380501110002"
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    asked = town.api(queue_id="sales", number=number, due_at=later)
    wait_until(lambda: town.task(number, "planned"), "the callback is listed", SECONDS)
    moved = (datetime.now(UTC) + timedelta(days=4)).isoformat()
    assert town.api(f"/{asked['callback_id']}/reschedule", due_at=moved)["accepted"]
    assert town.refusal(queue_id="sales", number=number) == 409
    assert town.api(f"/{asked['callback_id']}/cancel", reason="bought elsewhere")["accepted"]
    done = wait_until(lambda: town.task(number, "cancelled"), "the callback is cancelled", SECONDS)
    assert done["cause"] == "bought elsewhere"
    assert town.dials(number) == []


def test_a_list_of_customers_is_called_one_after_the_other(town: Town) -> None:
    numbers = [f"+38050222{place:04}" for place in range(4)]
    rows = ["number;name", *(f"{number};Client" for number in numbers), "nobody;Nobody"]
    base = town.layout.url("console", "/v1/tenants/acme/campaigns")
    body = "\n".join(rows).encode()
    request = urllib.request.Request(  # noqa: S310 - loopback only
        f"{base}/spring/contacts", data=body, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback only
        taken = json.loads(answer.read())
    assert (taken["added"], taken["bad_rows"], taken["faults"][0]["path"]) == (4, 1, "line 6")
    assert ask(f"{base}/spring/start", {})["accepted"]

    def is_done() -> bool:
        [spring] = get(base, ADMIN_TOKEN)["campaigns"]
        return bool(spring["state"] == "done")

    wait_until(is_done, "the campaign is through with its list", SECONDS)
    dials = [dial for dial in town.truth()["dials"] if dial["number"] in numbers]
    assert [dial["number"] for dial in sorted(dials, key=lambda dial: dial["dialled"])] == numbers
    assert all(dial["talked_with"] == ["olena@acme.example"] for dial in dials)
    assert all(one["answered"] < other["dialled"] for one, other in itertools.pairwise(dials))


@pytest.mark.parametrize(("number", "problem"), [("+12125550123", 422), ("nobody", 422)])
def test_a_number_that_may_not_be_dialled_or_is_none_is_refused(town: Town, number: str, problem: int) -> None:
    assert town.refusal(queue_id="sales", number=number) == problem


def test_a_lost_caller_is_called_back(town: Town) -> None:
    number = "+380501110003"
    first = town.calls("+380501119999", talk="fixed(150)")
    wait_until(lambda: town.call(first)["talks"], "the agent talks with somebody else", SECONDS)
    town.calls(number, patience="fixed(75)")
    wait_until(lambda: town.task(number, "succeeded"), "the lost caller is called back", SECONDS)
    [dial] = town.dials(number)
    assert dial["talked_with"] == ["olena@acme.example"]


def test_a_caller_who_asks_while_waiting_hangs_up_and_is_called_in_turn(town: Town) -> None:
    first, asking, last = "+380501118888", "+380501110004", "+380501117777"
    town.calls(first, talk="fixed(120)")
    caller = town.calls(asking)
    wait_until(lambda: town.call(caller)["digits"], "the caller has chosen the queue", SECONDS)
    behind = town.calls(last)
    wait_until(lambda: town.call(behind)["digits"], "another caller waits behind", SECONDS)
    post(town.layout.url("switch", f"/legs/{caller}"), {"does": "press", "digit": "9"})
    task = wait_until(lambda: town.task(asking, "succeeded"), "the caller who asked is called back", SECONDS)
    assert task["keeps_place"]
    [dial] = town.dials(asking)
    [talk] = wait_until(lambda: town.call(behind)["talks"], "the one behind is served too", SECONDS)
    assert dial["answered"] < talk["started"]
