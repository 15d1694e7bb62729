import base64
import re
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import gevent
import orjson
import structlog

from services.shared.contracts.ringmaster.v1.delivery_pb2 import Delivery
from services.shared.event_facts import one_line
from services.shared.outbound.connection import Answer
from services.shared.outbound.target import BadUrl, target_of
from services.shared.phone_number import is_callable
from services.webhooks.adapters.channel_secrets import ChannelSecrets
from services.webhooks.adapters.channels.http import attempt_of
from services.webhooks.adapters.connection import EndpointConnection
from services.webhooks.adapters.connectors.sign_in import NotSignedIn, Tokens, is_refreshed
from services.webhooks.domain.connectors.call_facts import facts_for
from services.webhooks.domain.connectors.description import RULE_FLOW, Connector, Limit, Operation
from services.webhooks.domain.connectors.filling import PLACE, filled, filled_address, found_at
from services.webhooks.domain.endpoint import Endpoint
from services.webhooks.domain.outcome import HTTP_OK, HTTP_REDIRECT, HTTP_TOO_MANY, HTTP_UNAUTHORIZED, Attempt
from services.webhooks.waiting import StoreUnavailable

KEEP_BYTES: Final = 64 * 1024
HIDDEN: Final = "is_hidden"
"""Known of a call: its number was hidden, so that nothing of it is in the CRM."""
OWNER: Final = "owner_id"
"""The CRM's user who has a contact, where a connector keeps it."""
RESPONSIBLE: Final = "responsible"
"""The setting that says which of the CRM's users stands in for agents who have none there."""
Values = dict[str, Any]

log = structlog.get_logger()


class Steps(Protocol):
    """What is known of deliveries under way, so that a try goes on where the one before it ended."""

    def load(self, key: str) -> Values:
        """Return what is known. Raises StoreUnavailable."""

    def save(self, key: str, known: Values) -> None:
        """Keep it for some days. Raises StoreUnavailable."""


class Failed(Exception):
    """An operation did not succeed; the attempt says why."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(attempt.error)
        self.attempt = attempt


@dataclass(slots=True)
class Rate:
    """Keeps one connection below what its interface allows: so many requests in so many seconds of real time."""

    requests: int
    seconds: float
    _sent: deque[float] = field(default_factory=deque)

    def wait(self) -> None:
        """Wait until one more request is allowed, and count it."""
        now = time.monotonic()
        while len(self._sent) >= self.requests:
            left = self._sent[0] + self.seconds - now
            if left > 0:
                gevent.sleep(left)
                now = time.monotonic()
            else:
                self._sent.popleft()
        self._sent.append(now)


@dataclass(frozen=True, slots=True)
class _Session:
    """One run of a connector's operations."""

    connector: Connector
    endpoint: Endpoint
    values: Values
    connection: EndpointConnection


