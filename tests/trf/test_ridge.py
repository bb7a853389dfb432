"""Every alpha from one product, against solving for each alpha by itself, where digits are hard to keep."""

import warnings

import numpy as np
import pytest

from eegic.trf import design as designing
from eegic.trf.ridge import Ridge

SFREQ = 32.0


def moments(x, y, n_lags=6):
    trials, layout = designing.lay_out(
        x, y, SFREQ, 0.0, (n_lags - 1) / SFREQ, penalty="ridge", basis=None, bands=None, masks=None, backward=False
    )
    recording = designing.Recording.of(trials, layout)
    return [recording.moments(i, 0, n) for i, n in enumerate(trials.lengths)], layout


def one_by_one(train, test, alphas):
    """Sums of squares, products and r of the predictions, a linear solve for each alpha."""
    scatter, cross, _ = train.about_means
    held, held_cross, held_y = test.about_means
    weights = np.stack([np.linalg.solve(scatter + alpha * np.eye(len(scatter)), cross) for alpha in alphas])
    squares = np.einsum("akc,kl,alc->ac", weights, held, weights)
    return squares, np.einsum("akc,kc->ac", weights, held_cross) / np.sqrt(squares * held_y)


@pytest.mark.parametrize(
    "kind", ["white", "smooth", "copies", "tiny beside large", "orthogonal columns", "rank deficient"]
)
def test_every_alpha_equals_a_solve_of_its_own(rng, kind):
    x = [rng.standard_normal((400, 3)) for _ in range(4)]
    if kind == "smooth":
        x = [np.cumsum(t, axis=0) - np.cumsum(t, axis=0).mean(axis=0) for t in x]
    elif kind == "copies":  # eigenvalues that are equal but for rounding
        x = [np.hstack([t[:, :1], t[:, :1] + 1e-9 * t[:, 1:2], t[:, 2:]]) for t in x]
    elif kind == "tiny beside large":
        x = [t * np.array([1e-5, 1, 1e4]) for t in x]
    elif kind == "orthogonal columns":
        x = [np.kron(np.eye(8), np.ones((50, 1)))[:, :3] * np.tile([1.0, -1.0], 200)[:, None] for _ in x]
        x = [t + 1e-3 * rng.standard_normal(t.shape) for t in x]
    elif kind == "rank deficient":
        x = [np.hstack([t[:, :2], t[:, :1] + t[:, 1:2]]) for t in x]
    y = [t @ rng.standard_normal((3, 5)) / t.std() + 3 * rng.standard_normal((400, 5)) + 2 for t in x]
    (a, b, c, test), layout = moments(x, y)
    train = a + b + c
    largest = np.linalg.eigvalsh(train.about_means[0])[-1]
    alphas = largest * np.logspace(-6, 8, 15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Ridge(layout, "absolute").path(train, 3, alphas, np.ones(1))
    squares, r = one_by_one(train, test, alphas)
    np.testing.assert_allclose(path._squares(test.about_means[0]), squares, rtol=2e-8)
    np.testing.assert_allclose(path.r(test), r, atol=1e-9)
    moving = alphas < 1e4 * largest  # beyond, predictions are so nearly constant that the sums have lost them
    np.testing.assert_allclose(path.predict(test).score("r")[moving], r[moving], atol=1e-8)
    for position in (0, 5, 9):
        at = path.at(np.array([position])).predict(test)
        for metric in ("r", "r2", "mse"):
            np.testing.assert_allclose(path.predict(test).score(metric)[position], at.score(metric)[0], atol=1e-8)


def test_variants_stacked_equal_each_alone(rng):
    x = [rng.standard_normal((300, 2)) for _ in range(4)]
    y = [t @ rng.standard_normal((2, 3)) + rng.standard_normal((300, 3)) for t in x]
    parts, layout = moments(x, y)
    others, _ = moments([np.hstack([t[:, :1], rng.standard_normal((300, 1))]) for t in x], y)
    added = slice(6, None), slice(1, None)
    stacked = [
        part.put(type(part.take(*added)).stack([part.take(*added), other.take(*added)]))
        for part, other in zip(parts, others, strict=True)
    ]
    model, alphas = Ridge(layout, "relative"), np.logspace(-2, 2, 4)
    path = model.path(stacked[0] + stacked[1] + stacked[2], 3, alphas, np.ones(1))
    single = model.path(parts[0] + parts[1] + parts[2], 3, alphas, np.ones(1))
    np.testing.assert_allclose(path.r(stacked[3])[0], single.r(parts[3]), atol=1e-12)
    solved = model.solve(stacked[0] + stacked[1] + stacked[2], 3, alphas[[2, 0]]).predict(stacked[3]).score("r")
    np.testing.assert_allclose(solved[0, 0], single.r(parts[3])[2], atol=1e-12)
    np.testing.assert_allclose(solved[1, 0], path.r(stacked[3])[1, 0], atol=1e-12)


def test_channels_that_are_flat_in_training_or_test_have_no_r(rng):
    x = [rng.standard_normal((300, 1)) for _ in range(3)]
    y = [t @ np.ones((1, 3)) + rng.standard_normal((300, 3)) for t in x]
    y[0][:, 1], y[1][:, 1], y[2][:, 2] = 5.0, 5.0, -3.0
    (a, b, test), layout = moments(x, y)
    r = Ridge(layout, "relative").path(a + b, 2, np.array([0.1, 1.0]), np.ones(1)).r(test)
    np.testing.assert_array_equal(np.isnan(r), [[False, True, True]] * 2)
