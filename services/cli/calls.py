"""`ringmaster calls`: what happens now, and why a call went where it went."""

import argparse
import json
import sys
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict

from services.cli.api import Api, NotAnswered, Refused
from services.cli.settings import BrokerSettings, StatsSettings, environment
from services.cli.story import printable, tell
from services.cli.table import EXIT_DEPENDENCY, EXIT_DONE, EXIT_REFUSED, EXIT_SETTINGS
from services.shared.bus.consumer import Consumer
from services.shared.bus.errors import BusError
from services.shared.bus.topics import CALLS
from services.shared.chassis.settings import SettingsError
from services.shared.contracts.ringmaster.v1.event_pb2 import Event


def run(arguments: list[str]) -> int:
    """Run one of them; return 1 when it is refused, 2 for bad settings, 3 when a dependency does not answer."""
    options = _parser().parse_args(arguments)
    try:
        return _tail(options) if options.command == "tail" else _why(options)
    except SettingsError as error:
        return _complain(str(error), EXIT_SETTINGS)
    except Refused as error:
        return _complain(str(error), EXIT_REFUSED)
    except (BusError, NotAnswered) as error:
        return _complain(str(error), EXIT_DEPENDENCY)


def _tail(options: argparse.Namespace) -> int:
    deadline = time.monotonic() + options.seconds if options.seconds else None
    reader = Consumer(
        environment(BrokerSettings).kafka_bootstrap, None, [CALLS], "ringmaster-tail", from_beginning=options.all
    )
    try:
        for event in _events(reader, deadline):
            if options.tenant not in ("", event.tenant_id) or options.call not in ("", event.call_id):
                continue
            line = _as_json(event) if options.json else tell(event)
            if line:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()
    finally:
        reader.close()
    return EXIT_DONE


def _events(reader: Consumer, deadline: float | None) -> Iterator[Event]:
    while deadline is None or time.monotonic() < deadline:
        for record in reader.poll(0.5):
            yield Event.FromString(record.value)


def _as_json(event: Event) -> str:
    return json.dumps(MessageToDict(event, preserving_proto_field_name=True), ensure_ascii=True)


def _why(options: argparse.Namespace) -> int:
    settings = environment(StatsSettings)
    api = Api("the call log", "RINGMASTER_STATS_URL", settings.stats_url, settings.token, options.tenant)
    answer = api.ask(f"/v1/calls/{urllib.parse.quote(options.call_id, safe='')}/why")
    sys.stdout.write(json.dumps(answer, indent=2) + "\n" if options.json else _as_text(answer))
    return EXIT_DONE


def _as_text(answer: dict[str, Any]) -> str:
    lines = [" ".join(f"{name}={printable(str(value))}" for name, value in answer.items() if name != "why")]
    for record in answer["why"]:
        lines.append(f"{record['after_ms'] / 1000:9.3f} s  {record['what']:<22} {printable(record['text'], 200)}")
        for one in record.get("offer", {}).get("candidates", ()):
            order = ", ".join(f"{name} {value}" for name, value in one["order"].items())
            lines.append(f"{'':13}could have it: {one['agent_id']} (level {one['level']}; {order})")
        filtered = record.get("offer", {}).get("filtered", ())
        lines += [f"{'':13}could not: {one['agent_id']}, {one['reason']}" for one in filtered]
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ringmaster calls")
    commands = parser.add_subparsers(dest="command", required=True)
    tail = commands.add_parser("tail", help="tell what happens, as it happens (RINGMASTER_KAFKA_BOOTSTRAP)")
    tail.add_argument("--tenant", default="", help="only this company")
    tail.add_argument("--call", default="", help="only this call")
    tail.add_argument("--all", action="store_true", help="from the oldest event that the broker has")
    tail.add_argument("--json", action="store_true", help="whole events, one JSON object a line")
    tail.add_argument("--seconds", type=float, default=0.0, help="end after so long; without it Ctrl-C ends it")
    why = commands.add_parser("why", help="why a call went there (RINGMASTER_STATS_URL, RINGMASTER_TOKEN)")
    why.add_argument("call_id")
    why.add_argument("--tenant", default="", help="where the token is of every company")
    why.add_argument("--json", action="store_true")
    return parser


def _complain(line: str, code: int) -> int:
    sys.stderr.write(line + "\n")
    return code
