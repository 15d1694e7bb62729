from flask import Blueprint, Response
from gevent.event import Event as Flag

from services.shared.access import EVERY_TENANT, Action
from services.shared.chassis.event_stream import event_stream
from services.shared.chassis.problems import problem
from services.stats.api.admission import Admission
from services.stats.api.calls import json_answer
from services.stats.domain.board import Board
from services.stats.feed import Feed, TooManyStreams

RETRY_AFTER_SECONDS = 10


def live_routes(admission: Admission, board: Board, feed: Feed, stopping: Flag) -> Blueprint:
    """Make the routes of the live numbers."""
    api = Blueprint("live", __name__, url_prefix="/v1/live")

    @api.get("")
    def live() -> Response:
        return json_answer(feed.view(admission.tenant(Action.READ_LIVE)))

    @api.get("/tenants")
    def tenants() -> Response:
        holder = admission.principal()
        known = board.tenant_ids() if holder.tenant == EVERY_TENANT else [holder.tenant]
        seen = [each for each in known if holder.may(Action.READ_LIVE, each)]
        return json_answer({"tenants": [{"id": each, "name": board.name_of(each)} for each in seen]})

    @api.get("/stream")
    def stream() -> Response:
        tenant_id = admission.tenant(Action.READ_LIVE)
        try:
            frames = feed.stream(tenant_id, stopping)
        except TooManyStreams as error:
            answer = problem(503, "too-many-streams", f"{error}.")
            answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
            return answer
        return event_stream(frames)

    return api
