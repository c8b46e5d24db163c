from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

from sweeps.search.fast_tpe import CachedParzenEstimator

PARAMETERS = _ParzenEstimatorParameters(
    prior_weight=1.0,
    consider_magic_clip=True,
    consider_endpoints=False,
    weights=default_weights,
    multivariate=True,
)
KINDS: tuple[BaseDistribution, ...] = (
    FloatDistribution(-1.0, 2.0),
    FloatDistribution(1e-4, 1e-2, log=True),
    FloatDistribution(1.0, 4.0, step=0.5),
    IntDistribution(1, 8),
    IntDistribution(16, 512, step=16),
    IntDistribution(1, 300, log=True),
    CategoricalDistribution(["a", "b", None]),
)


def drawn(space: BaseDistribution, rng: np.random.Generator, num: int) -> np.ndarray:
    """Values as an estimator takes them, some of them at the ends of the range and some equal."""
    if isinstance(space, CategoricalDistribution):
        return rng.integers(len(space.choices), size=num)
    assert isinstance(space, FloatDistribution | IntDistribution)
    low, high = (np.log(space.low), np.log(space.high)) if space.log else (space.low, space.high)
    values = rng.uniform(low, high, num)
    values = np.exp(values) if space.log else values
    if space.step is not None:
        values = space.low + np.round((values - space.low) / space.step) * space.step
    values[rng.random(num) < 0.05] = space.low
    values[rng.random(num) < 0.05] = space.high
    return np.clip(values, space.low, space.high)


def densities_agree(spaces: list[BaseDistribution], num_kernels: int, num_samples: int, seed: int) -> None:
    """Both estimators give the same bits, for samples of their own and for others."""
    space = {str(place): one for place, one in enumerate(spaces)}
    rng = np.random.default_rng(seed)
    observed = {name: drawn(one, rng, num_kernels) for name, one in space.items()}
    own, optunas = (kind(observed, space, PARAMETERS) for kind in (CachedParzenEstimator, _ParzenEstimator))
    of_it = optunas.sample(np.random.RandomState(seed), num_samples)
    others = {name: drawn(one, rng, num_samples) for name, one in space.items()}
    for samples in (of_it, others):
        found, expected = own.log_pdf(samples), optunas.log_pdf(samples)
        np.testing.assert_array_equal(found, expected)
        assert np.isfinite(found).any()


@settings(max_examples=80, deadline=None)
@given(
    spaces=st.lists(st.sampled_from(KINDS), min_size=1, max_size=5),
    num_kernels=st.integers(0, 60),
    num_samples=st.integers(1, 24),
    seed=st.integers(0, 999),
)
def test_its_densities_are_optunas(
    spaces: list[BaseDistribution], num_kernels: int, num_samples: int, seed: int
) -> None:
    densities_agree(spaces, num_kernels, num_samples, seed)


@pytest.mark.parametrize("num_kernels", [1000, 2500, 10_000])
@pytest.mark.parametrize("spaces", [[one] for one in KINDS] + [list(KINDS)], ids=str)
def test_its_densities_are_optunas_where_kernels_are_many(
    spaces: list[BaseDistribution], num_kernels: int
) -> None:
    """Optuna computes the error function of more than 2,000 values in another way than that of fewer."""
    densities_agree(spaces, num_kernels, num_samples=24, seed=0)


def test_its_densities_are_optunas_where_many_parameters_are_continuous() -> None:
    """Sums of more than seven addends are not taken one after the other."""
    densities_agree([KINDS[0], KINDS[1]] * 5, num_kernels=300, num_samples=24, seed=0)


def test_a_sample_beside_its_range_has_no_density_where_it_has_none_for_optuna() -> None:
    """As when the logarithm of a power is rounded to below the range."""
    space: dict[str, BaseDistribution] = {"lr": KINDS[1]}
    observed = {"lr": np.asarray([1e-4, 1e-3, 1e-2])}
    beside = {"lr": np.asarray([np.nextafter(1e-4, 0), 0.5e-4, 1e-3, np.nextafter(1e-2, 1), 2e-2])}
    own, optunas = (
        kind(observed, space, PARAMETERS).log_pdf(beside)
        for kind in (CachedParzenEstimator, _ParzenEstimator)
    )
    np.testing.assert_array_equal(own, optunas)
    assert np.isneginf(own[[1, 4]]).all() and np.isfinite(own[2])
