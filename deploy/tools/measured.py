"""Hold each figure that the plan takes for measured against the table of its bench; what differs is said and fails."""

import ast
import sys
from typing import Final

from deploy import capacity
from deploy.tools.chart_settings import ROOT

MEASURED: Final = {
    "router.py": f"{capacity.ROUTER_INPUTS_A_CORE:,.0f}",
    "listener.py": f"{capacity.LISTENER_FACTS_A_CORE:,.0f}",
    "webhooks/__main__.py": f"{capacity.WEBHOOKS_A_CORE:,.0f}",
    "stats/saturation.py": f"{capacity.STATS_EVENTS_A_CORE:,.0f}",
    "latency/__main__.py": f"{capacity.OFFER_P50_MS} ms    {capacity.OFFER_P99_MS} ms",
    "transcribe/__main__.py": f"{capacity.TRANSCRIBE_REAL_TIME_FACTOR} s",
}
"""By bench, as its docstring's table shows it."""


def stands(bench: str, figure: str) -> bool:
    """Whether a figure stands in the table of a bench."""
    module = ast.parse((ROOT / "bench" / bench).read_text(encoding="utf-8"))
    return figure in (ast.get_docstring(module) or "")


def main() -> int:
    """Return the exit code."""
    missing = [(bench, figure) for bench, figure in MEASURED.items() if not stands(bench, figure)]
    for bench, figure in missing:
        sys.stderr.write(f"the table of bench/{bench} has no {figure}: deploy/capacity.py takes it for measured\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
