"""Examples of events: the catalogue with a body for each, and one of them sent to an endpoint."""

from typing import Final

import orjson
from flask import Blueprint, Response

from services.shared.access import Action
from services.shared.chassis.admission import Admission
from services.shared.chassis.clock import Clock
from services.shared.chassis.description import body_of, described
from services.shared.chassis.problems import problem
from services.webhooks.adapters.example_values import example_values
from services.webhooks.api.answers import json_answer
from services.webhooks.api.deliveries import AWAY, answer_failures
from services.webhooks.api.models import EXAMPLES, SENT, WANTED_EXAMPLE
from services.webhooks.directory import Directory
from services.webhooks.domain.examples import event_types, example_of, example_payload
from services.webhooks.domain.payload import EVERYTHING
from services.webhooks.redelivery import Redelivery

LOOK: Final = "1"
"""What the ids of an example end in that is only looked at."""


def example_routes(admission: Admission, directory: Directory, redelivery: Redelivery, clock: Clock) -> Blueprint:
    """Make the routes."""
    api = Blueprint("examples", __name__, url_prefix="/v1")

    @api.get("/examples")
    @described("Show an example of each event.", Action.READ_CALLS, EXAMPLES)
    def shown() -> Response:
        tenant_id, now_ms = admission.tenant(Action.READ_CALLS), clock.now_ms()
        made = [(kind, example_of(kind, tenant_id, LOOK, now_ms, example_values())) for kind in event_types()]
        told = [
            {"event_type": kind, "body": orjson.loads(example_payload(event, kind, EVERYTHING))} for kind, event in made
        ]
        return json_answer({"examples": told})

    @api.post("/endpoints/<endpoint_id>/example")
    @described(
        "Send an example of an event, marked as one: its ids begin with example-, it has the header webhook-example "
        "and, where no template says what the body holds, the field example.",
        Action.MANAGE_DELIVERIES,
        SENT,
        status=202,
        body=WANTED_EXAMPLE,
        fails=AWAY | {404, 409},
    )
    def send(endpoint_id: str) -> Response:
        tenant_id = admission.tenant(Action.MANAGE_DELIVERIES)
        event_type = body_of(WANTED_EXAMPLE)["event_type"]
        endpoint = directory.find(tenant_id, endpoint_id)
        if endpoint is None:
            return problem(404, "not-found", "The tenant's document has no such endpoint.")
        if event_type not in event_types():
            return problem(404, "no-such-event", "There is no such event; GET /v1/examples has them all.")
        if endpoint.kind != "webhook":
            return problem(
                409, "not-a-webhook", "Examples go to webhook endpoints: a person or a CRM would believe it."
            )
        if not directory.is_open(endpoint):
            why = directory.why_closed(endpoint) or "it is switched off by hand"
            return problem(409, "endpoint-closed", f"The endpoint takes nothing: {why}.")
        return json_answer({"delivery_id": redelivery.example(endpoint, event_type, example_values())}, 202)

    answer_failures(api)
    return api
