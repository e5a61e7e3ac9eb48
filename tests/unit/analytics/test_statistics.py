"""Every test value against scipy, to 1e-9."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats

from analytics import statistics
from analytics.statistics import (
    beta_ratio,
    binomial_tail,
    find_discoveries,
    log_gamma,
    mann_whitney,
    normal_tail,
    poisson_tail,
    t_tail,
)

Array = NDArray[np.float64]
TOLERANCE = 1e-9

close = settings(deadline=None, max_examples=100)


@pytest.fixture(scope="module")
def random() -> np.random.Generator:
    return np.random.default_rng(7)


@close
@given(st.floats(1e-6, 1e8))
def test_log_gamma(x: float) -> None:
    assert float(log_gamma(x)) == pytest.approx(special.gammaln(x), rel=1e-12, abs=1e-12)


@close
@given(st.floats(-40, 40))
def test_normal_tail(z: float) -> None:
    assert float(normal_tail(z)) == pytest.approx(stats.norm.sf(z), rel=1e-9, abs=1e-300)


@close
@given(st.floats(-1e3, 1e3), st.floats(1, 1e4))
@example(5.4e-9, 1.0)
def test_t_tail(t: float, freedom: float) -> None:
    # Near zero scipy says exactly a half; a straight line is nearer to the truth there.
    near = 0.5 - t * stats.t.pdf(0, freedom)
    expected = near if abs(t) < 1e-6 else stats.t.sf(t, freedom)
    assert float(t_tail(t, freedom)) == pytest.approx(expected, abs=TOLERANCE)


@close
@given(st.floats(0.05, 1e5), st.floats(0.05, 1e5), st.floats(0, 1))
def test_beta_ratio(a: float, b: float, x: float) -> None:
    assert float(beta_ratio(a, b, x)) == pytest.approx(special.betainc(a, b, x), abs=TOLERANCE)


def test_beta_ratio_around_its_mean(random: np.random.Generator) -> None:
    a, b = random.uniform(0.1, 1e5, (2, 3000))
    x = np.clip(a / (a + b) + random.normal(0, 0.01, 3000), 0, 1)
    assert beta_ratio(a, b, x) == pytest.approx(special.betainc(a, b, x), abs=TOLERANCE)


@close
@given(st.integers(-1, 3000), st.integers(1, 2000), st.floats(0, 1))
def test_binomial_tail(k: int, n: int, p: float) -> None:
    assert float(binomial_tail(k, n, p)) == pytest.approx(
        stats.binom.sf(k - 1, n, p), abs=TOLERANCE
    )


@close
@given(st.integers(-1, 5000), st.floats(1e-3, 4000))
def test_poisson_tail(k: int, mean: float) -> None:
    assert float(poisson_tail(k, mean)) == pytest.approx(
        stats.poisson.sf(k - 1, mean), abs=TOLERANCE
    )


def test_values_do_not_depend_on_their_neighbours(random: np.random.Generator) -> None:
    """Those that converge early must not be touched while others still run."""
    t, freedom = random.normal(0, 4, 500), random.uniform(1, 1e4, 500)
    k, mean = random.integers(1, 500, 500), random.uniform(0.1, 500, 500)
    for test, first, second in ((t_tail, t, freedom), (poisson_tail, k, mean)):
        together = test(first, second)
        alone = [test(first[i : i + 1], second[i : i + 1])[0] for i in range(500)]
        assert together.tobytes() == np.array(alone).tobytes()


def test_nan_stays_nan_and_keeps_nobody_waiting() -> None:
    assert np.isnan(t_tail(np.nan, 4.0))
    assert np.isnan(beta_ratio(1.0, 2.0, np.nan))


def test_gives_up_on_what_never_converges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "STEPS", 3)
    assert 0 <= float(beta_ratio(5e5, 5e5, 0.5)) <= 1
    assert 0 <= float(poisson_tail(5000, 4999.0)) <= 1
    assert 0 <= float(poisson_tail(5000, 5003.0)) <= 1


def _scipy_mann_whitney(before: Array, after: Array, method: str) -> tuple[Array, Array]:
    results = [
        stats.mannwhitneyu(a, b, alternative="greater", method=method)
        for a, b in zip(after, before, strict=True)
    ]
    return np.array([r.statistic for r in results]), np.array([r.pvalue for r in results])


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_mann_whitney_of_many_values(random: np.random.Generator, digits: int) -> None:
    before = random.normal(0, 1, (200, 30)).round(digits)
    after = random.normal(0.3, 1, (200, 15)).round(digits)
    u, p = mann_whitney(before, after)
    right_u, right_p = _scipy_mann_whitney(before, after, "asymptotic")
    assert u.tolist() == right_u.tolist()
    assert p == pytest.approx(right_p, abs=TOLERANCE)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (9, 6), (15, 5), (3, 12)])
def test_mann_whitney_of_few_values_is_exact(random: np.random.Generator, n: int, m: int) -> None:
    before, after = random.normal(0, 1, (50, n)), random.normal(0.5, 1, (50, m))
    assert mann_whitney(before, after)[1] == pytest.approx(
        _scipy_mann_whitney(before, after, "exact")[1], abs=TOLERANCE
    )


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.lists(st.integers(0, 3), min_size=1, max_size=5),
)
def test_mann_whitney_with_ties_counts_every_arrangement(
    before: list[int], after: list[int]
) -> None:
    both = np.array(before + after, dtype=np.float64)

    def count(chosen: tuple[int, ...]) -> float:
        mine = both[list(chosen)]
        others = np.delete(both, list(chosen))
        pairs = mine[:, None] - others[None, :]
        return float((pairs > 0).sum() + 0.5 * (pairs == 0).sum())

    ways = [count(chosen) for chosen in combinations(range(both.size), len(after))]
    (u,), (p,) = mann_whitney(
        np.array([before], dtype=np.float64), np.array([after], dtype=np.float64)
    )
    assert p == pytest.approx(float(np.mean([way >= u for way in ways])), abs=TOLERANCE)


def test_mann_whitney_leaves_out_what_is_missing() -> None:
    nan = np.nan
    before = np.array([[1.0, nan, 2.0], [nan, nan, nan], [3.0, 3.0, 3.0]])
    after = np.array([[3.0, 4.0, nan], [1.0, 2.0, 3.0], [3.0, 3.0, nan]])
    u, p = mann_whitney(before, after)
    assert u[[0, 2]].tolist() == [4.0, 3.0]
    assert p[0] == pytest.approx(1 / 6)
    assert p[2] == 1.0
    assert np.isnan([u[1], p[1]]).all()


def test_mann_whitney_of_many_equal_values_finds_nothing() -> None:
    assert mann_whitney(np.ones((1, 30)), np.ones((1, 15)))[1].tolist() == [1.0]


def test_discoveries_are_those_of_benjamini_and_hochberg(random: np.random.Generator) -> None:
    p = random.uniform(0, 1, (500, 5)) ** 4
    right = [stats.false_discovery_control(row) <= 0.05 for row in p]
    assert find_discoveries(p, 0.05).tolist() == np.array(right).tolist()


def test_an_unknown_p_is_no_discovery_but_counts() -> None:
    p = np.array([[0.009, np.nan, np.nan, np.nan, np.nan], [0.011, 1.0, 1.0, 1.0, 1.0]])
    assert find_discoveries(p, 0.05).tolist() == [[True] + [False] * 4, [False] * 5]
