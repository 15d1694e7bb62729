"""The report tables: one DuckDB file a tenant, a mirror of the documents that can be thrown away and filled again.

A tenant's questions run in its own database, which may open no other file: no question can reach another tenant's rows.
"""

import os
import re
import shutil
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

import duckdb
import orjson

from services.stats.domain.facts.tables import OF_CALLS, TABLES
from services.stats.domain.reports.sql import Statement

_T = TypeVar("_T")
VERSION: Final = 4
"""Of the tables: a file of another version is thrown away and filled again."""
MEMORY: Final = "128MB"  # with it a million rows are exported in 290 MB of the whole process; with 256 MB, 360
THREADS: Final = 2
MOST_OPEN: Final = 16
CHUNK_ROWS: Final = 2_000
# A late word can move the beginning of a call: its former rows are looked for so far around it.
SLACK_MS: Final = 2 * 86_400_000
# How rows of the other tables are told apart; they are few a day, and each is written once or seldom.
KEYS: Final = {
    "legs": ("leg_id",),
    "callbacks": ("callback_id",),
    "attempts": ("callback_id", "attempt"),
    "agent_states": ("agent_id", "sequence"),
    "agent_statuses": ("agent_id", "sequence"),
    "wrapups": ("agent_id", "sequence"),
    "happenings": ("event_id",),
}


class QueryStopped(Exception):
    """A question took longer than it may and was ended."""


class Columns:
    """The report tables of all tenants. Every method blocks: call it from a thread, not from the hub."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[str, duckdb.DuckDBPyConnection] = OrderedDict()
        self._lock = Lock()
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.v*.duckdb*"):
            # Nobody reads what another version left, and no erasure would reach it.
            if f".v{VERSION}.duckdb" not in path.name:
                path.unlink()
        self.exports = folder / "exports"
        shutil.rmtree(self.exports, ignore_errors=True)
        self.exports.mkdir()

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def revision(self, tenant_id: str, collection: str) -> int:
        """Return up to which revision a collection's documents are in the tables."""
        row = (
            self._cursor(tenant_id)
            .execute("select revision from mirrored where collection = ?", [collection])
            .fetchone()
        )
        return int(row[0]) if row else 0

    def generation(self, tenant_id: str) -> str:
        """Return which generation of the documents the tables are of, as `clear` was told."""
        row = self._cursor(tenant_id).execute("select generation from filled").fetchone()
        return str(row[0]) if row else ""

    def clear(self, tenant_id: str, generation: str) -> None:
        """Empty a tenant's tables for another generation of its documents."""
        cursor = self._cursor(tenant_id)
        cursor.execute("begin")
        for table in (*TABLES, "mirrored", "filled"):
            cursor.execute(f"delete from {table}")
        cursor.execute("insert into filled values (?)", [generation])
        cursor.execute("commit")

    def put(self, tenant_id: str, collection: str, rows: dict[str, list[dict[str, Any]]], revision: int) -> None:
        """Replace the rows of some documents, whole, in one transaction with the revision that they bring."""
        cursor = self._cursor(tenant_id)
        cursor.execute("begin")
        try:
            if rows.get("calls"):
                _forget_calls(cursor, rows["calls"])
            for table, keys in KEYS.items():
                if rows.get(table):
                    own = {tuple(row[key] for key in keys): row for row in rows[table]}
                    rows = {**rows, table: list(own.values())}
                    _forget(cursor, table, keys, rows[table])
            for table, fresh in rows.items():
                if fresh:
                    _insert(cursor, table, fresh)
            cursor.execute("insert or replace into mirrored values (?, ?)", [collection, revision])
        except BaseException:
            cursor.execute("rollback")
            raise
        cursor.execute("commit")

    def forget_before(self, tenant_id: str, at_ms: int) -> None:
        """Let go of what is older than the documents are kept."""
        cursor = self._cursor(tenant_id)
        for table, columns in TABLES.items():
            time = next(name for name in ("started_ms", "at_ms", "until_ms") if name in columns)
            cursor.execute(f"delete from {table} where {time} < ?", [at_ms])

    def fetch(self, tenant_id: str, statement: Statement, running: "Running") -> list[tuple[Any, ...]]:
        """Return all rows. Raises QueryStopped."""
        return running.of(
            self._cursor(tenant_id), lambda cursor: cursor.execute(statement.text, statement.values).fetchall()
        )

    def begin(self, tenant_id: str, statement: Statement, running: "Running") -> Callable[[], list[tuple[Any, ...]]]:
        """Begin a question whose rows are taken in chunks; the result returns the next one, empty at the end."""
        cursor = self._cursor(tenant_id)
        running.of(cursor, lambda each: each.execute(statement.text, statement.values))
        return lambda: running.of(cursor, lambda each: each.fetchmany(CHUNK_ROWS))

    def parquet(self, tenant_id: str, statement: Statement, path: Path, running: "Running") -> None:
        """Write the rows to a Parquet file of `exports`. Raises QueryStopped."""
        text = f"copy ({statement.text}) to '{path}' (format parquet, compression zstd)"
        running.of(self._cursor(tenant_id), lambda cursor: cursor.execute(text, statement.values))

    def _cursor(self, tenant_id: str) -> duckdb.DuckDBPyConnection:
        with self._lock:
            database = self._open.get(tenant_id)
            if database is None:
                database = self._open[tenant_id] = self._opened(tenant_id)
                while len(self._open) > MOST_OPEN:
                    # A question that runs in it keeps it open: only our own hold on it goes.
                    self._open.popitem(last=False)
            self._open.move_to_end(tenant_id)
            return database.cursor()

    def _opened(self, tenant_id: str) -> duckdb.DuckDBPyConnection:
        path = self._folder / f"{_file_name(tenant_id)}.v{VERSION}.duckdb"
        try:
            database = duckdb.connect(str(path), config={"memory_limit": MEMORY, "threads": THREADS})
        except duckdb.Error as error:
            if isinstance(error, duckdb.IOException) and "lock" in str(error):
                raise
            # A file that can't be read, or whose journal can't, is only a mirror: it is filled again.
            for name in (path, path.with_name(f"{path.name}.wal")):
                name.unlink(missing_ok=True)
            database = duckdb.connect(str(path), config={"memory_limit": MEMORY, "threads": THREADS})
        for table, columns in TABLES.items():
            more = {"event_id": "VARCHAR"} if table == "happenings" else {}
            fields = ", ".join(f"{name} {kind}" for name, kind in {**columns, **more}.items())
            database.execute(f"create table if not exists {table} ({fields})")
        database.execute("create table if not exists mirrored (collection varchar primary key, revision bigint)")
        database.execute("create table if not exists filled (generation varchar)")
        database.execute(f"set allowed_directories = ['{self.exports}{os.sep}']")
        database.execute(f"set temp_directory = '{self.exports}{os.sep}spill'")
        database.execute("set enable_external_access = false")
        database.execute("set lock_configuration = true")
        return database


