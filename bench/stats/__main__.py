"""Everything about statistics: `python -m bench.stats`.

REPORT_CALLS=1000000,10000000 says how big the halls are; MONGODB_URI adds the document store; BENCH_XLSX adds
XLSX, which takes minutes for a million rows. BENCH_FOLDER is where the halls lie meanwhile (80 bytes a call);
FILL_SECONDS bounds their filling.

    alone on two cores                               measured      target
    summary by queue, 1 M calls                        0.06 s      <= 1 s    SQLite 0.46 s
    FCR by queue, 1 M calls                            0.38 s
    newest 100 of the call log, 1 M calls              0.47 s
    export of 1 M rows, CSV for Excel                  12.1 s     <= 60 s    bare csv.writer 2.7 s
    memory of it                                       286 MB   <= 300 MB    JSON 285 MB, Parquet 273 MB
    summary by queue, 10 M calls (820 MB, filled in 19 s)  0.45 s      <= 5 s    waits with quantiles 0.65 s
    FCR by queue; newest 100 of the log, 10 M calls    8.1, 4.7 s              inbound with clients 1.7 s

What a core does with events is measured by bench.stats.saturation, with the broker and the document store.
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
