"""A tenant's state as plain JSON-able data and back. What is derived is left out and built again."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from services.router.domain import versions
from services.router.domain.agents import count_agent, index_agent
from services.router.domain.callbacks.task import Callback, CampaignRun
from services.router.domain.configuration import Configuration
from services.router.domain.idle import floor_of
from services.router.domain.lifecycle import AgentState, CallStage
from services.router.domain.model import (
    Agent,
    Away,
    Call,
    EndedCall,
    Gone,
    Handing,
    Leg,
    LegRole,
    Offer,
    QueueMemory,
    Transfer,
    TransferPhase,
)
from services.router.domain.splitting import moving
from services.router.domain.state import TenantState
from services.router.domain.waiting import index_call
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument

FORMAT = 11
READABLE = frozenset({6, 7, 8, 9, 10, FORMAT})
"""What a newer format has more is as at the beginning where it is not there."""
_RECORDS: dict[str, type[Any]] = {
    "calls": Call,
    "legs": Leg,
    "offers": Offer,
    "transfers": Transfer,
    "agents": Agent,
    "queues": QueueMemory,
    "ended": EndedCall,
    "callbacks": Callback,
    "campaigns": CampaignRun,
    "away": Away,
    "gone": Gone,
}


def _reader_of(kind: type[Any]) -> Callable[[dict[str, Any]], Any]:
    """Return what makes a record of its fields: in their order, where all are there.

    By their names each is looked for among them all, which took 70 µs a call: most of what a restore took.
    """
    names = tuple(field.name for field in fields(kind))

    def read(record: dict[str, Any]) -> Any:
        return kind(*map(record.__getitem__, names)) if len(record) == len(names) else kind(**record)

    return read


_READ = {name: _reader_of(kind) for name, kind in _RECORDS.items()}
_PLAIN = (
    "tenant_id",
    "now_ms",
    "entries",
    "version",
    "timers",
    "replies",
    "sequences",
    "familiar",
    "node",
    "heard",
    "mute",
    "begun",
    "spent",
    "metered",
    "erasing",
    "domain",
    "passed",
    "domains",
    "agents_at",
    "callbacks_at",
    "campaigns_at",
    "over",
    "postponed",
)


class UnknownFormat(ValueError):
    """A snapshot of another version of the core. The shell starts from a hand-over or from the log (DESIGN rule 4)."""


def to_snapshot(state: TenantState) -> dict[str, Any]:
    """Return the state as what orjson can write, which reads the records by itself; they are shared: write at once."""
    snapshot: dict[str, Any] = {name: getattr(state, name) for name in (*_PLAIN, *_RECORDS)}
    snapshot["format"] = FORMAT
    snapshot["documents"] = {str(version): b64encode(data).decode() for version, data in state.documents.items()}
    return snapshot


def from_snapshot(snapshot: dict[str, Any]) -> TenantState:
    """Build the state that was written. Raises UnknownFormat."""
    if snapshot.get("format") not in READABLE:
        raise UnknownFormat(f"snapshot format {snapshot.get('format')} is none of {sorted(READABLE)}")
    state = TenantState(**{name: snapshot[name] for name in _PLAIN if name in snapshot})
    for name, read in _READ.items():
        setattr(state, name, {key: read(record) for key, record in snapshot.get(name, {}).items()})
    for call in state.calls.values():
        call.stage = CallStage(call.stage)
        if isinstance(call.handing, dict):
            call.handing = Handing(**call.handing)
    for agent in state.agents.values():
        agent.state = AgentState(agent.state)
    for transfer in state.transfers.values():
        transfer.phase = TransferPhase(transfer.phase)
    for leg in state.legs.values():
        leg.role = LegRole(leg.role)
    state.documents = {int(version): b64decode(data) for version, data in snapshot["documents"].items()}
    _derive(state)
    return state


def _derive(state: TenantState) -> None:
    for version, data in state.documents.items():
        state.configurations[version] = Configuration(TenantDocument.FromString(data), state.domain)
    configuration = state.configuration
    if configuration is not None:
        state.indexes, state.idle = floor_of(configuration)
    for agent in state.agents.values():
        count_agent(state, agent)
        index_agent(state, agent)
    for task in state.callbacks.values():
        state.callbacks_of.setdefault(task.number, []).append(task.callback_id)
    _derive_calls(state)
    moving.find(state)


def _derive_calls(state: TenantState) -> None:
    for call in state.calls.values():
        versions.hold(state, call.version)
        if call.is_absent:
            state.absent.add(call.call_id)
        if call.is_waiting:
            index_call(state, call)
        if call.hop and state.domain:
            state.visitors.add(call.call_id)
    for away in state.away.values():
        if away.version:
            versions.hold(state, away.version)
