"""Everything about statistics: `python -m bench.stats`.

REPORT_CALLS=1000000,10000000 says how big the halls are; MONGODB_URI adds the document store; BENCH_XLSX adds
XLSX, which takes minutes for a million rows.

    in the idle class of a busy machine              measured      target
    summary by queue, 1 M calls                  0.09-1.04 s      <= 1 s    0.12 s of CPU
    summary by queue, 10 M calls (650 MB)          1.1-1.5 s      <= 5 s    0.9 s of CPU
    export of 1 M rows, CSV for Excel                 19.5 s     <= 60 s
    memory of it                                      294 MB   <= 300 MB
"""

import os
import sys
import tempfile
from pathlib import Path

from bench.report import show, write
from bench.stats import events, reports

EXPORTED = 1_000_000


def main() -> int:
    """Measure, print one table, write build/bench/stats.json."""
    rows, targets = events.measure()
    with tempfile.TemporaryDirectory(prefix="ringmaster-bench-", dir=os.environ.get("BENCH_FOLDER")) as name:
        folder = Path(name)
        for calls in (int(text) for text in os.environ.get("REPORT_CALLS", str(EXPORTED)).split(",")):
            more = [reports.measure(folder, calls)]
            if calls == EXPORTED:
                more.append(reports.exports(folder, calls))
            for found, aims in more:
                rows += found
                targets += aims
    show(rows, targets)
    write("stats", rows, targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