@dataclass(slots=True)
class Engine:
    """Carries out what connectors' files describe; knows no CRM by name (SPEC 7.5).

    Each operation finds before it makes, or makes under an id of ours. So a delivery that is tried again, by this
    process or by the next one after a kill, does what is missing and nothing twice.
    """

    library: Mapping[str, Connector]
    secrets: ChannelSecrets
    tokens: Tokens
    steps: Steps
    recording_link: str = ""
    _rates: dict[str, Rate] = field(default_factory=dict)

    def carry(self, delivery: Delivery, endpoint: Endpoint, connection: EndpointConnection) -> Attempt:
        """Bring an event into the tenant's CRM."""
        began = time.monotonic()
        try:
            payload = orjson.loads(delivery.payload)
            crm = endpoint.channel.crm if endpoint.channel else None
            connector = self._connector(crm.connector if crm else "")
            facts = facts_for(payload, dict(crm.users) if crm else {}, self.recording_link)
            facts["rule"]["id"] = delivery.delivery_id
            session = self._session(connector, endpoint, facts, connection)
            note = self._bring(session, delivery)
        except Failed as failure:
            return failure.attempt
        except NotSignedIn as error:
            return Attempt(error.status, _elapsed_ms(began), str(error), error.retry_after)
        except (BadUrl, orjson.JSONDecodeError) as error:
            return Attempt(0, _elapsed_ms(began), str(error))
        return Attempt(HTTP_OK, _elapsed_ms(began), note)

    def _bring(self, session: _Session, delivery: Delivery) -> str:
        """Do what an event asks for, or a rule's text; return why nothing was to be done, where that is so.

        Who hides the number is nobody that a CRM could know.
        """
        call, connector = session.values["call"], session.connector
        kind = RULE_FLOW if session.values["rule"]["text"] else delivery.event_type
        call_key = f"{session.endpoint.key}/call/{call['id']}" if call["id"] else ""
        if not is_callable(call["customer"]) and kind in (RULE_FLOW, "call.ended"):
            if kind == "call.ended" and call_key:
                self._save(call_key, {HIDDEN: True})
            return "nothing was done: the event has no customer's number"
        if kind not in connector.flows:
            return f"nothing was done: {connector.title}'s connector has no flow for {kind}"
        # What has no customer in it goes by the call's id: of a hidden call nothing was logged that it could go to.
        known = self._load(call_key)
        if known.get(HIDDEN):
            return "nothing was done: the call has no customer's number"
        key = f"{session.endpoint.key}/{delivery.delivery_id}"
        self._run(session, connector.flows[kind], key, call_key if connector.remember else "")
        return ""

    def send(
        self, name: str, endpoint: Endpoint, message: Mapping[str, str], connection: EndpointConnection
    ) -> Attempt | None:
        """Send one message over a gateway; None when it is sent, also by an earlier try."""
        key = f"{endpoint.key}/{message['id']}/{message['to']}"
        try:
            connector = self._connector(name)
            values: Values = {"message": dict(message), "settings": {}, "known": {}}
            session = _Session(connector, endpoint, values, connection)
            if "sent" in self._load(key):
                return None
            self._run(session, connector.flows["message"], "")
        except Failed as failure:
            return failure.attempt
        except NotSignedIn as error:
            return Attempt(error.status, 0, str(error), error.retry_after)
        except BadUrl as error:
            return Attempt(0, 0, str(error))
        self._save(key, {"sent": message["to"]})
        return None

    def look_up(self, endpoint: Endpoint, number: str, connection: EndpointConnection) -> dict[str, Any]:
        """Return what the CRM knows of a number: contact_id, contact_name, contact_url, agent as far as it has them.

        `agent` is ours whom the CRM has as the contact's owner. Raises Failed, NotSignedIn, BadUrl.
        """
        crm = endpoint.channel.crm if endpoint.channel else None
        connector = self._connector(crm.connector if crm else "")
        payload = {"data": {"caller": {"number": number}}}
        session = self._session(connector, endpoint, facts_for(payload, {}, ""), connection)
        self._run(session, connector.screen_pop, "")
        known: dict[str, Any] = session.values["known"]
        if known:
            agents = {user: agent for agent, user in (crm.users.items() if crm else ())}
            owner = agents.get(str(known.get(OWNER, "")), "")
            known |= _links_of(session) | ({"agent": owner} if owner else {})
        return {name: one_line(value) if isinstance(value, str) else value for name, value in known.items()}

    def _connector(self, name: str) -> Connector:
        connector = self.library.get(name)
        if connector is None:
            raise Failed(Attempt(0, 0, f"there is no connector {name[:40]}"))
        return connector

    def _session(
        self, connector: Connector, endpoint: Endpoint, facts: Values, connection: EndpointConnection
    ) -> _Session:
        given = dict(endpoint.channel.crm.settings) if endpoint.channel else {}
        settings = settings_of(connector, given)
        facts["call"]["user"] = facts["call"]["user"] or settings.get(RESPONSIBLE, "")
        return _Session(connector, endpoint, facts | {"settings": settings, "known": {}}, connection)

    def _run(self, session: _Session, steps: Sequence[str], key: str, call_key: str = "") -> None:
        """Do what is due of these steps, and keep what is found under the delivery's key and its call's."""
        known: dict[str, Any] = session.values["known"]
        known |= self._load(call_key) | self._load(key)
        for step in steps:
            operation = session.connector.operations[step]
            if not _is_due(operation, session.values):
                continue
            found = self._perform(operation, session)
            if operation.must and operation.must not in found and operation.must not in known:
                raise Failed(Attempt(0, 0, f"the CRM does not have it yet: {step} found nothing"))
            if found:
                known |= found
                self._save(key, known)
            if call_key and (of_call := {name: found[name] for name in session.connector.remember if name in found}):
                self._save(call_key, self._load(call_key) | of_call)

    def _perform(self, operation: Operation, session: _Session) -> dict[str, Any]:
        answer = self._ask(operation, session)
        if answer.status in operation.nothing:
            return {}
        document, wish = _read(answer, session.connector), operation.is_one_of
        refused = bool(wish) and found_at(wish["at"], document) not in wish["values"]
        if not HTTP_OK <= answer.status < HTTP_REDIRECT or refused:
            raise Failed(_refusal(answer, document, operation, session.connector))
        if operation.pick:
            document = _picked(operation, document, session)
        found = {name: found_at(path, document) for name, path in operation.keep.items()}
        return {name: value for name, value in found.items() if isinstance(value, str | int) and value != ""}

    def _ask(self, operation: Operation, session: _Session) -> Answer:
        connector, endpoint = session.connector, session.endpoint
        secret = self.secrets.all_of(endpoint.tenant_id, endpoint.secret_ref)
        session.values["account"] = {"user": secret.get("user", "")}
        if connector.sign_in.kind == "basic":
            return self._send(operation, session, _basic(secret))
        token_url = filled_address(connector.sign_in.token_url, session.values, connector.maps)
        token = self.tokens.access(endpoint.key, connector.sign_in, token_url, secret, session.connection)
        answer = self._send(operation, session, token)
        if answer.status == HTTP_UNAUTHORIZED and is_refreshed(connector.sign_in, secret):
            self.tokens.forget(endpoint.key, token)
            token = self.tokens.access(endpoint.key, connector.sign_in, token_url, secret, session.connection)
            answer = self._send(operation, session, token)
        return answer

    def _send(self, operation: Operation, session: _Session, token: str) -> Answer:
        connector, values = session.connector, session.values
        address = filled_address(connector.base + operation.address, values, connector.maps)
        lines = {"Accept": "application/json", "User-Agent": "Ringmaster-Webhooks/1"}
        if connector.sign_in.place:
            address += ("&" if "?" in address else "?") + urlencode({connector.sign_in.place: token})
        else:
            header = "Basic" if connector.sign_in.kind == "basic" else connector.sign_in.header
            lines["Authorization"] = f"{header} {token}"
        body = b""
        if operation.body is not None:
            document = filled(operation.body, values, connector.maps)
            body = urlencode(document).encode() if operation.is_form else orjson.dumps(document)
            lines["Content-Type"] = "application/x-www-form-urlencoded" if operation.is_form else "application/json"
        if operation.method != "GET":
            lines["Content-Length"] = str(len(body))
        headers = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        rate = self._rates.setdefault(session.endpoint.key, Rate(connector.requests, connector.seconds))
        rate.wait()
        return session.connection.ask(operation.method, target_of(address), headers, body, keep_bytes=KEEP_BYTES)

    def _load(self, key: str) -> dict[str, Any]:
        try:
            return self.steps.load(key) if key else {}
        except StoreUnavailable as error:
            # Each operation looks before it makes: without this memory it only takes longer.
            log.warning("steps_not_read", reason=str(error))
            return {}

    def _save(self, key: str, known: dict[str, Any]) -> None:
        try:
            if key:
                self.steps.save(key, known)
        except StoreUnavailable as error:
            log.warning("steps_not_kept", reason=str(error))


