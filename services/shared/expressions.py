"""Conditions of a document: a bounded part of CEL (https://cel.dev), compiled once, judged often.

Whoever writes a condition may be hostile, and a caller supplies the values. So a condition is read by us before the
library sees it: bounded length, words and nesting, known names and functions only, no comprehension (they nest into
exponential time), regular expressions only written out and without counted repetition. What is left takes time and
memory linear in its text and values; it has no clock and no randomness.
"""

import re
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any, Final

# The package imports its own command line, which nobody here uses: prompt_toolkit, rich and typer cost 0.23 s of a core
# at each start (of 1.67 s for webhooks) and 9 MB of each process.
sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
import cel  # noqa: E402 - without its command line

from services.shared.sentence import sentence  # noqa: E402 - after it

MAX_CHARACTERS: Final = 1_000
MAX_WORDS: Final = 250
MAX_DEPTH: Final = 20
MAX_PATTERN: Final = 100
MAX_PATTERNS: Final = 5

FUNCTIONS: Final = frozenset(
    {"size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string", "has"}
)
_CONSTANTS: Final = frozenset({"true", "false", "in"})
_WORD: Final = re.compile(
    r"""(?P<space>[ \t\n]+)
    |(?P<text>"(?:[^"\\\n]|\\["\\nt])*"|'(?:[^'\\\n]|\\['\\nt])*')(?!["'])
    |(?P<number>[0-9]{1,18}(?:\.[0-9]{1,9})?(?![0-9A-Za-z_.]))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})(?!["'])
    |(?P<sign>&&|\|\||==|!=|<=|>=|/(?!/)|[-+*%<>!?:.,()\[\]])""",
    re.VERBOSE,
)

Value = bool | int | float | str
# What the library raises for an expression that it can't read or judge (cel 0.10, tried with a table of attacks).
_REFUSALS: Final = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError)


class BadExpression(ValueError):
    """The text is no condition that we take: the author's fault, said in one sentence."""

    def __init__(self, template: str, /, **values: object) -> None:
        self.sentence = sentence(template, **values)
        super().__init__(self.sentence)


class Unanswered(Exception):
    """A sound condition has no answer for these values, for example because a variable is not set."""


class Expression:
    """One compiled condition or value. Immutable; the same values give the same answer always."""

    __slots__ = ("_program", "names", "text")

    def __init__(self, text: str, names: Mapping[str, frozenset[str] | None]) -> None:
        """Compile. `names` are the known names; one with fields has them as a set. Raises BadExpression."""
        words = _words(text)
        self.names = _check_names(words, names)
        _check_depth(words)
        _check_patterns(words)
        try:
            self._program = cel.compile(text)
        except _REFUSALS as error:
            raise BadExpression("The expression can't be read: see the operators of CEL.") from error
        self.text = text

    def value(self, values: Mapping[str, Any]) -> Value:
        """Return what it says for these values. Raises Unanswered."""
        try:
            found = self._program.execute(dict(values))
        except _REFUSALS as error:
            raise Unanswered(_why(error)) from error
        if not isinstance(found, bool | int | float | str):
            raise Unanswered("it gives neither a text, a number nor true or false")
        return found

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether it is true for these values. Raises Unanswered, also for anything but true and false."""
        found = self.value(values)
        if not isinstance(found, bool):
            raise Unanswered("it is neither true nor false")
        return found


def _words(text: str) -> list[tuple[str, str]]:
    if not text.strip():
        raise BadExpression("The expression is empty; write a condition.")
    if len(text) > MAX_CHARACTERS:
        raise BadExpression(
            "The expression is longer than {most} characters; split it into steps.", most=MAX_CHARACTERS
        )
    found, at = [], 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            raise BadExpression("Character {at} can't stand there; use names, numbers, texts and operators.", at=at + 1)
        if match.lastgroup != "space":
            found.append((str(match.lastgroup), match.group()))
        at = match.end()
    if len(found) > MAX_WORDS:
        raise BadExpression("The expression has more than {most} words; split it into steps.", most=MAX_WORDS)
    return found


def _check_names(words: list[tuple[str, str]], known: Mapping[str, frozenset[str] | None]) -> frozenset[str]:
    """Check every name: a variable, a field of one, or a function that is called. Returns `name` and `name.field`."""
    used: set[str] = set()
    for index, (kind, word) in enumerate(words):
        if kind != "name" or word in _CONSTANTS:
            continue
        before = words[index - 1][1] if index else ""
        is_called = index + 1 < len(words) and words[index + 1][1] == "("
        if is_called:
            if word not in FUNCTIONS:
                raise BadExpression(
                    "There is no function {word}; known are {known}.", word=word, known=", ".join(sorted(FUNCTIONS))
                )
        elif before == ".":
            used.add(_field(words, index, known))
        elif word not in known:
            raise BadExpression("There is no {word}; known are {known}.", word=word, known=", ".join(sorted(known)))
        elif known[word] is None:
            used.add(word)
        elif index + 1 >= len(words) or words[index + 1][1] != ".":
            raise BadExpression("Say which one of {word} is meant, for example {word}.name.", word=word)
    return frozenset(used)


def _field(words: list[tuple[str, str]], index: int, known: Mapping[str, frozenset[str] | None]) -> str:
    owner, field = words[index - 2][1] if index > 1 else "", words[index][1]
    fields = known.get(owner)
    if fields is None:
        raise BadExpression("{owner} has no field {field}.", owner=owner[:40], field=field)
    if field not in fields:
        raise BadExpression("There is no {owner}.{field}; declare it first.", owner=owner, field=field)
    return f"{owner}.{field}"


def _check_depth(words: list[tuple[str, str]]) -> None:
    """Bound what nests: brackets, chains of signs before a value, and choices within choices."""
    depth = signs = 0
    for kind, word in words:
        depth += (word in ("(", "[", "?")) - (word in (")", "]"))
        signs = signs + 1 if kind == "sign" and word in ("!", "-") else 0
        if depth + signs > MAX_DEPTH:
            raise BadExpression("The expression nests deeper than {most}; split it into steps.", most=MAX_DEPTH)


def _check_patterns(words: list[tuple[str, str]]) -> None:
    patterns = 0
    for index, (_kind, word) in enumerate(words):
        if word != "matches":
            continue
        patterns += 1
        following = words[index + 1 : index + 4]
        if len(following) < 3 or following[1][0] != "text" or following[2][1] != ")":  # noqa: PLR2004 - ( text )
            raise BadExpression("matches takes a pattern that is written out, as in caller.matches('^[+]38').")
        if "{" in following[1][1] or len(following[1][1]) > MAX_PATTERN or patterns > MAX_PATTERNS:
            raise BadExpression(
                "A pattern has up to {length} characters and no {{; {most} at most.",
                length=MAX_PATTERN,
                most=MAX_PATTERNS,
            )
        try:
            cel.compile(f"''.matches({following[1][1]})").execute({})
        except _REFUSALS as error:
            raise BadExpression("{text} is no regular expression.", text=following[1][1]) from error


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "a variable is not set"
    if isinstance(error, ArithmeticError):
        return "a number is too large, or divided by nought"
    return "the kinds of its values do not fit"
