"""Moments against the explicit lagged design."""

import numpy as np
import pytest
from oracle import design

from eegic.trf import lags, moments


def explicit(x, y, span, keep, origin):
    columns = (design(x, span) - np.repeat(origin.x, len(span)))[keep]
    outputs = (y - origin.y)[keep]
    return columns, outputs


@pytest.fixture
def recording(rng):
    x = rng.standard_normal((400, 3)) @ rng.standard_normal((3, 3)) + [5.0, -2.0, 0.5]
    return x, rng.standard_normal((400, 7)) - 4, moments.Origin(x.mean(axis=0), np.full(7, -3.5))


@pytest.mark.parametrize("window", [(0, 4), (-3, 4), (2, 6), (-6, -2), (0, 0)])
@pytest.mark.parametrize("stretch", [(0, 400), (100, 307)])
@pytest.mark.parametrize("left_out", ["nothing", "a stretch", "most"])
def test_moments_are_those_of_the_explicit_design(rng, recording, window, stretch, left_out):
    x, y, origin = recording
    span = range(window[0], window[1] + 1)
    keep = np.ones(400, bool)
    if left_out == "a stretch":
        keep[120:160] = False
    elif left_out == "most":
        keep = rng.random(400) < 0.2
    got = moments.compute(x, y, span, keep, origin, first=stretch[0], stop=stretch[1])
    inside = keep & (np.arange(400) >= stretch[0]) & (np.arange(400) < stretch[1])
    columns, outputs = explicit(x, y, span, inside, origin)
    assert got.n == inside.sum()
    for mine, theirs in (
        (got.xx, columns.T @ columns),
        (got.xy, columns.T @ outputs),
        (got.x, columns.sum(axis=0)),
        (got.y, outputs.sum(axis=0)),
        (got.yy, (outputs**2).sum(axis=0)),
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-10 * max(1, abs(theirs).max()))
    np.testing.assert_allclose(got.feature_sd(), x[inside].std(axis=0), rtol=1e-12)


def test_values_behind_the_mask_do_not_matter(rng, recording):
    x, y, origin = recording
    keep = np.ones(400, bool)
    keep[50:80] = False
    spoiled_x, spoiled_y = x.copy(), y.copy()
    spoiled_x[50:70] = np.nan  # reaches samples 50 to 76 through lags 0 to 6
    spoiled_y[50:80] = 1e9
    whole = x.copy()
    whole[50:70] = origin.x
    span = range(0, 7)
    a = moments.compute(whole, y, span, keep, origin)
    b = moments.compute(spoiled_x, spoiled_y, span, keep, origin)
    np.testing.assert_allclose(a.xx, b.xx, rtol=1e-12)
    np.testing.assert_array_equal(a.xy, b.xy)


def test_moments_add_and_subtract(recording):
    x, y, origin = recording
    span, keep = range(-2, 5), np.ones(400, bool)
    whole = moments.compute(x, y, span, keep, origin)
    parts = [moments.compute(x, y, span, keep, origin, first=a, stop=b) for a, b in ((0, 150), (150, 400))]
    np.testing.assert_allclose((parts[0] + parts[1]).xx, whole.xx, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose((whole - parts[0]).xy, parts[1].xy, rtol=1e-9, atol=1e-9)
    other = moments.compute(x, y, span, keep, moments.Origin(origin.x + 1, origin.y))
    with pytest.raises(ValueError, match="different origins"):
        whole + other


def test_projected_moments_are_those_of_the_projected_design(rng, recording):
    x, y, origin = recording
    span, keep = range(0, 5), np.ones(400, bool)
    mapping = rng.standard_normal((15, 4))
    columns, outputs = explicit(x, y, span, keep, origin)
    got = moments.compute(x, y, span, keep, origin).project(mapping)
    np.testing.assert_allclose(got.xx, (columns @ mapping).T @ (columns @ mapping), rtol=1e-9)
    np.testing.assert_allclose(got.xy, (columns @ mapping).T @ outputs, rtol=1e-9, atol=1e-9)


def test_many_columns_need_no_design(rng):
    """A spectrogram of 32 bands and 50 lags: products at random places equal explicit sums."""
    x = rng.standard_normal((3000, 32))
    span = range(-5, 45)
    got = moments.compute(
        x, rng.standard_normal((3000, 2)), span, np.ones(3000, bool), moments.Origin(np.zeros(32), np.zeros(2))
    )
    padded, start = lags.pad(x, span, np.zeros(32), np)
    for f, i, g, j in rng.integers(0, [32, 50, 32, 50], (200, 4)):
        a, b = (padded[c, start - k : start - k + 3000] for c, k in ((f, i), (g, j)))
        assert got.xx[f * 50 + i, g * 50 + j] == pytest.approx(a @ b, abs=1e-9)