class Running:
    """One question that can be stopped from another thread."""

    def __init__(self) -> None:
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._is_stopped = False

    def of(self, cursor: duckdb.DuckDBPyConnection, work: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Do something with a cursor. Raises QueryStopped."""
        if self._is_stopped:
            raise QueryStopped
        self._cursor = cursor
        try:
            return work(cursor)
        except (duckdb.InterruptException, duckdb.OutOfMemoryException) as error:
            raise QueryStopped from error

    def stop(self) -> None:
        """End it, now or before it begins."""
        self._is_stopped = True
        if self._cursor is not None:
            self._cursor.interrupt()


def _file_name(tenant_id: str) -> str:
    readable = re.sub(r"[^a-z0-9-]", "_", tenant_id.lower())[:40]
    return f"{readable}.{sha256(tenant_id.encode()).hexdigest()[:12]}"


def _forget_calls(cursor: duckdb.DuckDBPyConnection, calls: list[dict[str, Any]]) -> None:
    ids = [row["call_id"] for row in calls]
    starts = [row["started_ms"] for row in calls]
    low, high = min(starts) - SLACK_MS, max(starts) + SLACK_MS
    for table in OF_CALLS:
        cursor.execute(
            f"delete from {table} where started_ms between ? and ? and call_id in (select unnest(?))",
            [low, high, ids],
        )


def _forget(cursor: duckdb.DuckDBPyConnection, table: str, keys: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    lists = [[row[key] for row in rows] for key in keys]
    chosen = ", ".join("unnest(?)" for _ in keys)
    cursor.execute(f"delete from {table} where ({', '.join(keys)}) in (select {chosen})", lists)


def _insert(cursor: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    more = {"event_id": "VARCHAR"} if table == "happenings" else {}
    shape = orjson.dumps([{**TABLES[table], **more}]).decode()
    text = f"insert into {table} by name select unnest(from_json(?, '{shape}'), recursive := true)"
    cursor.execute(text, [orjson.dumps(rows).decode()])
