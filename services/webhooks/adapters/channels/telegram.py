"""Messages by a Telegram bot: https://core.telegram.org/bots/api#sendmessage."""

import re
from dataclasses import dataclass
from typing import Any, Final

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.outbound.target import BadUrl
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.channels.carrier import read_message
from services.webhooks.adapters.channels.http import attempt_of, json_of, post_json
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import Attempt

BOT_API: Final = "https://api.telegram.org"
_TOKEN: Final = re.compile(r"[0-9]{3,20}:[A-Za-z0-9_-]{10,100}", re.ASCII)
_HINTS: Final = {
    400: "the bot API does not take the message: is the chat's id right?",
    401: "the bot's token is wrong",
    403: "the bot may not write into the chat: add it there again",
    404: "the bot's token is wrong",
}


@dataclass(frozen=True, slots=True)
class Telegram:
    """Sends as the tenant's bot. The text is plain: nothing in it is markup, whoever wrote it.

    The bot API knows no key of idempotency: when its answer is lost, the message comes twice.
    """

    secrets: ChannelSecrets
    bot_api: str = BOT_API

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        """Send the delivery's text."""
        token = self.secrets.text(endpoint.tenant_id, endpoint.secret_ref, "token")
        if not _TOKEN.fullmatch(token):
            return Attempt(0, 0, "the secret store has no bot token for this channel")
        chat_id = endpoint.channel.telegram.chat_id if endpoint.channel else ""
        message = {
            "chat_id": chat_id,
            "text": read_message(delivery)["text"],
            "link_preview_options": {"is_disabled": True},
        }
        try:
            answer = post_json(connection, f"{self.bot_api}/bot{token}/sendMessage", message)
        except BadUrl as error:
            return Attempt(0, 0, str(error))
        document = json_of(answer)
        if answer.status == 200 and document.get("ok") is True:  # noqa: PLR2004 - HTTP's own
            return attempt_of(answer, "")
        asked = document.get("parameters")
        told: dict[str, Any] = asked if isinstance(asked, dict) else {}
        seconds, moved = told.get("retry_after"), told.get("migrate_to_chat_id")
        why = answer.error or _HINTS.get(answer.status) or f"the bot API answered {answer.status}"
        if isinstance(moved, int):
            why = f"the group has become a supergroup: its chat_id is {moved} now"
        return attempt_of(answer, why, float(seconds) if isinstance(seconds, int) and seconds >= 0 else None)
