r"""How applications' arguments are expanded: `${variable}`, `${api(arguments)}`, and a few escapes.

A text without `${` and without an escape is left as it is. In another one `\$` is a plain dollar, `\\` a backslash,
and `\'` nothing. What a variable holds is expanded too, which is why nobody may put a stranger's text into an argument
unescaped.
"""

from collections.abc import Callable

_DEEPEST = 10
_ESCAPED = {"\\", "n", "s", "t", "'"}

LookUp = Callable[[str], str]
RunCommand = Callable[[str, str], str]


def expand(text: str, look_up: LookUp, run: RunCommand, depth: int = 0) -> str:
    """Return the text with its variables and commands put in; unknown ones are empty."""
    if depth > _DEEPEST or not ("${" in text or _has_escapes(text)):
        return text
    out: list[str] = []
    at = 0
    while at < len(text):
        pair = text[at : at + 2]
        if pair == "\\$":
            out.append("$")
            at += 2
        elif pair == "\\\\":
            out.append("\\")
            at += 2
        elif pair == "\\'":
            at += 2
        elif pair == "${":
            end = _closing_brace(text, at + 2)
            out.append(_value(text[at + 2 : end], look_up, run, depth))
            at = end + 1
        else:
            out.append(text[at])
            at += 1
    return "".join(out)


def _has_escapes(text: str) -> bool:
    at = text.find("\\")
    return at >= 0 and any(
        text[place] == "\\" and text[place + 1 : place + 2] in _ESCAPED for place in range(at, len(text))
    )


def _closing_brace(text: str, begin: int) -> int:
    depth = 1
    for at in range(begin, len(text)):
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at
    return len(text)


def _value(inside: str, look_up: LookUp, run: RunCommand, depth: int) -> str:
    name, opening, rest = inside.partition("(")
    if opening:
        argument = expand(rest.rpartition(")")[0] if ")" in rest else rest, look_up, run, depth + 1)
        return run(name.strip(), argument)
    return expand(look_up(expand(inside, look_up, run, depth + 1)), look_up, run, depth + 1)
