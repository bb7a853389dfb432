"""P-values against their definition and against scipy."""

import numpy as np
import pytest
from scipy.stats import permutation_test

from eegic import stats


def test_p_values_equal_those_of_scipy(rng):
    a, b = rng.standard_normal(6) + 0.8, rng.standard_normal(5)
    exact = permutation_test(
        (a, b),
        lambda x, y, axis: x.mean(axis) - y.mean(axis),
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    null = exact.null_distribution
    others = np.delete(null, np.argmin(abs(null - exact.statistic)))  # the observed assignment is one of them
    assert stats.p_value(np.array(exact.statistic), others) == pytest.approx(exact.pvalue)


def test_the_observed_value_is_one_of_the_surrogates():
    assert stats.p_value(np.array(10.0), np.zeros(19)) == pytest.approx(0.05)
    assert stats.p_value(np.array(-1.0), np.zeros(19)) == 1.0


def test_equal_up_to_rounding_counts_as_at_least_as_large():
    assert stats.p_value(np.array(0.3), np.array([0.1 + 0.2, 0.3 - 1e-16, 0.2])) == 0.75


def test_undefined_channels_have_no_p_value_and_disturb_no_other(rng):
    observed, null = rng.standard_normal(5) + 2, rng.standard_normal((99, 5))
    plain = stats.max_statistic(observed[[0, 1, 3]], null[:, [0, 1, 3]])
    observed[2], null[:, 2], null[:, 4], observed[4] = np.nan, np.nan, 0.0, 0.0
    p = stats.max_statistic(observed, null)
    np.testing.assert_array_equal(p[[0, 1, 3]], plain)
    assert np.isnan(p[[2, 4]]).all()
    assert np.isnan(stats.p_value(observed, null)[2])
    assert np.isnan(stats.max_statistic(np.full(3, np.nan), np.zeros((5, 3)))).all()


def test_scale_of_a_channel_does_not_matter(rng):
    observed, null = rng.standard_normal(4) + 2, rng.standard_normal((199, 4))
    scale = np.array([1, 1e6, 1e-6, 3.0])
    np.testing.assert_array_equal(
        stats.max_statistic(observed, null), stats.max_statistic(observed * scale, null * scale)
    )


def test_the_maximum_holds_the_familywise_error(rng):
    draws = rng.standard_normal((400, 40, 30)) @ (np.eye(30) + 0.5)  # studies, surrogates and observed, channels
    smallest = np.array([stats.max_statistic(study[0], study[1:]).min() for study in draws])
    assert 7 <= (smallest <= 0.05).sum() <= 36  # binomial window of a true 5 %, wrong once in a thousand
    single = np.array([stats.p_value(study[0], study[1:]).min() for study in draws])
    assert (single <= 0.05).mean() > 0.1


def test_undefined_surrogates_make_no_p_value_smaller():
    assert stats.p_value(np.array(1.0), np.full(19, np.nan)) == 1.0


@pytest.mark.parametrize("p_values", [stats.p_value, stats.max_statistic])
@pytest.mark.parametrize(
    ("observed", "null", "message"),
    [
        (
            np.zeros(6),
            np.zeros((6, 99)),
            r"null: expected shape \(n_null, 6\).* got \(6, 99\). Is it transposed\? Pass",
        ),
        (np.zeros(6), np.zeros((99, 1)), r"expected shape \(n_null, 6\), a row per surrogate of .* got \(99, 1\)\.$"),
        (np.zeros(6), np.zeros(6), r"expected shape \(n_null, 6\), a row per surrogate .* got \(6,\)"),
        (np.zeros(6), 0.0, r"expected shape \(n_null, 6\), a row per surrogate .* got \(\)"),
        (np.zeros(6), np.zeros((0, 6)), "null: expected at least one surrogate, got none"),
    ],
)
def test_the_null_has_a_row_per_surrogate_that_looks_like_the_observed(p_values, observed, null, message):
    with pytest.raises(ValueError, match=message):
        p_values(observed, null)


def test_statistics_are_real_numbers_of_channels():
    with pytest.raises(ValueError, match=r"null: expected shape \(n_null,\), a row per surrogate .* got \(99, 6\)"):
        stats.p_value(1.0, np.zeros((99, 6)))
    with pytest.raises(ValueError, match=r"observed: expected an array \(n_channels,\), got shape \(2, 6\)"):
        stats.max_statistic(np.zeros((2, 6)), np.zeros((99, 2, 6)))
    with pytest.raises(TypeError, match="null: expected real numbers, got dtype complex128"):
        stats.p_value(np.zeros(6), np.zeros((99, 6), complex))
    assert stats.p_value([2.0], [[1.0]]).tolist() == [0.5]
