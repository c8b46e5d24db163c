"""Arithmetic for derived values: `hidden_size // head_size`, over numbers and numpy arrays alike.

What has no value (a division by zero, a power out of range) is nan, never an exception: one bad point of a
lattice must not end the enumeration of millions.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

GRAMMAR = "numbers, names, + - * / // % **, comparisons, min(), max(), round() and parentheses"
_LARGEST_INT_POWER = 2.0**62
"""Integer powers below it are computed exactly in int64."""


@dataclass(frozen=True)
class Expression:
    """A parsed expression; `names` are the values that it reads."""

    text: str
    names: frozenset[str]
    _tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> Expression:
        """The expression in `text`.

        Raises:
            ValueError: it is not arithmetic; the message says what is not, and what is.
        """
        names: set[str] = set()
        try:
            tree = ast.parse(text.strip(), mode="eval").body
            _check(tree, names)
        except (SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"must be an expression of {GRAMMAR}") from None
        return cls(text, frozenset(names), tree)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Its value, a number or an array, where `values` holds a number or an array for each of `names`."""
        with np.errstate(all="ignore"):
            return _evaluate(self._tree, values)


def _check(node: ast.expr, names: set[str]) -> None:
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            return
        case ast.Name(id=name):
            names.add(name)
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            operands = [left, right]
        case ast.UnaryOp(operand=operand, op=op) if type(op) in _UNARY:
            operands = [operand]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            operands = [left, right]
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as args, keywords=[]) if name in _FUNCTIONS:
            if name == "round" and len(args) != 1:
                raise ValueError("round() takes one value")
            operands = args
        case _:
            raise ValueError(f"{ast.unparse(node)!r} is none of: {GRAMMAR}")
    for operand in operands:
        _check(operand, names)


def _evaluate(node: ast.expr, values: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_evaluate(left, values), _evaluate(right, values))
        case ast.UnaryOp(operand=operand, op=op):
            return _UNARY[type(op)](_evaluate(operand, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _COMPARISONS[type(op)](_evaluate(left, values), _evaluate(right, values)) * 1
        case ast.Call(func=ast.Name(id=name), args=args):
            return _FUNCTIONS[name](*(_evaluate(arg, values) for arg in args))
        case _:
            raise AssertionError(ast.dump(node))


def _divided(divide: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def safe(left: Any, right: Any) -> Any:
        if isinstance(right, np.ndarray):
            zero = right == 0
            return (
                np.where(zero, np.nan, divide(left, np.where(zero, 1, right)))
                if zero.any()
                else divide(left, right)
            )
        return divide(left, right) if right != 0 else left * math.nan

    return safe


def _power(base: Any, exponent: Any) -> Any:
    approximate = np.power(np.asarray(base, dtype=float), np.asarray(exponent, dtype=float))
    whole = all(np.asarray(operand).dtype.kind in "iu" for operand in (base, exponent))
    if whole and np.all(np.asarray(exponent) >= 0) and np.all(np.abs(approximate) < _LARGEST_INT_POWER):
        exact = np.power(np.asarray(base, dtype=np.int64), np.asarray(exponent, dtype=np.int64))
        return exact if exact.ndim else int(exact)
    return approximate if approximate.ndim else float(approximate)


def _round(value: Any) -> Any:
    """To the nearest whole number, halves to even, as Python and numpy do."""
    if isinstance(value, np.ndarray):
        finite = np.isfinite(value)
        rounded = np.rint(value)
        return rounded.astype(np.int64) if finite.all() else np.where(finite, rounded, np.nan)
    return round(value) if math.isfinite(value) else math.nan


def _extreme(of_two: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        result = reduce(of_two, values)
        return (
            result
            if isinstance(result, np.ndarray)
            else result.item()
            if isinstance(result, np.generic)
            else result
        )

    return extreme


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divided(operator.truediv),
    ast.FloorDiv: _divided(operator.floordiv),
    ast.Mod: _divided(operator.mod),
    ast.Pow: _power,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": _extreme(np.minimum),
    "max": _extreme(np.maximum),
    "round": _round,
}
