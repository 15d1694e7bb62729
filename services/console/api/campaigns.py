from collections.abc import Iterator, Sequence
from typing import Any, Final

from flask import Blueprint, Response, request

from services.console.api.access import Gate, json_answer, listed, read_body, refuse
from services.console.api.describing import asks_router, described, text
from services.console.api.models import FAULT, NOTHING
from services.console.api.requests import ask_router, request_id_of
from services.console.desk import Desk
from services.console.domain.campaign_view import CampaignView
from services.console.domain.contact_list import MOST_BYTES, ContactList, UnreadableList, read_contacts
from services.console.domain.directory import Directory
from services.shared.access import Action, Principal
from services.shared.bus.asking import TooManyWaiting
from services.shared.bus.errors import BusError
from services.shared.chassis.description import Model
from services.shared.contracts.ringmaster.v1.request_pb2 import AddContacts, Contact, Request, RunCampaign
from services.shared.contracts.ringmaster.v1.tenant_pb2 import Campaign, Pacing, TenantDocument
from services.shared.json_schema import Schema, mapping, sequence

AT_ONCE: Final = 200
"""Customers in one request to the router."""
_COUNTED: Final[dict[str, Schema]] = {
    name: {"type": "integer"} for name in ("waiting", "open", "reached", "failed", "abandoned")
}
_SHOWN: Final = Model(
    "Campaign",
    mapping(
        ["campaign_id", "queue_id", "line", "pacing", "state", *_COUNTED],
        campaign_id={"type": "string"},
        queue_id={"type": "string"},
        line={"type": "string"},
        pacing={"type": "string"},
        state={"enum": ["new", "running", "paused", "done"]},
        **_COUNTED,
    ),
)
_ALL: Final = Model("Campaigns", mapping(["campaigns"], campaigns=sequence(_SHOWN.ref, 100)), (_SHOWN,))
_TAKEN: Final = Model(
    "ContactsTaken",
    mapping(
        ["added", "of", "bad_rows", "faults"],
        added={"type": "integer"},
        of={"type": "integer", "description": "Good rows in the list."},
        bad_rows={"type": "integer"},
        faults={"type": "array", "items": FAULT.ref},
    ),
    (FAULT,),
)


def campaign_routes(gate: Gate, desk: Desk, directory: Directory, view: CampaignView) -> Blueprint:
    """Return what may be done with campaigns (SPEC 4.4): the list, customers for one, start and pause.

    A list of which not all was added in time is answered with 202: sent again, it adds the rest.
    """
    routes = Blueprint("campaigns", __name__)

    @routes.get("/v1/tenants/<tenant_id>/campaigns")
    @described("Campaigns, and how far they are.", Action.READ_LIVE, _ALL)
    def campaigns(tenant_id: str) -> Response:
        gate.require(Action.READ_LIVE, tenant_id)
        document = directory.document(tenant_id)
        known = document.campaigns if document else ()
        return json_answer({"campaigns": [_shown(each, view.find(tenant_id, each.campaign_id)) for each in known]})

    @routes.post("/v1/tenants/<tenant_id>/campaigns/<campaign_id>/contacts")
    @described(
        "Add customers to a campaign: CSV with a heading that names number, and name.",
        Action.MANAGE_CALLBACKS,
        _TAKEN,
        body=text("text/csv"),
        fails=frozenset({404, 409, 503}),
        has_key=True,
        may_be_late=True,
    )
    def contacts(tenant_id: str, campaign_id: str) -> Response:
        principal = gate.require(Action.MANAGE_CALLBACKS, tenant_id)
        document, campaign = _known(directory, tenant_id, campaign_id)
        found = _read(campaign, document)
        added = _add(desk, tenant_id, principal, campaign_id, found.contacts)
        counts = {"added": added, "of": len(found.contacts), "bad_rows": found.bad_rows}
        return json_answer(counts | {"faults": listed(found.faults)}, 200 if added == len(found.contacts) else 202)

    @routes.post("/v1/tenants/<tenant_id>/campaigns/<campaign_id>/start")
    @asks_router("Let a campaign dial.", Action.MANAGE_CALLBACKS, NOTHING)
    def start(tenant_id: str, campaign_id: str) -> Response:
        return run(tenant_id, campaign_id, running=True)

    @routes.post("/v1/tenants/<tenant_id>/campaigns/<campaign_id>/pause")
    @asks_router("Let a campaign dial nobody new.", Action.MANAGE_CALLBACKS, NOTHING)
    def pause(tenant_id: str, campaign_id: str) -> Response:
        return run(tenant_id, campaign_id, running=False)

    def run(tenant_id: str, campaign_id: str, *, running: bool) -> Response:
        principal = gate.require(Action.MANAGE_CALLBACKS, tenant_id)
        read_body(NOTHING)
        _known(directory, tenant_id, campaign_id)
        wish = RunCampaign(campaign_id=campaign_id, running=running)
        return ask_router(desk, tenant_id, principal, Request(run_campaign=wish))

    return routes


def _known(directory: Directory, tenant_id: str, campaign_id: str) -> tuple[TenantDocument, Campaign]:
    """Return a tenant's document and its campaign. Raises the 404 of a campaign that is not there."""
    document = directory.document(tenant_id)
    campaign = (
        next((each for each in document.campaigns if each.campaign_id == campaign_id), None) if document else None
    )
    if document is None or campaign is None:
        raise refuse(404, "campaign-not-found", f"There is no campaign {campaign_id[:64]}.")
    return document, campaign


def _shown(campaign: Campaign, seen: dict[str, Any]) -> dict[str, Any]:
    pacing = Pacing.Name(campaign.pacing).removeprefix("PACING_").lower()
    said = {"campaign_id": campaign.campaign_id, "queue_id": campaign.queue_id, "line": campaign.line}
    return {**said, "pacing": pacing, **seen}


def _read(campaign: Campaign, document: TenantDocument) -> ContactList:
    """Read the body as a list of customers. Raises Refusal: 413 too big, 422 no list at all."""
    if (request.content_length or 0) > MOST_BYTES:
        raise refuse(413, "list-too-big", f"A list has {MOST_BYTES} bytes at most; divide it.")
    try:
        return read_contacts(request.get_data(), campaign.line, document.limits)
    except UnreadableList as error:
        raise refuse(422, "no-list", str(error)) from error


def _add(
    desk: Desk, tenant_id: str, principal: Principal, campaign_id: str, contacts: Sequence[tuple[str, str]]
) -> int:
    """Hand customers to the router piece by piece; returns how many it took. The same list again adds nobody twice.

    Raises Refusal: 503 when the first piece can't be taken, 404 and 409 when the router refuses it.
    """
    added, base = 0, request_id_of(principal)
    for number, piece in enumerate(_pieces(contacts)):
        wish = AddContacts(campaign_id=campaign_id, contacts=[Contact(number=each, name=name) for each, name in piece])
        asked = Request(request_id=f"{base}-{number}", actor=principal.actor, role=principal.role.value)
        asked.add_contacts.CopyFrom(wish)
        try:
            reply = desk.ask(tenant_id, asked).reply
        except (BusError, TooManyWaiting) as error:
            if not added:
                raise refuse(503, "log-unavailable", "The list can't be taken now; send it again.") from error
            return added
        if reply is not None and not reply.accepted and not added:
            status = 404 if reply.problem.endswith("-not-found") else 409
            raise refuse(status, reply.problem, reply.detail)
        if reply is None or not reply.accepted:
            return added
        added += len(piece)
    return added


def _pieces(contacts: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    for begin in range(0, len(contacts), AT_ONCE):
        yield contacts[begin : begin + AT_ONCE]
