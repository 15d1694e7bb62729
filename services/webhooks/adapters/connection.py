import time
from typing import Any

from services.shared.outbound.connection import Answer, OutboundConnection
from services.shared.outbound.dial import Outside
from services.shared.outbound.target import Target
from services.webhooks.domain.ladder import retry_after_seconds
from services.webhooks.domain.masking import BodyPolicy, shown_answer
from services.webhooks.domain.outcome import HTTP_REDIRECT, Attempt

# The status decides; a body that drips keeps its endpoint's other deliveries waiting no longer than this.
BODY_SECONDS = 0.25


class EndpointConnection:
    """Posts to one endpoint at a time and keeps the connection between posts. Used by one greenlet."""

    def __init__(self, outside: Outside, kept_bytes: int = 0, policy: BodyPolicy = BodyPolicy.MASKED) -> None:
        """Keep the beginning of what a failed try answered, as policy shows it."""
        self._connection = OutboundConnection(outside)
        self._kept_bytes = kept_bytes
        self._policy = policy

    def post(
        self, target: Target, headers: str, body: bytes, *, total_seconds: float = 0.0, tls: Any = None
    ) -> Attempt:
        """Send one request and wait for its answer. Never raises for what the far side does.

        `headers` are ASCII lines of ours, each ended by CR LF.
        """
        answer = self._connection.request(
            "POST",
            target,
            headers,
            body,
            keep_bytes=self._kept_bytes,
            total_seconds=total_seconds,
            body_seconds=BODY_SECONDS,
            tls=tls,
        )
        error, asked, shown = answer.error, answer.retry_after, ""
        if answer.status >= HTTP_REDIRECT:
            error = f"the endpoint answered {answer.status}"
            shown = shown_answer(answer.body, self._policy)
        retry_after = retry_after_seconds(asked, time.time()) if asked else None
        return Attempt(answer.status, answer.milliseconds, error, retry_after, shown)

    def ask(self, method: str, target: Target, headers: str, body: bytes, *, keep_bytes: int) -> Answer:
        """Send one request and keep the beginning of its answer. Never raises for what the far side does."""
        return self._connection.request(method, target, headers, body, keep_bytes=keep_bytes)

    def close(self) -> None:
        """End the connection; the next post makes a new one."""
        self._connection.close()
