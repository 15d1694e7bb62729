"""The lookup step: the tenant's CRM is asked while the caller waits (SPEC 2.1).

The core only says what to ask and until when; the answer comes back through the log.
"""

import json
from urllib.parse import quote

from services.router.domain import calls
from services.router.domain.flow import variables
from services.router.domain.flow.kinds import Kind, Left, configuration_of, step_of
from services.router.domain.lifecycle import CallStage
from services.router.domain.model import Call
from services.router.domain.state import TenantState
from services.router.domain.turn import Lookup, Turn
from services.shared.contracts.ringmaster.v1 import request_pb2 as rq
from services.shared.contracts.ringmaster.v1 import tenant_pb2 as tn

DEFAULT_TIMEOUT_MS = 3_000
GRACE_MS = 1_000
"""The answer has its way through the log; the router's own deadline is later by so much."""


def pending(state: TenantState) -> list[Lookup]:
    """Return what callers wait for now: whoever asked may be gone, so a router that takes over asks again."""
    return [Lookup(*_asked(fields)) for call in state.calls.values() if (fields := call.lookup)]


def answered(turn: Turn, call: Call, found: rq.TakeLookup) -> Left | None:
    """Keep what was found; None when the call does not wait for this."""
    if call.step_type != "lookup" or call.step_phase != found.lookup_id:
        return None
    _end(turn, call)
    if found.fault:
        return "failed", f"{found.fault} ({found.duration_ms} ms)"
    kept = [result.variable for result in step_of(turn, call).lookup.results if _is_kept(turn, call, result, found)]
    return "next", f"it answered {found.status} in {found.duration_ms} ms, with {len(kept)} values to keep"


def _lookup(turn: Turn, call: Call, step: tn.Step) -> None:
    calls.to_stage(call, CallStage.IN_STEP)
    url, fields = configuration_of(turn, call).scripts.lookups[call.flow_id, call.step_id]
    texts = variables.for_texts(turn, call)
    body = {name: text.filled(texts) for name, text in fields.items()}
    lookup = Lookup(
        turn.state.tenant_id,
        call.call_id,
        turn.new_id(),
        url.filled({name: _in_url(value) for name, value in texts.items()}),
        json.dumps(body).encode() if body else b"",
        step.lookup.timeout_ms or DEFAULT_TIMEOUT_MS,
        tuple((result.path, result.variable) for result in step.lookup.results),
    )
    turn.lookups.append(lookup)
    call.step_phase = lookup.lookup_id
    call.lookup = _kept_fields(lookup)
    if call.is_leg_answered:
        turn.command(call, call.call_id).start_music.SetInParent()
    turn.set_timer("step", call.call_id, lookup.timeout_ms + GRACE_MS)


def _overdue(turn: Turn, call: Call, _step: tn.Step) -> Left:
    _end(turn, call)
    return "failed", "the answer did not come in time"


def _end(turn: Turn, call: Call) -> None:
    call.lookup = []
    if call.is_leg_answered:
        turn.command(call, call.call_id).stop_playback.SetInParent()


def _is_kept(turn: Turn, call: Call, result: tn.LookupResult, found: rq.TakeLookup) -> bool:
    if result.variable not in found.values:
        return False
    try:
        variables.keep(turn, call, result.variable, found.values[result.variable])
    except variables.Unsuitable:
        return False
    return True


def _in_url(value: object) -> str:
    """Escape a value so that it stays one piece of a path or query; dots alone would climb out of a path."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return quote(text, safe="") if text.strip(".") else ""


def _kept_fields(lookup: Lookup) -> list[str]:
    """Return a lookup as texts, as snapshots keep it."""
    pairs = [text for pair in lookup.results for text in pair]
    ids = [lookup.tenant_id, lookup.call_id, lookup.lookup_id]
    return [*ids, lookup.url, lookup.body.decode(), str(lookup.timeout_ms), *pairs]


def _asked(fields: list[str]) -> tuple[str, str, str, str, bytes, int, tuple[tuple[str, str], ...]]:
    tenant_id, call_id, lookup_id, url, body, timeout_ms, *pairs = fields
    results = tuple(zip(pairs[::2], pairs[1::2], strict=True))
    return tenant_id, call_id, lookup_id, url, body.encode(), int(timeout_ms), results


KINDS: dict[str, Kind] = {"lookup": Kind(_lookup, overdue=_overdue)}
