import json
import re
from collections.abc import Callable
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 16
MAX_ALIASES: Final = 100
MAX_NODES: Final = 100_000

_STRING = "tag:yaml.org,2002:str"
_INTEGER = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_BOOLEAN = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"
# A backslash before the first u that is itself escaped is none.
_PAIR: Final = re.compile(r"((?<!\\)(?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class UnreadableText(ValueError):
    """The text is no document that we read: not YAML, too large, or built to explode. The message is one sentence."""


class _Loader(yaml.CSafeLoader):
    """YAML with the plain words of version 1.2.

    Version 1.1, PyYAML's own, reads +380441000001 and 18:00 as whole numbers and `no` as false.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own name for it, never changed after this


_PLAIN: Final = {
    _BOOLEAN: (re.compile(r"(?:true|false)\Z"), "tf"),
    _NULL: (re.compile(r"(?:null|~|)\Z"), ["n", "~", ""]),
    _INTEGER: (re.compile(r"-?(?:0|[1-9][0-9]{0,17})\Z"), "-0123456789"),
    _FLOAT: (re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,17}\Z"), "-0123456789"),
}
for _tag, (_pattern, _firsts) in _PLAIN.items():
    _Loader.add_implicit_resolver(_tag, _pattern, list(_firsts))


def read_text(raw: bytes) -> Any:
    """Return what a YAML (or JSON) text says, of dict, list, str, int, float, bool and None only.

    Bounds: MAX_BYTES of text, MAX_DEPTH of nesting, MAX_ALIASES, MAX_NODES after aliases are followed. No tag makes an
    object, a key stands once in its mapping. Raises UnreadableText.
    """
    if len(raw) > MAX_BYTES:
        raise UnreadableText(f"The text is longer than {MAX_BYTES} bytes.")
    try:
        text = raw.decode("utf-8")
        if text.lstrip()[:1] in ("{", "["):
            text = _PAIR.sub(_joined, text)
        _check_events(text)
        node = yaml.compose(text, Loader=_Loader)
    except UnicodeDecodeError as error:
        raise UnreadableText(f"The text is not UTF-8: byte {error.start} is wrong.") from error
    except yaml.YAMLError as error:
        raise UnreadableText(f"The text is not YAML: {_words(error)}.") from error
    if node is None:
        raise UnreadableText("The text is empty.")
    if _size(node, {}, set()) > MAX_NODES:
        raise UnreadableText(f"The text holds more than {MAX_NODES} values when its aliases are followed.")
    return _value(node)


def _joined(pair: re.Match[str]) -> str:
    r"""Return the character that JSON writes as two escapes, \ud83d\ude00; YAML has no such pairs."""
    return pair[1] + str(json.loads(f'"{pair[2]}"'))


def _check_events(text: str) -> None:
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if count > 2 * MAX_NODES:
            raise UnreadableText(f"The text holds more than {MAX_NODES} values.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UnreadableText(f"{_where(event)} is nested deeper than {MAX_DEPTH} levels.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
            if aliases > MAX_ALIASES:
                raise UnreadableText(f"The text has more than {MAX_ALIASES} aliases.")


def _size(node: yaml.Node, known: dict[int, int], open_nodes: set[int]) -> int:
    """Count the values below a node, each alias as often as it stands there, in time linear in the text."""
    if id(node) in known:
        return known[id(node)]
    if id(node) in open_nodes:
        raise UnreadableText(f"{_where(node)} holds an alias of itself.")
    open_nodes.add(id(node))
    size = 1 + sum(_size(child, known, open_nodes) for child in _children(node))
    open_nodes.remove(id(node))
    known[id(node)] = size
    return size


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [child for pair in node.value for child in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
        raise _tagged(node)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise UnreadableText(f"{_where(key_node)} has a key that is not a word.")
        # Keys are words, whatever they look like: the exit 1 of a menu is "1".
        key = str(key_node.value)
        if key in found:
            raise UnreadableText(f"{_where(key_node)} has the key {key[:40]!r} a second time.")
        found[key] = _value(value_node)
    return found


def _scalar(node: yaml.Node) -> str | int | float | bool | None:
    text, tag = str(node.value), str(node.tag)
    if tag == _STRING:
        return text
    # A tag that is written out gives no value that plain words can't: !!float nan is within every bound.
    if tag not in _PLAIN or not _PLAIN[tag][0].match(text):
        raise _tagged(node)
    return _READ[tag](text)


_READ: Final[dict[str, Callable[[str], int | float | bool | None]]] = {
    _BOOLEAN: lambda text: text == "true",
    _NULL: lambda _text: None,
    _INTEGER: int,
    _FLOAT: float,
}


def _tagged(node: yaml.Node) -> UnreadableText:
    return UnreadableText(f"{_where(node)} has the tag {str(node.tag)[:60]!r}; tags are not read.")


def _where(marked: Any) -> str:
    return f"Line {marked.start_mark.line + 1}, column {marked.start_mark.column + 1},"


def _words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    # A reader's error, of a character that may not be there, has a reason in place of a problem.
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be parsed"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)
