"""Who somebody is and what he may do (SPEC 5.3): one table for every container that answers people. It does no I/O."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Protocol

EVERY_TENANT: Final = "*"


class BadTokens(ValueError):
    """The file of tokens can't be used. It ends the service at start; the message shows no token."""


class Role(Enum):
    """What somebody is in a company (SPEC 5.3)."""

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    AGENT = "agent"
    ANALYST = "analyst"
    INTEGRATION = "integration"


class Action(Enum):
    """What a route lets somebody do."""

    READ_DOCUMENT = "read the tenant's document"
    CHANGE_DOCUMENT = "change the tenant's document"
    CHANGE_RULES = "change rules"
    READ_LIVE = "see agents and calls"
    ACT_FOR_AGENT = "act for an agent"
    CONTROL_CALL = "control a call"
    SUPERVISE_CALL = "supervise calls"
    READ_PHONE = "read a phone's password"
    READ_CALLS = "read the call log"
    LISTEN = "listen to recordings"
    ASK_CALLBACK = "ask for a callback"
    MANAGE_CALLBACKS = "change callbacks"
    MANAGE_DELIVERIES = "send webhooks again"
    MANAGE_RECORDINGS = "share and hold recordings and see who listened"
    ERASE_PERSON = "erase a person"


_EVERYTHING: Final = frozenset(Action)
_READING: Final = frozenset({Action.READ_DOCUMENT, Action.READ_LIVE, Action.READ_CALLS, Action.LISTEN})
_PERMITTED: Final[dict[Role, frozenset[Action]]] = {
    Role.ADMIN: _EVERYTHING,
    Role.SUPERVISOR: _EVERYTHING - {Action.CHANGE_DOCUMENT, Action.READ_PHONE, Action.ERASE_PERSON},
    # For himself and his own call only; the route says whose it is.
    Role.AGENT: frozenset({Action.ACT_FOR_AGENT, Action.CONTROL_CALL, Action.READ_PHONE, Action.ASK_CALLBACK}),
    Role.ANALYST: _READING,
    Role.INTEGRATION: _READING
    | {
        Action.ACT_FOR_AGENT,
        Action.CONTROL_CALL,
        Action.ASK_CALLBACK,
        Action.MANAGE_CALLBACKS,
        Action.MANAGE_DELIVERIES,
    },
}


def permitted_roles(action: Action) -> list[str]:
    """Return the roles that may do something, for people to read."""
    return [role.value for role in Role if action in _PERMITTED[role]]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who holds a token."""

    tenant: str
    role: Role
    actor: str

    def may(self, action: Action, tenant_id: str) -> bool:
        """Whether the role permits an action on a tenant at all."""
        return self.tenant in (tenant_id, EVERY_TENANT) and action in _PERMITTED[self.role]

    def is_only(self, agent_id: str) -> bool:
        """Whether this one may act for an agent: an agent for himself only."""
        return self.role is not Role.AGENT or self.actor == agent_id


class Holders(Protocol):
    """What knows who holds a token: a file that may be replaced, or a fixed table."""

    def holder(self, token: str) -> Principal | None:
        """Return who holds a token, None for nobody."""


class Tokens:
    """Who holds which token. Only digests are known here, and every comparison takes the same time."""

    def __init__(self, principals: Mapping[str, Principal]) -> None:
        self._principals = dict(principals)

    def holder(self, token: str) -> Principal | None:
        """Return who holds a token."""
        digest = hashlib.sha256(token.encode(errors="replace")).hexdigest()
        found = None
        for known, principal in self._principals.items():
            if hmac.compare_digest(known, digest):
                found = principal
        return found


def tokens_of(document: Any) -> Tokens:
    """Read {"<sha256 hex of a token>": {"tenant", "role", "actor"}}; raise BadTokens."""
    if not isinstance(document, dict):
        raise BadTokens("the tokens must be a JSON object")
    return Tokens(
        {_digest(digest): _principal(entry, number) for number, (digest, entry) in enumerate(document.items())}
    )


def _digest(text: str) -> str:
    if len(text) != hashlib.sha256().digest_size * 2 or not set(text) <= set("0123456789abcdef"):
        raise BadTokens("each name among the tokens must be a SHA-256 digest in lower-case hexadecimal")
    return text


def _principal(entry: Any, number: int) -> Principal:
    names = ("tenant", "role", "actor")
    if not isinstance(entry, dict) or set(entry) != set(names) or not all(isinstance(entry[n], str) for n in names):
        raise BadTokens(f"token {number + 1} must have the texts tenant, role and actor, and nothing else")
    if not entry["tenant"] or not entry["actor"]:
        raise BadTokens(f"token {number + 1} has no tenant or no actor")
    try:
        role = Role(entry["role"])
    except ValueError as error:
        known = ", ".join(role.value for role in Role)
        raise BadTokens(f"token {number + 1} has an unknown role; known are {known}") from error
    if role is Role.AGENT and entry["tenant"] == EVERY_TENANT:
        raise BadTokens(f"token {number + 1} is an agent's and must name one tenant")
    return Principal(entry["tenant"], role, entry["actor"])
