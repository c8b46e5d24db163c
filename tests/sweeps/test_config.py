from __future__ import annotations

import pytest

from hrm.config.errors import ConfigError, UnknownNameError
from sweeps.config import build_named, check_at_least


def cup(drink: str, *, sugar: int = 0, milk: float | None = None) -> tuple[str, int, float | None]:
    if sugar > 3:
        raise ValueError("sugar must be at most 3")
    return drink, sugar, milk


def water(drink: str) -> str:
    return drink


REGISTRY = {"cup": cup, "water": water}


def test_options_reach_the_function_as_their_types() -> None:
    assert build_named(REGISTRY, {"name": "cup"}, "order", "tea") == ("tea", 0, None)
    assert build_named(REGISTRY, {"name": "cup", "sugar": "2", "milk": 1}, "order", "tea") == ("tea", 2, 1.0)
    assert build_named(REGISTRY, {"name": "water"}, "order", "tea") == "tea"


def test_unknown_names_and_options_are_refused() -> None:
    with pytest.raises(
        UnknownNameError, match=r"order.name: given 'cap'.*one of: cup, water. Did you mean 'cup'"
    ):
        build_named(REGISTRY, {"name": "cap"}, "order", "tea")
    with pytest.raises(
        UnknownNameError, match=r"order: given 'suger'.*one of: milk, sugar. Did you mean 'sugar'"
    ):
        build_named(REGISTRY, {"name": "cup", "suger": 1}, "order", "tea")
    with pytest.raises(ConfigError, match=r"order.ice: given True; water takes no options"):
        build_named(REGISTRY, {"name": "water", "ice": True}, "order", "tea")
    with pytest.raises(UnknownNameError, match="order.name: given 'None'"):
        build_named(REGISTRY, {}, "order", "tea")


def test_wrong_types_and_ranges_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"order.sugar: given 'much'; must be a whole number"):
        build_named(REGISTRY, {"name": "cup", "sugar": "much"}, "order", "tea")
    with pytest.raises(ConfigError, match=r"order: given .*sugar must be at most 3"):
        build_named(REGISTRY, {"name": "cup", "sugar": 4}, "order", "tea")


def test_at_least_is_inclusive() -> None:
    check_at_least("order.sugar", 1, 1)
    with pytest.raises(ConfigError, match="order.sugar: given 0; must be at least 1"):
        check_at_least("order.sugar", 0, 1)
