"""Endpoints: how each is, a ping, a new secret, opening one again."""

from collections import defaultdict
from typing import Any, Final

from flask import Blueprint, Response

from services.shared.access import EVERY_TENANT, Action
from services.shared.chassis.admission import Admission, Refusal
from services.shared.chassis.clock import Clock
from services.shared.chassis.description import body_of, described
from services.shared.chassis.problems import problem
from services.webhooks.adapters.mongo_secrets import BadKey
from services.webhooks.api.answers import json_answer, number_argument
from services.webhooks.api.deliveries import AWAY, Journal, answer_failures
from services.webhooks.api.models import (
    DAY_SECONDS,
    ENDPOINT,
    ENDPOINTS,
    MINUTES,
    MOST_MINUTES,
    ROTATION,
    SECRET,
    SENT,
    TENANTS,
)
from services.webhooks.directory import Directory
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.journal import MINUTE_MS, Figures, merged
from services.webhooks.domain.trouble import Troubles
from services.webhooks.health import Health
from services.webhooks.redelivery import Redelivery
from services.webhooks.secret_book import NoKey, SecretBook

# So many points a chart has: a point of an hour's chart is a minute, of a day's a quarter of an hour and a bit.
POINTS: Final = 60


def endpoint_routes(  # noqa: C901 - one function a route, and what they need
    admission: Admission,
    directory: Directory,
    health: Health,
    journal: Journal,
    redelivery: Redelivery,
    secrets: SecretBook,
    clock: Clock,
    troubles: Troubles,
) -> Blueprint:
    """Make the routes. Endpoints themselves are part of the tenant's document, which the console's API changes."""
    api = Blueprint("endpoints", __name__, url_prefix="/v1/endpoints")

    @api.get("")
    @described("Tell how endpoints are.", Action.READ_CALLS, ENDPOINTS, query=MINUTES, fails=AWAY)
    def listed() -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        minutes = number_argument("minutes", 1, MOST_MINUTES, 60)
        now_ms = clock.now_ms()
        since_ms = now_ms - now_ms % MINUTE_MS - (minutes - 1) * MINUTE_MS
        figures = journal.figures(tenant_id, since_ms)
        own: dict[str, Figures] = defaultdict(Figures)
        for (endpoint_id, _), each in figures.items():
            own[endpoint_id].merge(each)
        shown = [shown_of(one, own[one.endpoint_id]) for one in directory.known(tenant_id)]
        return json_answer(
            {
                "tenant": tenant_id,
                "now_ms": now_ms,
                "minutes": minutes,
                "endpoints": shown,
                "totals": _told(merged(figures.values())),
                "points": _points(figures, since_ms, minutes),
            }
        )

    @api.post("/<endpoint_id>/ping")
    @described("Send a ping.", Action.MANAGE_DELIVERIES, SENT, status=202, fails=AWAY | {404, 409})
    def ping(endpoint_id: str) -> Response:
        endpoint = _found(admission.tenant(Action.MANAGE_DELIVERIES), endpoint_id)
        if not directory.is_open(endpoint):
            why = directory.why_closed(endpoint) or "it is switched off by hand"
            return problem(409, "endpoint-closed", f"The endpoint takes nothing: {why}.")
        return json_answer({"delivery_id": redelivery.ping(endpoint)}, 202)

    @api.post("/<endpoint_id>/open")
    @described("Open an endpoint that was closed.", Action.MANAGE_DELIVERIES, ENDPOINT, fails=AWAY | {404})
    def reopen(endpoint_id: str) -> Response:
        endpoint = _found(admission.tenant(Action.MANAGE_DELIVERIES), endpoint_id)
        directory.reopen(endpoint)
        return json_answer(shown_of(endpoint, Figures()))

    @api.post("/<endpoint_id>/secret")
    @described("Make a new secret.", Action.CHANGE_DOCUMENT, SECRET, status=201, body=ROTATION, fails=AWAY | {404, 409})
    def rotate(endpoint_id: str) -> Response:
        endpoint = _found(admission.tenant(Action.CHANGE_DOCUMENT), endpoint_id)
        body = body_of(ROTATION)
        overlap, scheme = body.get("overlap_seconds", DAY_SECONDS), body.get("scheme", "v1")
        try:
            made = secrets.rotate(endpoint.tenant_id, endpoint.secret_ref, overlap, asymmetric=scheme == "v1a")
        except (NoKey, BadKey) as error:
            return problem(409, "no-key", str(error))
        # Of a key pair the receiver needs the public half alone; the private one never leaves the platform.
        shown = {"public_key": made.public} if made.public else {"secret": made.text}
        return json_answer({**shown, "former_until_ms": int(made.others_until * 1000)}, 201)

    def shown_of(endpoint: Endpoint, figures: Figures) -> dict[str, Any]:
        met = directory.why_closed(endpoint) or health.why_failing(endpoint.key)
        trouble = {"trouble": troubles.of(met).told(with_advice=True)} if met else {}
        return _shown(endpoint, directory, health, figures) | trouble

    def _found(tenant_id: str, endpoint_id: str) -> Endpoint:
        endpoint = directory.find(tenant_id, endpoint_id)
        if endpoint is None:
            raise Refusal(problem(404, "not-found", "The tenant's document has no such endpoint."))
        return endpoint

    answer_failures(api)
    return api


