"""`cond <expression> ? <text> : <text>`: one of two texts, as mod_commands.c reads and judges the expression.

Two operands and `== != > >= < <=` between them, each with a blank around it. An operand in single quotes is text;
numbers are compared as numbers, texts by `==` and `!=` as texts, and all else by the lengths of the texts.
"""

import operator
import re
from collections.abc import Callable

from local.switch.arguments import separate

_OPERAND = r"(?:'(?P<{0}_text>(?:[^'\\]|\\.)*)'(?=\s)|(?P<{0}>\S*)(?=\s))"
_EXPRESSION = re.compile(
    rf"{_OPERAND.format('left')}\s+(?P<sign>==?|!=|>=?|<=?)\s+{_OPERAND.format('right')}\s+\?(?P<texts>.*)", re.DOTALL
).fullmatch
_NUMBER = re.compile(r"[-+]?[0-9.]*").fullmatch
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def cond(argument: str) -> str:
    """Return the first text where the expression is true, else the second ("" where there is none), or `-ERR`."""
    read = _EXPRESSION(argument)
    texts = separate(read["texts"], ":", 2) if read else []
    if read is None or not texts:
        return "-ERR"
    is_true = _is_true(_operand(read, "left"), read["sign"], _operand(read, "right"))
    return texts[0] if is_true else "".join(texts[1:])


def _operand(read: "re.Match[str]", side: str) -> str | float:
    quoted = read[f"{side}_text"]
    if quoted is not None:
        return str(quoted)
    plain = str(read[side])
    return _as_number(plain) if _NUMBER(plain) else plain


def _as_number(text: str) -> float:
    """Read a number as C's atof does: "" and a sign alone are 0."""
    begins = re.match(r"[-+]?[0-9]*\.?[0-9]*", text)
    digits = begins[0] if begins else ""
    return float(digits) if any(character.isdigit() for character in digits) else 0.0


def _is_true(left: str | float, sign: str, right: str | float) -> bool:
    if isinstance(left, str) and isinstance(right, str) and sign in ("=", "==", "!="):
        return (left == right) is (sign != "!=")
    sizes = [float(len(one)) if isinstance(one, str) else one for one in (left, right)]
    return _SIGNS[sign](*sizes)