def _refusal(answer: Answer, document: Any, operation: Operation, connector: Connector) -> Attempt:
    """Return a failed try; what an interface says in its own way of too many requests counts as 429 with its wait."""
    limit = next((one for one in connector.limits if _is_said(one, answer, document)), None)
    why = answer.error or f"{connector.title} answered {answer.status} to {operation.name}"
    if limit is None:
        return attempt_of(answer, why)
    attempt = attempt_of(answer, f"{connector.title} takes no more requests for a while")
    return replace(attempt, status=HTTP_TOO_MANY, retry_after=max(limit.wait, attempt.retry_after or 0.0))


def _is_said(limit: Limit, answer: Answer, document: Any) -> bool:
    return answer.status == limit.status and (not limit.at or found_at(limit.at, document) in limit.values)


def _links_of(session: _Session) -> dict[str, str]:
    """Return the addresses whose every place has a value."""
    values, maps = session.values, session.connector.maps
    return {
        name: filled_address(address, values, maps)
        for name, address in session.connector.links.items()
        if all(found_at(path, values) not in (None, "") for path, _ in PLACE.findall(address))
    }


def _basic(secret: Mapping[str, str]) -> str:
    """Return user and password as RFC 7617 has them."""
    if not secret.get("user"):
        raise NotSignedIn("the secret store has no user for this connection")
    return base64.b64encode(f"{secret['user']}:{secret.get('password', '')}".encode()).decode()