def tenant_routes(admission: Admission, directory: Directory) -> Blueprint:
    """Make the route that tells which tenants a token may look at."""
    api = Blueprint("tenants", __name__, url_prefix="/v1/tenants")

    @api.get("")
    @described("Tell which tenants a token sees, and what it may.", None, TENANTS)
    def tenants() -> Response:
        holder = admission.principal()
        known = directory.tenant_ids() if holder.tenant == EVERY_TENANT else [holder.tenant]
        seen = [each for each in known if holder.may(Action.READ_CALLS, each)]
        can = [
            action.name.lower() for action in (Action.MANAGE_DELIVERIES, Action.CHANGE_RULES, Action.CHANGE_DOCUMENT)
        ]
        may = [name for name in can if holder.may(Action[name.upper()], holder.tenant)]
        return json_answer({"tenants": seen, "may": may})

    return api


def _shown(endpoint: Endpoint, directory: Directory, health: Health, own: Figures) -> dict[str, Any]:
    return {
        "endpoint_id": endpoint.endpoint_id,
        "kind": endpoint.kind,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "state": _state(endpoint, directory, health),
        "reason": directory.why_closed(endpoint),
        "failing_since_ms": health.failing_since_ms(endpoint.key),
        "keeps_call_order": endpoint.keeps_call_order,
        "batch_events": endpoint.batch.events if endpoint.batch is not None else 0,
        **_told(own),
    }


def _state(endpoint: Endpoint, directory: Directory, health: Health) -> str:
    if endpoint.is_disabled:
        return "disabled"
    if directory.why_closed(endpoint):
        return "closed"
    if health.failing_since_ms(endpoint.key) is not None:
        return "failing"
    return "resting" if health.is_half_open(endpoint.key) else "open"


def _told(figures: Figures) -> dict[str, Any]:
    return {
        "delivered": figures.delivered,
        "failed": figures.failed,
        "dead": figures.dead,
        "success": figures.success,
        "p50_ms": figures.quantile_ms(0.5),
        "p99_ms": figures.quantile_ms(0.99),
    }


def _points(figures: dict[tuple[str, int], Figures], since_ms: int, minutes: int) -> list[dict[str, Any]]:
    """Return figures of the whole time in at most POINTS steps, the empty ones too."""
    step = max(1, -(-minutes // POINTS)) * MINUTE_MS
    steps = {since_ms + number * step: Figures() for number in range(-(-minutes * MINUTE_MS // step))}
    for (_, minute), each in figures.items():
        place = since_ms + (minute - since_ms) // step * step
        if place in steps:
            steps[place].merge(each)
    return [{"from_ms": at, **_told(each)} for at, each in steps.items()]
