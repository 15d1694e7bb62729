"""`ringmaster connector`: a new connector from a template, and whether a file is sound."""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from services.webhooks.adapters.connectors.library import CONNECTORS, GATEWAYS, library, read_connector
from services.webhooks.domain.connectors.description import BadConnector, Connector

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}", re.ASCII)
TEMPLATE: Final = """\
# {title}. Say here what somebody must set up in the CRM before the first use, for example a field for call.id.
connector: {name}
title: {title}
# The pages that say what is written below.
documentation: [https://developers.{name}.example/]
base: "https://{{{{settings.account}}}}.{name}.example/api"
# What a tenant fills in, each with a pattern: nothing of it may lead to another host.
settings:
  account: {{pattern: "[a-z0-9-]{{1,60}}", about: "the account's name"}}
# oauth2_refresh, oauth2_client, token or basic; with `place` the token is that parameter of the address.
sign_in: {{kind: oauth2_refresh, token_url: "https://{{{{settings.account}}}}.{name}.example/oauth/token"}}
# What the interface allows, from each process of ours. 429 with Retry-After is understood by itself; here stands what
# it says in a way of its own: this status, with one of these words at a path of the answer, means so many seconds.
rate: {{requests: 5, seconds: 1}}
limits:
  - {{status: 403, at: error.code, values: [daily_limit], wait: 3600}}
# For people's screens; left out while a value of it is not known.
links: {{contact_url: "https://{{{{settings.account}}}}.{name}.example/contacts/{{{{known.contact_id}}}}"}}
# Words of ours to words of theirs: {{{{call.direction | direction}}}}.
maps:
  direction: {{inbound: in, outbound: out}}
operations:
  find_contact:
    GET: "/contacts?phone={{{{call.customer | digits}}}}"
    nothing: [204, 404]
    keep: {{contact_id: items.0.id, contact_name: items.0.name, owner_id: items.0.owner}}
  create_contact:
    unless: contact_id
    POST: /contacts
    json: {{name: "{{{{call.customer_name}}}}", phone: "{{{{call.customer}}}}"}}
    keep: {{contact_id: id}}
  # Look before you make: a delivery is tried again after a kill, and the call must be there once.
  find_call:
    unless: activity_id
    GET: "/calls?external_id={{{{call.id}}}}"
    nothing: [204, 404]
    keep: {{activity_id: items.0.id}}
  log_call:
    unless: activity_id
    needs: [contact_id]
    POST: /calls
    json:
      external_id: "{{{{call.id}}}}"
      contact: "{{{{known.contact_id}}}}"
      direction: "{{{{call.direction | direction}}}}"
      started_at: "{{{{call.started_ms | iso}}}}"
      seconds: "{{{{call.talk_ms | seconds}}}}"
      recording: "{{{{call.recording_url}}}}"
      note: "{{{{call.summary}}}}"
      user: "{{{{call.user}}}}"
    keep: {{activity_id: id}}
  find_task:
    only_if: call.is_lost
    GET: "/tasks?external_id={{{{call.id}}}}"
    nothing: [204, 404]
    keep: {{task_id: items.0.id}}
  add_task:
    only_if: call.is_lost
    unless: task_id
    needs: [contact_id]
    POST: /tasks
    json:
      external_id: "{{{{call.id}}}}"
      contact: "{{{{known.contact_id}}}}"
      text: "Call back {{{{call.customer}}}}"
      user: "{{{{call.user}}}}"
    keep: {{task_id: id}}
  # A transcript may come before its call is logged: with `must` it is tried again later.
  find_logged:
    GET: "/calls?external_id={{{{call.id}}}}"
    nothing: [204, 404]
    must: activity_id
    keep: {{activity_id: items.0.id}}
  add_transcript:
    PATCH: "/calls/{{{{known.activity_id}}}}"
    json: {{transcript: "{{{{transcript.summary}}}}"}}
  # The text of a rule's action becomes a task.
  find_rule_task:
    GET: "/tasks?external_id={{{{rule.id}}}}"
    nothing: [204, 404]
    keep: {{task_id: items.0.id}}
  add_rule_task:
    unless: task_id
    needs: [contact_id]
    POST: /tasks
    json:
      external_id: "{{{{rule.id}}}}"
      contact: "{{{{known.contact_id}}}}"
      text: "{{{{rule.text}}}}"
      user: "{{{{call.user}}}}"
    keep: {{task_id: id}}
flows:
  call.ended: [find_contact, create_contact, find_call, log_call, find_task, add_task]
  transcript.completed: [find_logged, add_transcript]
  rule: [find_contact, create_contact, find_rule_task, add_rule_task]
# What a lookup step gets: everything that these keep, and the links.
screen_pop: [find_contact]
"""


def run(arguments: list[str]) -> int:
    """Run one command; return its exit code: 1 for what is refused."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.act(options))
    except (BadConnector, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ringmaster connector", description="Connectors to CRMs, as data")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="write a new connector from a template")
    new.add_argument("name", help="small letters, digits and underscores")
    new.add_argument("--into", type=Path, default=Path(), help="folder (RINGMASTER_CONNECTORS_DIR of the service)")
    new.set_defaults(act=_new)
    check = commands.add_parser("check", help="say whether files are sound")
    check.add_argument("files", nargs="+", type=Path)
    check.set_defaults(act=_check)
    commands.add_parser("list", help="list what is built in").set_defaults(act=_list)
    return parser


def _new(options: argparse.Namespace) -> int:
    if not _NAME.fullmatch(options.name):
        raise BadConnector(f"{options.name!r} is no name: use small letters, digits and underscores")
    path = options.into / f"{options.name}.yaml"
    if not options.into.is_dir():
        raise BadConnector(f"there is no folder {options.into}: make it first, nothing was written")
    if path.exists():
        raise BadConnector(f"{path} is there already: nothing was written")
    path.write_text(TEMPLATE.format(name=options.name, title=options.name.replace("_", " ").title()), encoding="utf-8")
    sys.stdout.write(f"{path} is written. Fill it in by the interface's documentation, then: connector check {path}\n")
    return EXIT_DONE


def _check(options: argparse.Namespace) -> int:
    for path in options.files:
        connector = read_connector(path)
        sys.stdout.write(f"{path}: sound; {_about(connector)}\n")
    return EXIT_DONE


def _list(_options: argparse.Namespace) -> int:
    for connector in library(CONNECTORS, GATEWAYS).values():
        sys.stdout.write(f"{connector.name:<12} {_about(connector)}\n")
    return EXIT_DONE


def _about(connector: Connector) -> str:
    flows = ", ".join(connector.flows)
    settings = ", ".join(connector.settings) or "none"
    return f"{connector.title}: {flows}; settings: {settings}; {connector.requests} requests in {connector.seconds:g} s"
