"""The show command: channels, calls and registrations, as json, count or plain table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from local.switch.clock import MICROSECONDS
from local.switch.encoding import json_text
from local.switch.states import CallState

if TYPE_CHECKING:
    from local.switch.channel import Leg
    from local.switch.core import Switch

_CALL_SIDE = (
    "uuid",
    "direction",
    "created",
    "created_epoch",
    "name",
    "state",
    "cid_name",
    "cid_num",
    "ip_addr",
    "dest",
    "presence_id",
    "presence_data",
    "accountcode",
    "callstate",
    "callee_name",
    "callee_num",
    "callee_direction",
)


def show_command(switch: Switch, argument: str) -> str:
    """Print a table. Lists lag behind the live table (wire truth 19)."""
    words = argument.split()
    what = words[0] if words else ""
    if what == "channels":
        rows = [channel_row(leg) for leg in switch.listed_legs()]
    elif what in {"calls", "bridged_calls", "detailed_calls"}:
        rows = call_rows(switch)
    elif what == "registrations":
        rows = [row.as_row(switch.bus.identity.switchname) for row in switch.registrations.rows()]
    else:
        return "-USAGE: codec|endpoint|application|api|dialplan|file|timer|calls [count]|channels [count|like <match string>]|calls|detailed_calls|bridged_calls|detailed_bridged_calls|aliases|complete|chat|management|modules|nat_map|say|interfaces|interface_types|tasks|limits|status\n"  # noqa: E501 - one line on the wire
    if "count" in words:
        count = len(rows)
        return json_text({"row_count": count}) if words[-1] == "json" else f"\n{count} total.\n"
    if words[-2:] == ["as", "json"]:
        if not rows:
            return '{"row_count": 0}\n'
        return '{"row_count":' + str(len(rows)) + ',"rows":' + json_text(rows) + "}"
    return _table(rows)


def _table(rows: list[dict[str, str]]) -> str:
    if not rows:
        return "\n0 total.\n"
    lines = [",".join(rows[0])] + [",".join(row.values()) for row in rows]
    return "\n".join(lines) + f"\n\n{len(rows)} total.\n"


def channel_row(leg: Leg) -> dict[str, str]:
    """Return a leg as the channels table has it."""
    profile, variables = leg.profile, leg.variables
    created = profile.times.created // MICROSECONDS
    callee = profile.callee_id_name if profile.callee_id_name != "Outbound Call" or leg.answered else ""
    codec = ("PCMU", "8000", "64000") if leg.codec_up else ("", "", "")
    direction = "SEND" if leg.bridge is not None else ""
    inbound = leg.direction == "inbound"
    return {
        "uuid": leg.uuid,
        "direction": leg.direction,
        "created": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(created)),
        "created_epoch": str(created),
        "name": leg.name,
        "state": f"CS_{leg.running_state.name}",
        "cid_name": profile.caller_id_name,
        "cid_num": profile.caller_id_number,
        "ip_addr": profile.network_addr if inbound else "",
        "dest": profile.destination_number,
        "application": variables.get("current_application") or "",
        "application_data": variables.get("current_application_data") or "",
        "dialplan": profile.dialplan,
        "context": profile.context,
        "read_codec": codec[0],
        "read_rate": codec[1],
        "read_bit_rate": codec[2],
        "write_codec": codec[0],
        "write_rate": codec[1],
        "write_bit_rate": codec[2],
        "secure": "",
        "hostname": leg.switch.bus.identity.switchname,
        "presence_id": leg.presence_id,
        "presence_data": "",
        "accountcode": variables.get("accountcode") or "",
        "callstate": leg.callstate.name if leg.callstate != CallState.UNHELD else "ACTIVE",
        "callee_name": callee,
        "callee_num": profile.callee_id_number if callee else "",
        "callee_direction": direction,
        "call_uuid": leg.call_uuid,
        "sent_callee_name": variables.get("last_sent_callee_id_name") or "",
        "sent_callee_num": variables.get("last_sent_callee_id_number") or "",
        "initial_cid_name": profile.orig_caller_id_name,
        "initial_cid_num": profile.orig_caller_id_number,
        "initial_ip_addr": profile.network_addr if inbound else "",
        "initial_dest": profile.destination_number,
        "initial_dialplan": profile.dialplan,
        "initial_context": profile.context,
    }


def call_rows(switch: Switch) -> list[dict[str, str]]:
    """Return the bridged pairs, each once, under its A leg."""
    rows = []
    for leg in switch.listed_legs():
        bridge = leg.bridge
        if bridge is None or bridge.a is not leg or not bridge.holds():
            continue
        a, b = channel_row(leg), channel_row(bridge.b)
        row = {name: a[name] for name in _CALL_SIDE}
        row |= {name: a[name] for name in ("call_uuid", "hostname", "sent_callee_name", "sent_callee_num")}
        row |= {f"b_{name}": b[name] for name in (*_CALL_SIDE, "sent_callee_name", "sent_callee_num")}
        row["call_created_epoch"] = str(bridge.started_us // MICROSECONDS)
        rows.append(row)
    return rows
