import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.config import Config

from local.stack.balance import Row, balance, table
from local.stack.expected import due_now
from local.stack.kills import APART_SECONDS, VICTIMS, Kill, by_lot, counted, in_turn
from local.stack.layout import ROOT, Layout
from local.stack.part import PartFailed
from local.stack.parts import ADMIN_TOKEN, BUCKET, S3_ACCESS_KEY, S3_SECRET_KEY
from local.stack.stack import TENANTS, Say, Stack
from local.stack.transcribed import transcripts_row
from local.stack.web import get, post

SCENARIO = ROOT / "local" / "demo" / "demo.yaml"
REPORT = ROOT / "build" / "demo.json"
CHAOS_REPORT = ROOT / "build" / "chaos.json"
DEFAULT_MINUTES = 60.0
DEFAULT_SPEED = 20.0
# After the last caller is gone, uploads and deliveries get this long (wall seconds) to settle.
SETTLE_SECONDS = 120.0
POLL_SECONDS, COMPARE_SECONDS = 1.0, 2.0
# Own ports, so that a demo can run beside `make up`.
PORTS_ABOVE = 40


def play(say: Say) -> int:
    """Play one simulated hour (or DEMO_MINUTES at DEMO_SPEED) and balance the books; returns 0 when they balance.

    DEMO_KILL=each, or some names, ends those processes by SIGKILL on the way.
    """
    asked = os.environ.get("DEMO_KILL", "")
    names = VICTIMS if asked == "each" else [name for name in asked.split(",") if name]
    minutes = float(os.environ.get("DEMO_MINUTES", DEFAULT_MINUTES))
    return _run(minutes, in_turn(names), REPORT, say)


def chaos(say: Say) -> int:
    """Play for as long as KILLS (20) need, any process at any moment, and balance the books; CHAOS_SEED draws anew."""
    count, seed = int(os.environ.get("KILLS", "20")), int(os.environ.get("CHAOS_SEED", "1"))
    kills = by_lot(count, seed)
    say(f"{count} kills by the lot of CHAOS_SEED={seed}: {counted(kills)}.")
    minutes = max(DEFAULT_MINUTES, count * APART_SECONDS * _speed() / 60)
    return _run(minutes, kills, CHAOS_REPORT, say)


def _speed() -> float:
    return float(os.environ.get("DEMO_SPEED", DEFAULT_SPEED))


def _run(minutes: float, kills: list[Kill], report: Path, say: Say) -> int:
    base = Layout.from_environment("demo")
    layout = Layout(base.folder, base.base_port + PORTS_ABOVE)
    shutil.rmtree(layout.folder, ignore_errors=True)
    speed = _speed()
    scenario = _scenario(layout, minutes)
    wall0 = time.time()
    clock = {
        "RINGMASTER_CLOCK_SPEED": str(speed),
        "RINGMASTER_CLOCK_EPOCH": str(wall0 - minutes * 60),
        "RINGMASTER_CLOCK_WALL0": str(wall0),
    }
    say(f"{minutes:g} simulated minutes of calls at {speed:g} times real time.")
    stack = Stack(layout, clock, scenario, say, transcribes=_transcribes())
    try:
        stack.start()
        _play(stack, minutes * 60 / speed, kills, say)
        rows = settle(layout, say, compared)
    finally:
        stack.stop()
    return _report(rows, kills, report, say)


def _scenario(layout: Layout, minutes: float) -> Path:
    """Write the scenario with the wanted length into the stack's folder."""
    document = yaml.safe_load(SCENARIO.read_text(encoding="utf-8")) | {"minutes": minutes}
    path = layout.path("scenario.yaml")
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path


