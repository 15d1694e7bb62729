"""What flows say and calculate: variables, conditions, texts, prompts, each fault with its path (SPEC 2.2)."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, Final

from services.console.domain.fault import Fault, path_of
from services.console.domain.url import complaint_about_url
from services.shared.contracts.ringmaster.v1.tenant_pb2 import FlowFacts
from services.shared.expressions import BadExpression, Expression
from services.shared.mail_address import is_address
from services.shared.templates import BadTemplate, Template

Document = dict[str, Any]
At = list[str | int]

VARIABLES: Final = "vars"
MOST_CALCULATED: Final = 5_000
"""Conditions and texts of one document: compiling them takes a part of a second."""
_FACTS: Final = frozenset(FlowFacts.DESCRIPTOR.fields_by_name)
BUNDLED: Final = frozenset({"welcome", "main_menu", "wrong_choice", "all_busy", "closed", "apology"})
"""Prompts that the switch's image has: freeswitch/sounds/prompts.tsv."""
_MOST_GUESSED: Final = 10
"""Of unknown prompts of one document: to compare a name with thousands takes a hundredth of a second."""
_MOST_DIGITS: Final = 15
_MOST_COLLECTED: Final = 15


def faults_of_words(document: Document) -> Iterator[Fault]:
    """Yield everything that is wrong with what the flows of a document of sound shape say and calculate."""
    for rule in _RULES:
        yield from rule(document)


def types_of(document: Document) -> dict[str, str]:
    """Return the declared variables of all flows: name → type. A call has one of each name."""
    return {one["name"]: one["type"] for flow in document["flows"] for one in flow.get("variables", ())}


def _declarations(document: Document) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for index, flow in enumerate(document["flows"]):
        names = set()
        for number, one in enumerate(flow.get("variables", ())):
            at: At = ["flows", index, "variables", number]
            if one["name"] in names:
                yield Fault(path_of([*at, "name"]), f"{one['name']} is declared twice in this flow.")
            names.add(one["name"])
            if first.setdefault(one["name"], one["type"]) != one["type"]:
                known = first[one["name"]]
                yield Fault(path_of([*at, "type"]), f"{one['name']} is a {known} in another flow; a call has one.")
            yield from _initial(one, at, document["languages"])


def _initial(variable: Document, at: At, languages: list[str]) -> Iterator[Fault]:
    initial = variable.get("initial", "")
    digits = initial.removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
    if initial and variable["type"] == "number" and not is_number:
        yield Fault(path_of([*at, "initial"]), f"must be a whole number of up to {_MOST_DIGITS} digits.")
    if variable["type"] == "flag" and initial not in ("", "true", "false"):
        yield Fault(path_of([*at, "initial"]), "must be true or false.")
    if initial and variable["type"] == "email" and not is_address(initial):
        yield Fault(path_of([*at, "initial"]), "must be one mail address, like olena@example.com.")
    if initial and variable["type"] == "language" and initial not in languages:
        yield Fault(path_of([*at, "initial"]), f"must be one of the company's languages: {', '.join(languages)}.")


def _uses(document: Document) -> Iterator[Fault]:
    types = types_of(document)
    for step, at in steps_of(document):
        kind = next((kind for kind in ("set", "collect") if kind in step), "")
        name = step[kind]["variable"] if kind else ""
        if kind and name not in types:
            yield Fault(path_of([*at, kind, "variable"]), f"there is no variable {name}; declare it in the flow.")
        if kind == "collect":
            yield from _collected(step["collect"], types.get(name, "text"), [*at, "collect"])
        if kind == "set" and ("text" in step["set"]) == ("expression" in step["set"]):
            yield Fault(path_of([*at, "set"]), "needs either a text or an expression.")


def _collected(wish: Document, kind: str, at: At) -> Iterator[Fault]:
    most = wish.get("max_digits", 20)
    if wish.get("min_digits", 1) > most:
        yield Fault(path_of([*at, "min_digits"]), f"must not be above max_digits, which is {most}.")
    if kind in ("flag", "email"):
        yield Fault(path_of([*at, "variable"]), f"is of type {kind}; digits are kept in a text or a number.")
    if kind == "number" and most > _MOST_COLLECTED:
        yield Fault(path_of([*at, "max_digits"]), f"a number holds {_MOST_COLLECTED} digits; lower it, or use a text.")


