"""Summaries and exports over millions of calls, beside SQLite and the bare database.

An export is made in a process of its own, so that its memory is its own.
"""

import csv
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.report import Row, Target
from bench.stats.hall import NOW_MS, TENANT, YEAR_MS, columns_of, reports_of
from services.stats.reporting import Reports, TooLong

ROUNDS = 5
MILLION = 1_000_000
YEAR: dict[str, Any] = {"from": NOW_MS - YEAR_MS, "until": NOW_MS}
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "summary by queue": ("summary", {}),
    "summary by day": (
        "summary_by_day",
        {"metrics": ["calls_in", "offered", "answered", "service_level", "asa", "aht"]},
    ),
    "inbound by line (DUR, ACD, ASR, clients)": ("inbound", {}),
    "FCR by queue": ("fcr", {}),
    "waits with quantiles": ("queue_waits", {}),
    "newest 100 of the call log": ("call_log", {}),
}
KINDS = ("csv-excel", "json", "parquet", *(["xlsx"] if os.environ.get("BENCH_XLSX") else []))
_SQLITE = """
select queue_id, count(*), sum(exit = 'answered'), sum(exit = 'answered' and in_time),
       sum(exit in ('abandoned', 'short_abandoned')), sum(wait_ms), max(wait_ms) from visits group by queue_id
"""


def measure(folder: Path, calls: int) -> tuple[list[Row], list[Target]]:
    """Return rows and targets of one size."""
    size = f"{calls // MILLION} M calls"
    columns = columns_of(folder / str(calls), calls)
    reports, _ = reports_of(columns)
    spent = {name: asked(reports, name) for name in QUESTIONS}
    rows = [Row("ringmaster", f"{name}, {size}", seconds, "s") for name, seconds in spent.items() if seconds]
    bare = columns._cursor(TENANT)  # noqa: SLF001 - the limit: the same grouping without us
    limit = timed(lambda: bare.execute("select queue_id, count(*), sum(wait_ms) from visits group by 1").fetchall())
    rows.append(Row("limit: the database alone", f"group by queue, {size}", limit, "s"))
    summary = spent["summary by queue"] or float("nan")
    bound = 1 if calls <= MILLION else 5
    targets = [Target(f"summary over {size}", f"<= {bound} s", summary, summary <= bound)]
    if calls == MILLION:
        rows.append(Row("SQLite", f"summary by queue, {size}", in_sqlite(columns), "s"))
    columns.close()
    return rows, targets


def asked(reports: Reports, name: str) -> float | None:
    """Return the median time of a question, totals and completeness with it, as the API answers it.

    None for one that the API refuses, because it takes too long or too much memory.
    """
    report, options = QUESTIONS[name]
    try:
        return timed(lambda: reports.run(TENANT, reports.query(TENANT, report, {**YEAR, **options})))
    except TooLong:
        print(f"{name}: refused as too long", file=sys.stderr, flush=True)
        return None


def timed(work: Callable[[], object]) -> float:
    """Return the median of some rounds, seconds."""
    spent = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        work()
        spent.append(time.monotonic() - began)
    return statistics.median(spent)


def in_sqlite(columns: Any) -> float:
    """Return the median time of the same summary in SQLite, in memory."""
    database = sqlite3.connect(":memory:")
    database.execute("create table visits (queue_id text, exit text, in_time integer, wait_ms integer)")
    cursor = columns._cursor(TENANT).execute("select queue_id, exit, in_time, wait_ms from visits")  # noqa: SLF001
    while rows := cursor.fetchmany(10_000):
        database.executemany("insert into visits values (?, ?, ?, ?)", rows)
    return timed(lambda: database.execute(_SQLITE).fetchall())


def exports(folder: Path, calls: int) -> tuple[list[Row], list[Target]]:
    """Return rows and targets of exports of the whole call log."""
    rows, targets = [], []
    for kind in (*KINDS, "bare"):
        command = [sys.executable, "-m", "bench.stats.reports", kind, str(folder / str(calls)), str(calls)]
        seconds, megabytes = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        who = "ringmaster" if kind != "bare" else "limit: rows to a csv.writer"
        rows += [
            Row(who, f"export of {calls:,} rows, {kind}", seconds, "s"),
            Row(who, f"memory of it, {kind}", megabytes, "MB"),
        ]
        if kind == "csv-excel":
            targets += [
                Target("export of 10^6 rows (CSV)", "<= 60 s", seconds, seconds <= 60),
                Target("memory of an export of 10^6 rows (CSV)", "<= 300 MB", megabytes, megabytes <= 300),
            ]
    return rows, targets


def export(kind: str, folder: Path, calls: int) -> tuple[float, float]:
    """Make one export and throw its bytes away; return seconds and this process's highest memory, MB."""
    columns = columns_of(folder, calls)
    reports, made = reports_of(columns)
    query = reports.query(TENANT, "call_log", YEAR)
    began = time.monotonic()
    if kind == "bare":
        with Path("/dev/null").open("w", encoding="utf-8") as sink:
            for rows in reports.stream(TENANT, query)[1]:
                csv.writer(sink).writerows(rows)
    else:
        for _ in made.export(TENANT, query, kind):
            pass
    return time.monotonic() - began, highest_megabytes()


def highest_megabytes() -> float:
    """Return this process's highest memory. Not ru_maxrss: that begins with what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    print(json.dumps(export(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