def _play(stack: Stack, seconds: float, kills: list[Kill], say: Say) -> None:
    """Wait for the last caller to go, with the kills on the way. `seconds` is wall time."""
    began = told = time.monotonic()
    left = list(kills)
    while True:
        status = status_of(stack.layout)
        now = time.monotonic()
        if status["phase"] == "drained" and not left:
            return
        while left and now - began > seconds * left[0].at:
            name = left.pop(0).name
            say(f"  killing {name}")
            _kill(stack, name)
        if now - told > 10:  # noqa: PLR2004 - seconds between lines of progress
            told = now
            say(f"  {min(100, 100 * (now - began) / seconds):3.0f} %: {_counts(status)}")
        if now - began > 2 * seconds + SETTLE_SECONDS:
            raise PartFailed("The play does not end: callers are stuck on the line.")
        stack.watch()
        time.sleep(POLL_SECONDS)


def _kill(stack: Stack, name: str) -> None:
    """End a part by SIGKILL. The switch keeps the account that all is held against: it dies in all but that."""
    if name == "switch":
        post(stack.layout.url("switch", "/faults"), {"fault": "restart", "down_seconds": 1})
    else:
        stack.kill(name)


def _counts(status: dict[str, Any]) -> str:
    calls = status["calls"]
    return ", ".join(f"{calls[name]} {name.replace('_', ' ')}" for name in calls)


def status_of(layout: Layout) -> dict[str, Any]:
    """Return what the switch says of itself and its callers."""
    return dict(get(layout.url("switch", "/status")))


def settle(layout: Layout, say: Say, compare: Callable[[Layout], list[Row]]) -> list[Row]:
    """Compare until everything balances or the time to settle is over."""
    deadline = time.monotonic() + SETTLE_SECONDS
    post(layout.url("switch", "/drain"), {})
    while True:
        is_over = time.monotonic() > deadline
        try:
            rows = compare(layout)
        except OSError as error:  # a part that others keep from the processor, or that is just starting again
            if is_over:
                raise PartFailed(f"A part does not answer: {error}") from error
            say(f"  waiting for an answer: {error}")
        else:
            if is_over or all(row.balances for row in rows):
                return rows
            left = (f"{row.what} {row.found}/{row.expected}" for row in rows if not row.balances)
            say("  waiting for: " + ", ".join(left))
        time.sleep(COMPARE_SECONDS)


def compared(layout: Layout) -> list[Row]:
    """Hold the switch's own account against what every other part has."""
    truth = get(layout.url("switch", "/truth"))
    # Beside the broker's log: who wants to know why something differs finds both sides there.
    layout.path("truth.json").write_text(json.dumps(truth), encoding="utf-8")
    rows = balance(
        truth,
        get(layout.url("stats", "/v1/summary"), ADMIN_TOKEN),
        get(layout.url("receiver", "/summary")),
        _stored(layout),
        due_now(layout),
    )
    return [*rows, transcripts_row(layout, _percents())] if _transcribes() else rows


def _transcribes() -> bool:
    """Whether some recordings are written down on the way: on two cores the calls feel it."""
    return os.environ.get("DEMO_TRANSCRIBES", "") == "1"


def _percents() -> dict[str, int]:
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in TENANTS.glob("*.yaml")]
    return {
        document["tenant_id"]: document["transcription"].get("percent", 0)
        for document in documents
        if "transcription" in document
    }


def _stored(layout: Layout) -> int:
    client = boto3.client(
        "s3",
        endpoint_url=layout.url("objects"),
        aws_access_key_id=S3_ACCESS_KEY,
        aws_secret_access_key=S3_SECRET_KEY,
        region_name="us-east-1",
        config=Config(signature_version="s3v4"),
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return sum(len(page.get("Contents", ())) for page in pages)


def _report(rows: list[Row], kills: list[Kill], report: Path, say: Say) -> int:
    balanced = all(row.balances for row in rows)
    say("\n" + table(rows))
    if kills:
        say(f"\n{len(kills)} kills: {counted(kills)}.")
    say("\nThe books balance." if balanced else "\nThe books do NOT balance.")
    document = {
        "balanced": balanced,
        "killed": [kill.name for kill in kills],
        "rows": [{"what": row.what, "expected": row.expected, "found": row.found} for row in rows],
    }
    report = Path(os.environ.get("DEMO_REPORT", report))
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps(document, indent=2), encoding="utf-8")
    return 0 if balanced else 1
