"""The delivery log: what was sent where, how each try ended, and sending it again."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import gevent
import orjson
from flask import Blueprint, Response, request
from gevent.event import Event as Flag

from services.shared.access import Action
from services.shared.bus.errors import BusUnavailable
from services.shared.chassis.admission import Admission, Refusal
from services.shared.chassis.clock import Clock
from services.shared.chassis.description import described
from services.shared.chassis.event_stream import BEAT, BEAT_SECONDS, EVENT_STREAM, StreamMetrics, Streams
from services.shared.chassis.problems import problem
from services.webhooks import metrics
from services.webhooks.api.answers import json_answer, number_argument, text_argument
from services.webhooks.api.models import BODY, DELIVERIES, DELIVERY, LATEST_MS, MOST_LISTED, PAGED, SEARCH, SENT
from services.webhooks.directory import Directory
from services.webhooks.domain.journal import STATES, Figures, Search
from services.webhooks.domain.masking import BodyPolicy, shown_payload
from services.webhooks.domain.trouble import Troubles
from services.webhooks.redelivery import NotKept, Redelivery
from services.webhooks.waiting import StoreUnavailable

AWAY: Final = frozenset({503})
"""The store, the broker or this process."""
MOST_STREAMS: Final = 100
MOST_STREAMS_OF_TENANT: Final = 50
LOOK_SECONDS: Final = 1.0
OVERLAP_MS: Final = 3_000


class Journal(Protocol):
    """Where the delivery log is read."""

    def find(self, tenant_id: str, search: Search, limit: int, before: tuple[int, str] | None) -> list[dict[str, Any]]:
        """Return deliveries, newest first. Raises StoreUnavailable."""

    def one(self, tenant_id: str, delivery_id: str) -> dict[str, Any] | None:
        """Return one with its tries. Raises StoreUnavailable."""

    def states(self, tenant_id: str, delivery_ids: Sequence[str]) -> dict[str, str]:
        """Return the states of those deliveries that are known. Raises StoreUnavailable."""

    def figures(self, tenant_id: str, since_ms: int) -> dict[tuple[str, int], Figures]:
        """Return figures by endpoint and minute. Raises StoreUnavailable."""


def delivery_routes(
    admission: Admission,
    journal: Journal,
    redelivery: Redelivery,
    directory: Directory,
    policy: BodyPolicy,
    clock: Clock,
    troubles: Troubles,
    stopping: Flag,
) -> Blueprint:
    """Make the routes."""
    api = Blueprint("deliveries", __name__, url_prefix="/v1/deliveries")
    told = StreamMetrics(metrics.STREAMS, metrics.STREAMS_REFUSED, metrics.SLOW_READERS)
    streams = Streams(MOST_STREAMS, MOST_STREAMS_OF_TENANT, told)
    following = _Following(journal, clock, troubles)

    @api.get("")
    @described("Find deliveries, newest first.", Action.READ_CALLS, DELIVERIES, query=SEARCH | PAGED, fails=AWAY)
    def found() -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        limit = number_argument("limit", 1, MOST_LISTED, 50)
        deliveries = journal.find(tenant_id, _search(), limit, _cursor())
        answer: dict[str, Any] = {"deliveries": [_explained(one, troubles) for one in deliveries]}
        if len(deliveries) == limit:
            answer["cursor"] = f"{deliveries[-1]['updated_ms']}~{deliveries[-1]['delivery_id']}"
        return json_answer(answer)

    @api.get("/stream")
    @described("Follow the log.", Action.READ_CALLS, EVENT_STREAM, query=SEARCH, fails=AWAY)
    def stream() -> Response:
        tenant_id, search = admission.tenant(Action.READ_CALLS), _search()
        return streams.answer(tenant_id, following.frames(tenant_id, search, stopping))

    @api.get("/<delivery_id>")
    @described("Show a delivery with its tries.", Action.READ_CALLS, DELIVERY, fails=AWAY | {404})
    def one(delivery_id: str) -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        known = _found(journal, tenant_id, delivery_id)
        tries = [_explained(each, troubles) for each in known.get("attempts", ())]
        return json_answer(_explained(known, troubles, with_advice=True) | ({"attempts": tries} if tries else {}))

    @api.get("/<delivery_id>/body")
    @described("Show what was sent, masked by policy.", Action.READ_CALLS, BODY, fails=AWAY | {404, 410})
    def body(delivery_id: str) -> Response:
        tenant_id = admission.tenant(Action.READ_CALLS)
        known = _found(journal, tenant_id, delivery_id)
        if policy is BodyPolicy.NONE:
            return problem(403, "forbidden", "Bodies are not shown here (RINGMASTER_WEBHOOK_LOG_BODIES).")
        sent = redelivery.sent(tenant_id, known["endpoint_id"], delivery_id, known.get("position", 0))
        return json_answer({"body": shown_payload(sent.payload, policy), "policy": policy.value})

    @api.post("/<delivery_id>/redeliver")
    @described("Send a delivery again.", Action.MANAGE_DELIVERIES, SENT, status=202, fails=AWAY | {404, 409, 410})
    def redeliver(delivery_id: str) -> Response:
        tenant_id = admission.tenant(Action.MANAGE_DELIVERIES)
        known = _found(journal, tenant_id, delivery_id)
        endpoint = directory.find(tenant_id, known["endpoint_id"])
        if endpoint is None or not directory.is_open(endpoint):
            why = "is not there any more" if endpoint is None else directory.why_closed(endpoint) or "is switched off"
            return problem(409, "endpoint-closed", f"Its endpoint takes nothing: {why}.")
        sent = redelivery.sent(tenant_id, known["endpoint_id"], delivery_id, known.get("position", 0))
        if not redelivery.again(sent):
            return problem(503, "unavailable", "The service stops; ask again.")
        return json_answer({"delivery_id": delivery_id}, 202)

    answer_failures(api)
    return api


def _explained(entry: dict[str, Any], troubles: Troubles, *, with_advice: bool = False) -> dict[str, Any]:
    """Return an entry of the log with what it met in two languages beside the sentence that was kept."""
    if not entry.get("error"):
        return entry
    return entry | {"trouble": troubles.of(entry["error"]).told(with_advice=with_advice)}


def answer_failures(api: Blueprint) -> None:
    """Answer what the store, the broker and the log can't give."""

    @api.errorhandler(StoreUnavailable)
    def store_away(error: StoreUnavailable) -> Response:
        return problem(503, "unavailable", str(error))

    @api.errorhandler(BusUnavailable)
    def broker_away(error: BusUnavailable) -> Response:
        return problem(503, "unavailable", str(error))

    @api.errorhandler(NotKept)
    def not_kept(error: NotKept) -> Response:
        return problem(410, "not-kept", str(error))


