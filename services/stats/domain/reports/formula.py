"""Formulas of metrics over measures: names, numbers, + - * / and brackets. A division by nothing has no value."""

import ast
from collections.abc import Callable, Mapping
from typing import Final

_SIGNS: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_WORK: Final[dict[type[ast.operator], Callable[[float, float], float | None]]] = {
    ast.Add: lambda left, right: left + right,
    ast.Sub: lambda left, right: left - right,
    ast.Mult: lambda left, right: left * right,
    ast.Div: lambda left, right: left / right if right else None,
}


class BadFormula(ValueError):
    """A formula of the dictionary can't be read: our own fault, found when the dictionary is loaded."""


class Formula:
    """One formula. `names` are the measures that it needs."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise BadFormula(f"{text!r} is no formula") from error
        _check(self._tree, text)
        self.names = sorted({node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name)})

    def sql(self) -> str:
        """Return it as an expression of SQL over columns that are named as the measures."""
        return _sql(self._tree)

    def value(self, measures: Mapping[str, float | None]) -> float | None:
        """Return its value, None where a measure or a divisor is missing."""
        return _value(self._tree, measures)


def _check(node: ast.expr, text: str) -> None:
    if isinstance(node, ast.BinOp) and type(node.op) in _SIGNS:
        _check(node.left, text)
        _check(node.right, text)
    elif not isinstance(node, ast.Name) and not (isinstance(node, ast.Constant) and isinstance(node.value, int)):
        raise BadFormula(f"{text!r} holds more than names, whole numbers, + - * / and brackets")


def _sql(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp):
        left, right = _sql(node.left), _sql(node.right)
        if isinstance(node.op, ast.Div):
            return f"(({left})::double / nullif({right}, 0))"
        return f"({left} {_SIGNS[type(node.op)]} {right})"
    return f'"{node.id}"' if isinstance(node, ast.Name) else ast.unparse(node)


def _value(node: ast.expr, measures: Mapping[str, float | None]) -> float | None:
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, measures), _value(node.right, measures)
        return None if left is None or right is None else _WORK[type(node.op)](left, right)
    if isinstance(node, ast.Name):
        return measures[node.id]
    return float(ast.literal_eval(node))
