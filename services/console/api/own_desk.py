"""An agent's own desk, as it is and as it changes; and who it is that asks (SPEC 5.1, 5.3)."""

from collections.abc import Generator
from typing import Final

import orjson
from flask import Blueprint, Response
from gevent.event import Event as Flag

from services.console import metrics
from services.console.api.access import Gate, json_answer, refuse
from services.console.api.agents import acting_for
from services.console.api.describing import described
from services.console.api.models import record
from services.console.domain.directory import Directory
from services.console.domain.live import Live, SeenAgent, SeenCall
from services.console.domain.own_desk import MOST_COLLEAGUES, colleagues_of, desk_of, glance
from services.shared.access import Action, Role
from services.shared.chassis.description import Model
from services.shared.chassis.event_stream import BEAT, BEAT_SECONDS, EVENT_STREAM, StreamMetrics, Streams
from services.shared.contracts.ringmaster.v1.tenant_pb2 import TenantDocument
from services.shared.json_schema import Schema, mapping, sequence

LOOK_SECONDS: Final = 0.2
RETRY_MS: Final = 1_000
"""A stream that ends is opened again after so long; a browser's own three seconds would leave a call unseen."""
MOST_STREAMS: Final = 5_000
MOST_STREAMS_OF_TENANT: Final = 2_000
_TEXT: Final[Schema] = {"type": "string"}
_AGENT: Final = record("OwnAgent", SeenAgent, agent_id=_TEXT, name=_TEXT)
_CALL: Final = record("OwnCall", SeenCall, call_id=_TEXT, line_label=_TEXT)
_COLLEAGUE: Final = mapping(["agent_id", "name", "state"], agent_id=_TEXT, name=_TEXT, state=_TEXT)
_COLLEAGUES: Final = Model("Colleagues", mapping(["colleagues"], colleagues=sequence(_COLLEAGUE, MOST_COLLEAGUES)))
_HOLDER: Final = Model(
    "Holder", mapping(None, tenant_id=_TEXT, role={"enum": [role.value for role in Role]}, actor=_TEXT)
)
_DESK: Final = Model(
    "Desk",
    mapping(
        ["company", "tenant_id", "agent", "call", "dispositions", "queues"],
        company=_TEXT,
        tenant_id=_TEXT,
        agent=_AGENT.ref,
        call={"anyOf": [_CALL.ref, {"type": "null"}]},
        dispositions=sequence(_TEXT, 1_000),
        queues=sequence(_TEXT, 1_000),
    ),
    (_AGENT, _CALL),
)


def own_desk_routes(gate: Gate, live: Live, directory: Directory, stopping: Flag) -> Blueprint:
    """Return the routes of an agent's desk, and of who asks for it."""
    routes = Blueprint("own_desk", __name__)
    told = StreamMetrics(metrics.STREAMS, metrics.STREAMS_REFUSED, metrics.SLOW_READERS)
    streams = Streams(MOST_STREAMS, MOST_STREAMS_OF_TENANT, told)

    @routes.get("/v1/holder")
    @described("Who holds the token.", None, _HOLDER)
    def holder() -> Response:
        known = gate.principal()
        return json_answer({"tenant_id": known.tenant, "role": known.role.value, "actor": known.actor})

    def company(tenant_id: str, agent_id: str) -> TenantDocument:
        acting_for(gate, tenant_id, agent_id)
        document = directory.document(tenant_id)
        if document is None or all(agent.agent_id != agent_id for agent in document.agents):
            raise refuse(404, "agent-not-found", "The company's document has no such agent.")
        return document

    @routes.get("/v1/tenants/<tenant_id>/agents/<agent_id>/desk")
    @described("An agent's status and call.", Action.ACT_FOR_AGENT, _DESK, fails=frozenset({404}))
    def desk(tenant_id: str, agent_id: str) -> Response:
        return json_answer(desk_of(company(tenant_id, agent_id), agent_id, live))

    @routes.get("/v1/tenants/<tenant_id>/agents/<agent_id>/colleagues")
    @described("The other agents and how they are just now.", Action.ACT_FOR_AGENT, _COLLEAGUES, fails=frozenset({404}))
    def colleagues(tenant_id: str, agent_id: str) -> Response:
        return json_answer({"colleagues": colleagues_of(company(tenant_id, agent_id), agent_id, live)})

    @routes.get("/v1/tenants/<tenant_id>/agents/<agent_id>/desk/stream")
    @described("The same, again whenever it changes.", Action.ACT_FOR_AGENT, EVENT_STREAM, fails=frozenset({404, 503}))
    def stream(tenant_id: str, agent_id: str) -> Response:
        company(tenant_id, agent_id)
        return streams.answer(tenant_id, _frames(tenant_id, agent_id, live, directory, stopping))

    return routes


def _frames(tenant_id: str, agent_id: str, live: Live, directory: Directory, stopping: Flag) -> Generator[bytes]:
    """Yield a frame for each change, a comment where nothing changes for long; end when service or agent are gone."""
    yield b"retry: %d\n\n" % RETRY_MS
    told, silent = None, 0.0
    while (document := directory.document(tenant_id)) is not None:
        now, silent = glance(document, agent_id, live), silent + LOOK_SECONDS
        if now != told:
            desk = desk_of(document, agent_id, live)
            if desk is None:
                return
            told, silent = now, 0.0
            yield b"data: " + orjson.dumps(desk) + b"\n\n"
        elif silent >= BEAT_SECONDS:
            silent = 0.0
            yield BEAT
        if stopping.wait(LOOK_SECONDS):
            return
