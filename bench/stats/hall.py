"""Report tables of a big hall, made inside the database: a company's year of calls, N of them."""

import os
import shutil
import sys
import time
from pathlib import Path

import duckdb

from services.shared.chassis.clock import Clock
from services.stats.adapters.columns import Columns
from services.stats.adapters.memory import MemoryStore
from services.stats.catalogue import load
from services.stats.domain.board import Board
from services.stats.domain.profile import Profile
from services.stats.exporting import Exports
from services.stats.mirroring import Mirror
from services.stats.reporting import Reports

TENANT = "acme"
NOW_MS = 1_795_435_200_000
YEAR_MS = 365 * 86_400_000
_EXITS = str(["answered"] * 6 + ["abandoned"] * 2 + ["short_abandoned", "timeout"])
_CALLS = """
insert into calls by name
select 'c' || i as call_id, '+38044' || (1000000 + i % 12) as line, '+38050' || (1000000 + hash(i) % 300000) as client,
       'inbound' as direction, 'Customer ' || (hash(i) % 90000) as client_name, 'main' as flow_id, 'fs-1' as node,
       x as exit, 'queue-' || (hash(i * 3) % 20) as queue_id, 'agent-' || (hash(i * 5) % 400) as agent_id,
       'NORMAL_CLEARING' as hangup_cause, 'far_end' as hangup_party, '' as disposition, '' as callback_id,
       t as started_ms, t + 200000 as ended_ms, case when x = 'answered' then t + w end as answered_ms, w as wait_ms,
       case when x = 'answered' then (hash(i * 7) % 300000)::bigint else 0 end as talk_ms, 0 as hold_ms,
       case when x = 'answered' then (hash(i * 7) % 300000)::bigint else 0 end as billed_ms,
       1 as offers, 0 as transfers, 1 as visits, true as ended, x = 'answered' as answered, true as recorded
from (select i, ({exits})[(1 + hash(i * 11) % 10)::bigint] as x, {start} + i * {step} as t,
             (hash(i * 13) % 60000)::bigint as w from range({first}, {last}) r(i))
"""
_VISITS = """
insert into visits by name
select call_id, line, client, direction, queue_id, agent_id, exit, '' as next_queue_id, started_ms,
       started_ms as joined_ms, started_ms + wait_ms as left_ms, wait_ms, 15000 as estimated_ms,
       wait_ms - 15000 as error_ms, 0 as priority, 1 as position,
       wait_ms <= 20000 as in_time, false as resumed from calls {those}
"""
_TALKS = """
insert into talks by name
select call_id, line, client, direction, queue_id, agent_id, 'call_ended' as end_reason, started_ms,
       answered_ms as from_ms, answered_ms + talk_ms as until_ms, wait_ms, talk_ms, hold_ms
from calls {those} and answered
"""
PIECE = 500_000
FILLING_MEMORY = "1GB"
"""The service's own limit is an eighth: then each piece is written to the disk twice."""
BYTES_A_CALL = 70
FILL_SECONDS = float(os.environ.get("FILL_SECONDS", "240"))


def columns_of(folder: Path, calls: int) -> Columns:
    """Return the tables, filled where they are not yet. Ends the program where time or the disk's room is too short."""
    columns = Columns(folder)
    found = columns._cursor(TENANT).execute("select count(*) from calls").fetchone()  # noqa: SLF001 - as no service would
    if found == (calls,):
        return columns
    columns.clear(TENANT, "")
    columns.close()
    room = shutil.disk_usage(folder).free
    wanted = 3 * BYTES_A_CALL * calls
    if room < wanted:
        raise SystemExit(f"{calls:,} calls take {wanted >> 20:,} MB at most; {folder} has {room >> 20:,} left")
    _fill(next(folder.glob("*.duckdb")), calls)
    return Columns(folder)


def _fill(path: Path, calls: int) -> None:
    """Fill tables that stand empty, a piece of all three at a time, and say how far it is."""
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": FILLING_MEMORY,
        "threads": 2,
        "preserve_insertion_order": False,
    }
    step, start, began = YEAR_MS // calls, NOW_MS - YEAR_MS, time.monotonic()
    with duckdb.connect(str(path), config=settings) as database:
        database.execute("set enable_progress_bar = false")
        for first in range(0, calls, PIECE):
            last = min(calls, first + PIECE)
            those = f"where started_ms >= {start + first * step} and started_ms < {start + last * step}"
            database.execute(_CALLS.format(exits=_EXITS, start=start, step=step, first=first, last=last))
            database.execute(_VISITS.format(those=those))
            database.execute(_TALKS.format(those=those))
            spent = time.monotonic() - began
            print(f"{last:,} of {calls:,} calls after {spent:.0f} s", file=sys.stderr, flush=True)
            if spent > FILL_SECONDS:
                raise SystemExit(f"filling takes longer than FILL_SECONDS={FILL_SECONDS:.0f}; {last:,} calls are there")


def reports_of(columns: Columns) -> tuple[Reports, Exports]:
    """Return what answers questions over the tables; its documents are empty, and so never change them."""
    board = Board()
    queues = [f"queue-{number}" for number in range(20)]
    board.put_profile(TENANT, Profile(TENANT, "Acme", "Europe/Kyiv", thresholds=dict.fromkeys(queues, 20)))
    reports = Reports(load(), columns, Mirror(MemoryStore(), columns), board, Clock(wall=lambda: NOW_MS / 1000))
    return reports, Exports(reports, columns)
