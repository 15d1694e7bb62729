import hmac
from collections.abc import Callable

import orjson
from flask import Blueprint, Response, request

from services.shared.chassis.problems import problem
from services.shared.outbound.target import BadUrl
from services.shared.phone_number import is_callable
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.engine import Engine, Failed
from services.webhooks.adapters.connectors.sign_in import NotSignedIn
from services.webhooks.directory import Directory

KEY_PART = "lookup_key"
LEAST_KEY = 16


def lookup_routes(
    engine: Engine, directory: Directory, secrets: ChannelSecrets, connect: Callable[[], EndpointConnection]
) -> Blueprint:
    """Make the route that a flow's `lookup` step asks who is calling, over whatever CRM the tenant has (SPEC 7.5).

    A lookup step sends an address and no headers, so the key stands in it: `lookup_key` of the channel's own secret,
    good for this question about this tenant's customers and nothing else.
    """
    api = Blueprint("lookup", __name__)

    @api.get("/v1/lookup/<tenant_id>/<channel_id>")
    def look_up(tenant_id: str, channel_id: str) -> Response:
        endpoint = directory.find(tenant_id, channel_id)
        known = secrets.text(tenant_id, endpoint.secret_ref, KEY_PART) if endpoint is not None else ""
        given = request.args.get("key", "")
        # The same words for a channel that is not there: nobody learns who is a customer here.
        if len(known) < LEAST_KEY or not hmac.compare_digest(known.encode(), given.encode()):
            return problem(403, "forbidden", "The key is not right for this channel.")
        number = request.args.get("number", "")
        if endpoint is None or endpoint.kind != "crm" or not is_callable(number):
            return _answer({})
        connection = connect()
        try:
            found = engine.look_up(endpoint, number, connection)
        except (Failed, NotSignedIn, BadUrl) as error:
            return problem(502, "crm-unavailable", f"The CRM could not be asked: {error}")
        finally:
            connection.close()
        return _answer({"found": True, **found} if found else {})

    return api


def _answer(found: dict[str, object]) -> Response:
    body = orjson.dumps({"found": False} | found)
    return Response(body, mimetype="application/json", headers={"Cache-Control": "no-store"})
