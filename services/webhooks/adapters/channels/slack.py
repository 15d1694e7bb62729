"""Messages by an incoming webhook of Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""

from dataclasses import dataclass
from typing import Final

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.outbound.target import BadUrl
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.channels.carrier import read_message
from services.webhooks.adapters.channels.http import attempt_of, post_json
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import Attempt

_HINTS: Final = {
    400: "Slack does not take the message",
    403: "Slack forbids this webhook: make a new one",
    404: "Slack does not know this webhook any more: make a new one",
    410: "the channel in Slack is archived",
}


@dataclass(frozen=True, slots=True)
class Slack:
    """Posts to an incoming webhook, whose address is the secret.

    Slack reads three signs as its own (https://docs.slack.dev/messaging/formatting-message-text): they are escaped, so
    no caller's name calls a whole channel. All else is plain, as in Telegram: a name of stars is no heading.
    """

    secrets: ChannelSecrets

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        """Send the delivery's text."""
        url = self.secrets.text(endpoint.tenant_id, endpoint.secret_ref, "url")
        if not url:
            return Attempt(0, 0, "the secret store has no address of Slack for this channel")
        text = escaped(read_message(delivery)["text"])
        message = {"text": text, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}
        try:
            answer = post_json(connection, url, message)
        except BadUrl as error:
            return Attempt(0, 0, str(error))
        if answer.status == 200 and answer.body == b"ok":  # noqa: PLR2004 - HTTP's own
            return attempt_of(answer, "")
        return attempt_of(answer, answer.error or _HINTS.get(answer.status) or f"Slack answered {answer.status}")


def escaped(text: str) -> str:
    """Return text in which nothing is Slack's markup of names and links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
