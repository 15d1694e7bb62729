"""Runs the query of every panel against a Prometheus: `python -m deploy.dashboards.live http://127.0.0.1:18118`."""

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

from deploy.dashboards.boards import FOLDER

SECONDS = 10
_FILLED = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "1h"}


def queries() -> Iterator[tuple[str, str]]:
    """Yield (board and panel, expression) of each query of the JSON in the chart, and of each variable's choices."""
    for path in sorted(FOLDER.glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                yield f"{path.stem}: ${variable['name']}", variable["query"]
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield f"{path.stem}: {panel['title']}", target["expr"]


def filled(expression: str) -> str:
    """Return an expression as Grafana would send it with All chosen; of a variable's query its selector."""
    choices = re.fullmatch(r"label_values\((.+), \w+\)", expression)
    text = choices[1] if choices else expression
    for name, value in _FILLED.items():
        text = text.replace(name, value)
    return re.sub(r"\$\w+", ".+", text)


def faults(prometheus: str) -> list[str]:
    """Return what is wrong, a sentence a query: it can't be run, or it finds nothing, or nothing that is a number."""
    found = []
    for place, expression in queries():
        try:
            values = [float(sample["value"][1]) for sample in ask(prometheus, filled(expression))]
        except (OSError, ValueError) as error:
            found.append(f"{place}: {expression}: {_words(error)}")
            continue
        if all(value != value for value in values):  # noqa: PLR0124 - not a number is not itself
            found.append(f"{place}: {expression}: {'nothing but NaN' if values else 'nothing'}")
    return found


def ask(prometheus: str, expression: str) -> list[dict[str, Any]]:
    """Return the samples of an instant query. Raises OSError, and ValueError where the answer is no vector."""
    address = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(address, timeout=SECONDS) as answer:
        data = json.loads(answer.read())["data"]
    if data["resultType"] != "vector":
        raise ValueError(f"the answer is a {data['resultType']}, not a vector")
    samples: list[dict[str, Any]] = data["result"]
    return samples


def _words(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return error.read().decode(errors="replace")
    return str(error)


if __name__ == "__main__":
    wrong = faults(sys.argv[1].rstrip("/"))
    sys.stdout.write("".join(f"{fault}\n" for fault in wrong))
    sys.exit(bool(wrong))
