"""Whether a connector names only what there is: a slip of the pen would be empty for ever, and nobody would see it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from services.webhooks.domain.connectors.call_facts import facts_for
from services.webhooks.domain.connectors.filling import PLACE

MESSAGE: Final = frozenset({"id", "to", "text", "sender"})
_FACTS: Final = {
    **{name: frozenset(part) for name, part in facts_for({}, {}, "").items()},
    "account": frozenset({"user"}),
    "message": MESSAGE,
}
RULE_ID: Final = "id"


def unknown_names(
    operations: Mapping[str, Any], settings: Mapping[str, Any], links: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence for each name that nothing gives; `operations` are Operations."""
    kept = {name for one in operations.values() for name in one.keep}
    facts = _FACTS | {"settings": frozenset(settings), "known": frozenset(kept), "rule": _FACTS["rule"] | {RULE_ID}}
    for one in operations.values():
        where = f"operations.{one.name}"
        for name in (*one.needs, *filter(None, (one.unless, one.must))):
            if name not in kept:
                yield f"{where}: nothing keeps {name}"
        paths = [*_paths((one.address, one.body, one.pick)), *([one.only_if] if one.only_if else [])]
        yield from (f"{where}: there is no {path}" for path in paths if not _is_known(path, facts))
    yield from (f"links: there is no {path}" for path in _paths(links) if not _is_known(path, facts))


def _is_known(path: str, facts: Mapping[str, frozenset[str]]) -> bool:
    first, _, rest = path.partition(".")
    return first in facts and rest.partition(".")[0] in facts[first]


def _paths(template: Any) -> Iterator[str]:
    """Yield what the places of a template name, also of its fields' names."""
    if isinstance(template, str):
        yield from (path for path, _ in PLACE.findall(template))
    elif isinstance(template, Mapping):
        for name, part in template.items():
            yield from _paths(name)
            yield from _paths(part)
    elif isinstance(template, list | tuple):
        for part in template:
            yield from _paths(part)
