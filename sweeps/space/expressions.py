"""Arithmetic for derived values: `hidden_size // head_size`."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any

GRAMMAR = "numbers, names, + - * / // % **, comparisons, min(), max(), round() and parentheses"
_LARGEST_POWER = 2.0**62
"""Integer powers below it are computed exactly; larger ones as floats, so that none takes long."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression; `names` are the values that it reads.

    Example:
        >>> heads = Expression.parse("max(1, hidden_size // 16)")
        >>> sorted(heads.names), heads.evaluate({"hidden_size": 96})
        (['hidden_size'], 6)
    """

    text: str
    names: frozenset[str]
    _code: CodeType

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Return the expression in `text`.

        Raises:
            ValueError: it is not arithmetic; the message says what is not, and what is.
        """
        names: set[str] = set()
        try:
            tree = ast.parse(text.strip(), mode="eval")
            _check(tree.body, names)
            # Python compiles what `_check` has let through: nothing but arithmetic on `names`.
            bounded = ast.fix_missing_locations(_BoundedPowers().visit(tree))
            return cls(text, frozenset(names), compile(bounded, "<expression>", "eval"))
        except (SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"must be an expression of {GRAMMAR}") from None

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Return its value, with `values` for its names; nan where it has none, as after a division by zero."""
        try:
            return eval(self._code, _GLOBALS, values)
        except (ArithmeticError, ValueError):
            return math.nan


def _check(node: ast.expr, names: set[str]) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return
        case ast.Name(id=name):
            names.add(name)
            return
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _OPERATORS):
            operands = [left, right]
        case ast.UnaryOp(operand=operand, op=ast.USub() | ast.UAdd()):
            operands = [operand]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, _COMPARISONS):
            operands = [left, right]
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as args, keywords=[]) if name in _FUNCTIONS:
            if name == "round" and len(args) != 1:
                raise ValueError("round() takes one value")
            operands = args
        case _:
            raise ValueError(f"{ast.unparse(node)!r} is none of: {GRAMMAR}")
    for operand in operands:
        _check(operand, names)


_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)


class _BoundedPowers(ast.NodeTransformer):
    """Replaces `a ** b` by `__power(a, b)`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Pow):
            return node
        return ast.Call(ast.Name("__power", ast.Load()), [node.left, node.right], [])


def _power(base: float, exponent: float) -> float:
    approximate = math.pow(base, exponent)
    is_whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    exact: float = base**exponent if is_whole and abs(approximate) < _LARGEST_POWER else approximate
    return exact


_FUNCTIONS = {
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "round": round,
}
_GLOBALS = {**_FUNCTIONS, "__power": _power, "__builtins__": {}}