def _found(journal: Journal, tenant_id: str, delivery_id: str) -> dict[str, Any]:
    known = journal.one(tenant_id, delivery_id)
    if known is None:
        raise Refusal(problem(404, "not-found", "There is no such delivery; its first try may be under way."))
    return known


def _search() -> Search:
    state = text_argument("state")
    if state and state not in STATES:
        raise Refusal(problem(400, "bad-parameters", f"state is one of {', '.join(STATES)}."))
    return Search(
        text_argument("endpoint"),
        text_argument("type"),
        state,
        text_argument("call"),
        number_argument("since_ms", 0, LATEST_MS, 0),
        number_argument("until_ms", 0, LATEST_MS, 0),
    )


def _cursor() -> tuple[int, str] | None:
    cursor = request.args.get("cursor")
    if cursor is None:
        return None
    moment, _, last = cursor[: 2 * MOST_LISTED].partition("~")
    if not moment.isascii() or not moment.isdigit() or not last:
        raise Refusal(problem(400, "bad-parameters", "cursor is what the page before says."))
    return min(int(moment), LATEST_MS), last


@dataclass(frozen=True, slots=True)
class _Following:
    """Looks for what is new. Every process writes the log, so it is the log that is asked, second by second."""

    journal: Journal
    clock: Clock
    troubles: Troubles

    def frames(self, tenant_id: str, search: Search, stopping: Flag) -> Generator[bytes]:
        """Yield what changed, as server-sent events."""
        yield b"retry: 2000\n\n"
        since, told, quiet = self.clock.now_ms(), set[tuple[str, int]](), 0.0
        while not stopping.is_set():
            # What one process writes may be a little older than what another has written already.
            found = self._found(tenant_id, replace(search, since_ms=since - int(OVERLAP_MS * self.clock.speed)))
            fresh = [one for one in found if (one["delivery_id"], one["updated_ms"]) not in told]
            told = {(one["delivery_id"], one["updated_ms"]) for one in found}
            since = max([since, *(one["updated_ms"] for one in found)])
            if fresh:
                explained = [_explained(one, self.troubles) for one in fresh]
                yield b"data: " + orjson.dumps({"deliveries": explained}) + b"\n\n"
            quiet = 0.0 if fresh else quiet + LOOK_SECONDS
            if quiet >= BEAT_SECONDS:
                quiet = 0.0
                yield BEAT
            gevent.sleep(LOOK_SECONDS)

    def _found(self, tenant_id: str, search: Search) -> list[dict[str, Any]]:
        try:
            return self.journal.find(tenant_id, search, MOST_LISTED, None)
        except StoreUnavailable:
            return []