def _calculations(document: Document) -> Iterator[Fault]:
    fields = frozenset(types_of(document))
    names = dict.fromkeys(_FACTS) | {VARIABLES: fields}
    places = _FACTS | {f"{VARIABLES}.{name}" for name in fields}
    for count, (text, is_text, at) in enumerate(_calculated(document)):
        if count == MOST_CALCULATED:
            yield Fault(path_of(["flows"]), f"hold more than {MOST_CALCULATED} conditions and texts.")
            return
        try:
            if is_text:
                Template(text, places)
            else:
                Expression(text, names)
        except (BadExpression, BadTemplate) as error:
            yield Fault(path_of(at), str(error))


def _calculated(document: Document) -> Iterator[tuple[str, bool, At]]:
    """Yield each condition and text: whether it is a text, and where it stands."""
    for step, at in steps_of(document):
        if "say" in step:
            yield step["say"]["text"], True, [*at, "say", "text"]
        if "text" in step.get("set", {}):
            yield step["set"]["text"], True, [*at, "set", "text"]
        if "expression" in step.get("set", {}):
            yield step["set"]["expression"], False, [*at, "set", "expression"]
        lookup = step.get("lookup", {})
        if lookup:
            yield lookup["url"], True, [*at, "lookup", "url"]
        for name, text in lookup.get("fields", {}).items():
            yield text, True, [*at, "lookup", "fields", name]
        for number, case in enumerate(step.get("branch", {}).get("cases", ())):
            yield case["condition"], False, [*at, "branch", "cases", number, "condition"]


def _lookups(document: Document) -> Iterator[Fault]:
    types = types_of(document)
    for step, at in steps_of(document):
        lookup = step.get("lookup")
        if lookup is None:
            continue
        origin = "/".join(lookup["url"].split("/", 3)[:3])
        complaint = complaint_about_url(lookup["url"])
        if "{" in origin or "?" in origin or "#" in origin:
            complaint = "the host must be written out, without places to fill; end it with a /."
        if complaint:
            yield Fault(path_of([*at, "lookup", "url"]), complaint)
        for number, result in enumerate(lookup.get("results", ())):
            if result["variable"] not in types:
                where = path_of([*at, "lookup", "results", number, "variable"])
                yield Fault(where, f"there is no variable {result['variable']}; declare it in the flow.")


def _questions(document: Document) -> Iterator[Fault]:
    for step, at in steps_of(document):
        survey, consent = step.get("survey", {}), step.get("consent", {})
        if survey.get("lowest", 1) > survey.get("highest", 5):
            yield Fault(path_of([*at, "survey", "lowest"]), "must not be above highest.")
        if consent and consent["mode"] != "do_not_record" and not consent.get("prompts"):
            yield Fault(path_of([*at, "consent", "prompts"]), "is missing: the caller must hear what it is about.")


def _prompts(document: Document) -> Iterator[Fault]:
    """Name prompts that neither the document declares nor every switch has: their callers would hear nothing."""
    known = BUNDLED | {one["prompt_id"] for one in document.get("prompts", ())}
    unknown = ((name, at) for name, at in _named_prompts(document) if name not in known)
    for number, (name, at) in enumerate(unknown):
        alike = get_close_matches(name, known, 1) if number < _MOST_GUESSED else []
        meant = f" (did you mean {alike[0]}?)" if alike else ""
        yield Fault(
            path_of(at), f"there is no prompt {name}{meant}; add it to prompts, with a text or as your own file."
        )


def _named_prompts(document: Document) -> Iterator[tuple[str, At]]:
    for step, at in steps_of(document):
        for kind, wish in step.items():
            if isinstance(wish, dict) and kind != "exits":
                yield from _lists_of_prompts(wish, [*at, kind])
    for index, queue in enumerate(document["queues"]):
        for number, said in enumerate(queue.get("announcements", ())):
            yield from _lists_of_prompts(said, ["queues", index, "announcements", number])


def _lists_of_prompts(wish: Document, at: At) -> Iterator[tuple[str, At]]:
    for field, names in wish.items():
        if field.endswith("prompts"):
            for number, name in enumerate(names):
                yield name, [*at, field, number]


def steps_of(document: Document) -> Iterator[tuple[Document, At]]:
    """Yield each step of all flows and where it stands."""
    for index, flow in enumerate(document["flows"]):
        for number, step in enumerate(flow["steps"]):
            yield step, ["flows", index, "steps", number]


_RULES: Final[tuple[Callable[[Document], Iterator[Fault]], ...]] = (
    _declarations,
    _uses,
    _calculations,
    _lookups,
    _questions,
    _prompts,
)
