"""How the platform proves to an endpoint who it is, where the endpoint's gateway asks for more than a signature."""

from dataclasses import dataclass, field

from services.shared.contracts.ringmaster.v1.tenant_pb2 import OauthClient, WebhookEndpoint


class NoIdentity(Exception):
    """A delivery can't be sent as its endpoint wants it. The message is one sentence for the delivery log."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate of ours and its key, both PEM (mTLS)."""

    certificate: str
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Oauth:
    """Where a token is got for an endpoint, and as whom (client credentials, RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    secret_ref: str
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """What an endpoint asks for beside the signature; nothing, as a rule."""

    certificate_ref: str = ""
    oauth: Oauth | None = None


NOTHING = Proof()


def proof_of(hook: WebhookEndpoint) -> Proof:
    """Return what a tenant's document says of it."""
    if not hook.client_certificate_ref and not hook.HasField("oauth"):
        return NOTHING
    return Proof(hook.client_certificate_ref, _oauth(hook.oauth) if hook.HasField("oauth") else None)


def _oauth(client: OauthClient) -> Oauth:
    return Oauth(client.token_url, client.client_id, client.secret_ref, client.scope)
