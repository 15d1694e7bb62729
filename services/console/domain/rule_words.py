"""What is wrong with the meaning of channels and rules: names that lead nowhere, conditions, texts (SPEC 7.4)."""

from collections.abc import Iterator
from typing import Any, Final

from services.console.domain.fault import Fault, path_of
from services.console.domain.rule_schema import CHANNEL_KINDS, TRIGGERS
from services.shared.event_facts import NAMES, PLACES
from services.shared.expressions import BadExpression, Expression
from services.shared.sentence import Sentence, sentence
from services.shared.templates import BadTemplate, Template

Document = dict[str, Any]
At = list[str | int]

SPOKEN: Final = ("telegram", "slack", "email", "sms")
"""Channels for people: they need a text. The others get the event."""
CRM_EVENTS: Final = ("call.ended", "transcript.completed")
"""What every connector knows what to do with."""


def faults_of_rules(document: Document) -> Iterator[Fault]:
    """Yield everything that is wrong with channels and rules of a sound shape."""
    for index, channel in enumerate(document.get("channels", ())):
        yield from _channel(channel, ["channels", index], document)
    for index, rule in enumerate(document.get("rules", ())):
        at: At = ["rules", index]
        yield from _names(rule, at, document)
        yield from _trigger(rule, at)
        yield from _name(rule, at, document)
        yield from _condition(rule, at)
        for number, action in enumerate(rule["actions"]):
            yield from _action(action, [*at, "actions", number], rule, document)


def _channel(channel: Document, at: At, document: Document) -> Iterator[Fault]:
    kinds = [kind for kind in CHANNEL_KINDS if kind in channel]
    if len(kinds) != 1:
        yield Fault(path_of(at), sentence("must have exactly one of {choices}.", choices=", ".join(CHANNEL_KINDS)))
        return
    if channel["channel_id"] in {hook["endpoint_id"] for hook in document.get("webhooks", ())}:
        yield Fault(
            path_of([*at, "channel_id"]),
            sentence("{name} is a webhook endpoint's id already.", name=channel["channel_id"]),
        )
    if kinds[0] != "feed" and "secret_ref" not in channel and kinds[0] != "email":
        yield Fault(path_of([*at, "secret_ref"]), sentence("is missing: it names the token in the secret store."))
    if "sms" in channel and ("gateway" in channel["sms"]) == ("smpp" in channel["sms"]):
        yield Fault(
            path_of([*at, "sms"]), sentence("needs either gateway, the name of one, or smpp, a message centre.")
        )
    if channel.get("events") and kinds[0] in SPOKEN:
        yield Fault(path_of([*at, "events"]), sentence("is for feeds and CRMs: people get messages by rules."))


def _names(rule: Document, at: At, document: Document) -> Iterator[Fault]:
    schedules = {one["schedule_id"] for one in document.get("schedules", ())}
    if "schedule_id" in rule and rule["schedule_id"] not in schedules:
        yield Fault(path_of([*at, "schedule_id"]), sentence("there is no schedule {name}.", name=rule["schedule_id"]))
    queues = {queue["queue_id"] for queue in document["queues"]}
    for trigger in ("wait", "kpi"):
        queue_id = rule.get(trigger, {}).get("queue_id")
        if queue_id is not None and queue_id not in queues:
            yield Fault(path_of([*at, trigger, "queue_id"]), sentence("there is no queue {name}.", name=queue_id))


def _trigger(rule: Document, at: At) -> Iterator[Fault]:
    given = [trigger for trigger in TRIGGERS if trigger in rule]
    if len(given) > 1:
        yield Fault(
            path_of(at), sentence("has {first} and {other}: make a rule for each.", first=given[0], other=given[1])
        )
    watches_itself = bool({"wait", "kpi"} & set(given))
    if watches_itself and rule.get("events"):
        itself = sentence("a rule with {trigger} chooses its events itself: leave them out.", trigger=given[0])
        yield Fault(path_of([*at, "events"]), itself)
    if not watches_itself and not rule.get("events"):
        yield Fault(path_of([*at, "events"]), sentence("is missing: say on which events, for example call.lost."))
    kpi = rule.get("kpi")
    if kpi and ("at_least" in kpi) == ("at_most" in kpi):
        yield Fault(path_of([*at, "kpi"]), sentence("needs either at_least or at_most."))


def _name(rule: Document, at: At, document: Document) -> Iterator[Fault]:
    """Name a rule whose own events could not be told from those of a norm."""
    norms = {norm["kpi_id"] for norm in document.get("kpis", ())}
    if rule["rule_id"] in norms and {"wait", "kpi"} & set(rule):
        mixed = sentence("{name} is a norm of kpis already: its events would be mixed up.", name=rule["rule_id"])
        yield Fault(path_of([*at, "rule_id"]), mixed)


def _condition(rule: Document, at: At) -> Iterator[Fault]:
    if "condition" not in rule:
        return
    try:
        Expression(rule["condition"], NAMES)
    except BadExpression as error:
        yield Fault(path_of([*at, "condition"]), error.sentence)


def _action(action: Document, at: At, rule: Document, document: Document) -> Iterator[Fault]:
    kinds = {
        channel["channel_id"]: next((kind for kind in CHANNEL_KINDS if kind in channel), "")
        for channel in document.get("channels", ())
    } | {hook["endpoint_id"]: "webhook" for hook in document.get("webhooks", ())}
    kind = kinds.get(action["to"])
    if kind is None:
        nowhere = sentence("there is no channel and no webhook endpoint {name}.", name=action["to"])
        yield Fault(path_of([*at, "to"]), nowhere)
        return
    if kind in SPOKEN and "text" not in action:
        yield Fault(path_of([*at, "text"]), sentence("is missing: say what is sent."))
    if kind == "crm" and "text" not in action and not _taken_as_they_are(action["to"], rule, document):
        words = "is missing: a CRM takes {taken} as they are, and of other events a task with this text."
        yield Fault(path_of([*at, "text"]), sentence(words, taken=", ".join(CRM_EVENTS)))
    if kind == "email" and "subject" not in action:
        yield Fault(path_of([*at, "subject"]), sentence("is missing: a mail has one."))
    if action["to"] in _to_the_caller(document) and rule.get("events") != ["message.requested"]:
        words = "channel {name} names no recipients: only message.requested says a caller's mail address."
        yield Fault(path_of([*at, "to"]), sentence(words, name=action["to"]))
    for field in ("subject", "text"):
        if field in action:
            yield from _text(action[field], [*at, field])


def _taken_as_they_are(channel_id: str, rule: Document, document: Document) -> bool:
    """Whether a CRM's connector takes all of a rule's events: the usual ones, and what its channel lists."""
    listed = [one.get("events", ()) for one in document["channels"] if one["channel_id"] == channel_id]
    events = rule.get("events", ())
    return bool(events) and set(events) <= {*CRM_EVENTS, *(event for events in listed for event in events)}


def _to_the_caller(document: Document) -> set[str]:
    """Return the mail channels that answer to the caller, having no recipients of their own."""
    channels = document.get("channels", ())
    return {one["channel_id"] for one in channels if "email" in one and not one["email"].get("recipients")}


def _text(text: str, at: At) -> Iterator[Fault]:
    try:
        Template(text, PLACES)
    except BadTemplate as error:
        yield Fault(path_of(at), _short(error.sentence))


def _short(said: Sentence) -> Sentence:
    """Leave out all places that there are: they would fill a page."""
    return sentence("There is no {{{place}}}.", place=said.values["place"]) if "known" in said.values else said
