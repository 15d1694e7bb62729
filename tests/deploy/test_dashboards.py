"""The dashboards in the chart are those of the code, and ask only for what the services tell."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.dashboards.boards import BOARDS, FOLDER
from deploy.dashboards.drawing import drawn
from deploy.dashboards.live import filled, queries
from deploy.dashboards.naming import faults, metrics
from tests.deploy.test_rules import recorded

ROOT = Path(__file__).resolve().parents[2]
WANTED = {"overview", "queue", "agent", "switch", "pipeline", "webhooks", "recorder", "tenant"}


def test_the_json_in_the_chart_is_what_the_code_draws() -> None:
    command = [sys.executable, "-m", "deploy.dashboards", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert {board.name for board in BOARDS} == WANTED == {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize(("place", "expression"), list(queries()), ids=lambda text: text[:60])
def test_a_query_asks_for_metrics_and_labels_that_somebody_tells(place: str, expression: str) -> None:
    assert faults(filled(expression), metrics() | recorded()) == [], place


@pytest.mark.parametrize(
    "expression",
    ["ringmaster_stats_call", 'ringmaster_stats_calls{queue="a"}', "sum by (quue) (ringmaster_stats_calls)", "up"],
)
def test_a_wrong_name_or_label_is_found(expression: str) -> None:
    assert faults(expression, metrics())


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_fits_grafana(board: object) -> None:
    document = json.loads(drawn(board))  # type: ignore[arg-type]  # pytest's parameters are objects
    panels = [panel for panel in document["panels"] if panel["type"] != "row"]
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert not any(
        one is not other
        and one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
        for one in places
        for other in places
    )
    assert all(panel["description"] and panel["targets"] for panel in panels)
    assert {target["datasource"]["uid"] for panel in panels for target in panel["targets"]} == {"$source"}
