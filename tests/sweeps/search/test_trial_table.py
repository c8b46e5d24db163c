from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.search.fast_tpe import STATE, VALUE, TrialTable, parameters, read

SPACE: dict[str, BaseDistribution] = {
    "layers": IntDistribution(1, 8),
    "lr": FloatDistribution(1e-4, 1e-2, log=True),
    "kind": CategoricalDistribution(["a", "b", None]),
}


def trial(number: int, state: TrialState, layers: int) -> FrozenTrial:
    made = create_trial(
        state=state,
        value=number / 2 if state == TrialState.COMPLETE else None,
        params={"layers": layers, "lr": 1e-3, "kind": ["a", "b", None][number % 3]},
        distributions=SPACE,
    )
    made.number = number
    return made


def test_a_row_is_state_value_and_parameters() -> None:
    table = read([trial(1, TrialState.COMPLETE, 3), trial(2, TrialState.RUNNING, 4)], SPACE)
    assert table[:, STATE].tolist() == [TrialState.COMPLETE, TrialState.RUNNING]
    np.testing.assert_array_equal(table[:, VALUE], [0.5, np.nan])
    found = {name: column.tolist() for name, column in parameters(table, SPACE).items()}
    assert found == {"layers": [3, 4], "lr": [1e-3, 1e-3], "kind": [1, 2]}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(list(TrialState)), st.booleans()), max_size=25))
def test_what_is_kept_is_what_would_be_read(steps: list[tuple[int, TrialState, bool]]) -> None:
    """A trial is added or takes another's place, by an object of its own."""
    table = TrialTable(SPACE)
    trials: list[FrozenTrial] = []
    for place, state, is_new in steps:
        place = len(trials) if is_new else min(place, len(trials))
        trials = [*trials[:place], trial(place, state, layers=1 + len(trials) % 8), *trials[place + 1 :]]
        np.testing.assert_array_equal(table.of(trials), read(trials, SPACE))
