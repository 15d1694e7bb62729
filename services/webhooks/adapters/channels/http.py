"""What channels over HTTP have in common."""

import time
from typing import Any

import orjson

from services.shared.outbound.connection import Answer
from services.shared.outbound.target import target_of
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.ladder import retry_after_seconds
from services.webhooks.domain.outcome import Attempt

KEEP_BYTES = 4_096


def post_json(connection: EndpointConnection, url: str, document: object) -> Answer:
    """Post JSON and keep the beginning of the answer. Raises BadUrl."""
    body = orjson.dumps(document)
    headers = (
        "Content-Type: application/json; charset=utf-8\r\nAccept: application/json\r\n"
        f"User-Agent: Ringmaster-Webhooks/1\r\nContent-Length: {len(body)}\r\n"
    )
    return connection.ask("POST", target_of(url), headers, body, keep_bytes=KEEP_BYTES)


def attempt_of(answer: Answer, error: str, retry_after: float | None = None) -> Attempt:
    """Return how a try ended; `error` says in our words why it did not succeed, and is empty where it did.

    A status that means success elsewhere is none where there is an error.
    """
    asked = retry_after
    if asked is None and answer.retry_after:
        asked = retry_after_seconds(answer.retry_after, time.time())
    status = answer.status if error == "" or answer.status >= 300 else 0  # noqa: PLR2004 - where success ends
    # 410 is a webhook endpoint's word for "never again"; no channel means that by it.
    return Attempt(404 if status == 410 else status, answer.milliseconds, error, asked)  # noqa: PLR2004 - see above


def json_of(answer: Answer) -> dict[str, Any]:
    """Return an answer's JSON object, an empty one where it is something else."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