def settings_of(connector: Connector, given: Mapping[str, str]) -> dict[str, str]:
    """Return a connection's settings. Raises Failed for one that is missing or not of its form."""
    found = {}
    for name, wish in connector.settings.items():
        value = given.get(name) or wish.get("default", "")
        if not re.fullmatch(wish["pattern"], value, re.ASCII):
            raise Failed(Attempt(0, 0, f"the setting {name} of this connection is missing or wrong: {wish['about']}"))
        found[name] = value
    return found


def _is_due(operation: Operation, values: Values) -> bool:
    known = values["known"]
    if operation.unless and operation.unless in known:
        return False
    if any(name not in known for name in operation.needs):
        return False
    return not operation.only_if or bool(found_at(operation.only_if, values))


def _picked(operation: Operation, document: Any, session: _Session) -> Any:
    """Return the one of a list that is ours, an empty mapping where none is."""
    entries = found_at(operation.pick["in"], document)
    wanted = filled(operation.pick["equals"], session.values, session.connector.maps)
    for entry in entries if isinstance(entries, list) else []:
        if found_at(operation.pick["where"], entry) == wanted:
            return entry
    return {}


def _read(answer: Answer, connector: Connector) -> Any:
    """Return an answer's JSON, an empty mapping for none. Raises Failed: half an answer must not pass for "nothing"."""
    if answer.status and not answer.is_complete:
        raise Failed(attempt_of(answer, f"{connector.title} sent an answer that is too long or broke off"))
    try:
        return orjson.loads(answer.body) if answer.body.strip() else {}
    except orjson.JSONDecodeError as error:
        if HTTP_OK <= answer.status < HTTP_REDIRECT:
            raise Failed(attempt_of(answer, f"{connector.title} sent an answer that is not JSON")) from error
        return {}


def _elapsed_ms(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


class MemorySteps:
    """The same contract in memory, for tests."""

    def __init__(self) -> None:
        self.kept: dict[str, Values] = {}

    def load(self, key: str) -> Values:
        """Return what is known."""
        return dict(self.kept.get(key, {}))

    def save(self, key: str, known: Values) -> None:
        """Keep it."""
        self.kept[key] = dict(known)
