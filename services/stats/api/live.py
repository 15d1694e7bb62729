from flask import Blueprint, Response
from gevent.event import Event as Flag

from services.shared.access import EVERY_TENANT, Action
from services.stats.api.admission import Admission
from services.stats.api.calls import json_answer
from services.stats.domain.board import Board
from services.stats.feed import Feed


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
        return feed.streams.answer(tenant_id, feed.frames(tenant_id, stopping))

    return api
