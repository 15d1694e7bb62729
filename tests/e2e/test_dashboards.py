"""Every panel of every dashboard finds something on a running stack, and no rule fails there."""

import time
from pathlib import Path
from typing import Any

import pytest

from deploy.dashboards.live import faults
from local.stack.layout import ROOT, Layout
from local.stack.parts import ADMIN_TOKEN
from local.stack.prometheus import is_installed, prometheus
from local.stack.stack import Stack
from local.stack.web import get, put
from services.shared.testing.ports import free_range
from services.shared.testing.waiting import wait_until

SPEED = 12
SECONDS = 150.0
STATUS = "/v1/tenants/acme/agents/andriy/status"

pytestmark = [
    pytest.mark.stack,
    pytest.mark.kafka,
    pytest.mark.timeout(400),
    pytest.mark.skipif(not is_installed(), reason="no Prometheus here: install Debian's prometheus"),
]


def test_every_panel_shows_something_and_every_rule_is_judged(tmp_path: Path) -> None:
    wall0 = time.time()
    clock = {
        "RINGMASTER_CLOCK_SPEED": str(SPEED),
        "RINGMASTER_CLOCK_EPOCH": str(wall0),
        "RINGMASTER_CLOCK_WALL0": str(wall0),
    }
    layout = Layout(tmp_path / "run", free_range())
    stack = Stack(layout, clock, ROOT / "local" / "demo" / "endless.yaml", lambda _line: None)
    told: list[str] = []

    def is_whole() -> bool:
        """Let an agent do something, then look at all panels; some 140 questions are a breath between two looks."""
        put(layout.url("console", STATUS), {"status": "ready"}, ADMIN_TOKEN)
        told[:] = faults(layout.url("prometheus"))
        return not told

    try:
        stack.start()
        stack.add(prometheus(layout))
        wait_until(is_whole, "every panel shows something", SECONDS)
        assert _bad_rules(layout) == []
        assert _critical(layout) == []
    except AssertionError:
        pytest.fail("\n".join(told) or "a rule fails")
    finally:
        stack.stop()


def _bad_rules(layout: Layout) -> list[str]:
    groups = get(layout.url("prometheus", "/api/v1/rules"))["data"]["groups"]
    return [
        f"{rule['name']}: {rule['lastError']}" for group in groups for rule in group["rules"] if rule.get("lastError")
    ]


def _critical(layout: Layout) -> list[Any]:
    """Return the alerts that say that a healthy stack is ill."""
    alerts = get(layout.url("prometheus", "/api/v1/alerts"))["data"]["alerts"]
    return [each["labels"] for each in alerts if each["state"] == "firing" and each["labels"]["severity"] == "critical"]
