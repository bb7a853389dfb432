"""Fitted models against scikit-learn, mTRFpy, MNE, the MATLAB toolbox and closed forms."""

from pathlib import Path

import mne
import mtrf
import numpy as np
import pytest
from oracle import design, ridge, trials

from eegic import trf

SFREQ = 64.0
WINDOW = {"tmin": -2 / SFREQ, "tmax": 4 / SFREQ}
SPAN = range(-2, 5)


@pytest.fixture
def data(rng):
    return trials(rng)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e4])
def test_weights_equal_scikit_learn(data, alpha):
    x, y = data
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=alpha, alpha_units="absolute")
    weights, bias = ridge([design(t, SPAN) for t in x], y, alpha)
    np.testing.assert_allclose(model.weights.reshape(21, 7), weights, rtol=1e-10, atol=1e-10 * abs(weights).max())
    np.testing.assert_allclose(model.intercept, bias, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("alpha", [0.1, 100.0])
def test_weights_and_bias_equal_mtrf(data, alpha, backward):
    x, y = data
    theirs = mtrf.TRF(direction=-1 if backward else 1)
    theirs.train(list(x), list(y), 64, WINDOW["tmin"], WINDOW["tmax"], alpha)
    ours = trf.fit(x, y, 64, **WINDOW, alpha=alpha, alpha_units="mtrf", backward=backward)
    assert ours.weights.shape == theirs.weights.shape
    np.testing.assert_allclose(ours.weights * 64, theirs.weights, rtol=1e-10, atol=1e-10 * abs(theirs.weights).max())
    np.testing.assert_allclose(ours.intercept * 64, theirs.bias.ravel(), rtol=1e-8, atol=1e-9 * abs(theirs.bias).max())
    np.testing.assert_allclose(ours.times, theirs.times)


def test_toolbox_alpha_is_mtrf_alpha_times_the_number_of_trials(data):
    a = trf.fit(*data, SFREQ, **WINDOW, alpha=5.0, alpha_units="toolbox")
    b = trf.fit(*data, SFREQ, **WINDOW, alpha=1.0, alpha_units="mtrf")
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-12)


def test_relative_alpha_is_ridge_on_standardised_features(data):
    x, y = data
    together = np.concatenate(x)
    scaled = [t / together.std(axis=0) for t in x]
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=0.3)
    weights, _ = ridge([design(t, SPAN) for t in scaled], y, 0.3 * len(together))
    expected = weights.reshape(3, 7, 7) / together.std(axis=0)[:, None, None]
    np.testing.assert_allclose(model.weights, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("alpha", [0.5, 200.0])
def test_weights_equal_mne_without_intercept(rng, alpha):
    """MNE fits no intercept here; trials together with their mirror images have mean zero, so ours vanishes."""
    x, y = trials(rng, lengths=(400, 400, 400))
    x, y = [*x, *(-t for t in x)], [*y, *(-t for t in y)]
    edges = WINDOW["tmin"], WINDOW["tmax"]
    theirs = mne.decoding.TimeDelayingRidge(*edges, 64, alpha=alpha, reg_type="ridge", fit_intercept=False)
    theirs.fit(np.stack(x, axis=1), np.stack(y, axis=1))
    ours = trf.fit(x, y, SFREQ, **WINDOW, alpha=alpha, alpha_units="absolute")
    largest = abs(ours.weights).max()
    np.testing.assert_allclose(ours.weights, theirs.coef_.transpose(1, 2, 0), rtol=0, atol=1e-8 * largest)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_weights_equal_the_matlab_toolbox(direction):
    """Toolbox 1.x, lambda 1, where one penalised column of ones per feature stands for the intercept.

    Three such columns of weight c cost 3 c^2 and add up to 3 c: one constant at a third of the penalty. A trial and its
    mirror image together have mean zero, so the intercept of ours vanishes.
    """
    stored = np.load(Path(__file__).parents[1] / "references" / "mtrf_toolbox.npz")
    x, y = (stored["x"], stored["y"]) if direction == "forward" else (stored["y"], stored["x"])
    x = np.hstack([x, np.ones((len(x), 1))])
    edge = 4 / 64
    model = trf.fit(
        [x, -x],
        [y, -y],
        64.0,
        tmin=[-edge, -edge, -edge, 0],
        tmax=[edge, edge, edge, 0],
        alpha=(2.0, 2.0 / 3),
        alpha_units="absolute",
        bands=[0, 0, 0, 1],
    )
    np.testing.assert_allclose(model.weights[:3], stored[f"{direction}_weights"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(model.weights[3, 4], stored[f"{direction}_constants"].sum(axis=0), atol=1e-10)
    np.testing.assert_allclose(model.intercept, 0, atol=1e-12)


def test_smooth_penalty_equals_its_explicit_system(data):
    x, y = data
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=50.0, alpha_units="absolute", penalty="smooth")
    full = np.concatenate([design(t, SPAN) for t in x])
    target = np.concatenate(y)
    steps = np.diff(np.eye(7), axis=0)
    penalty = np.kron(np.eye(3), 0.5 * steps.T @ steps + 1e-4 * np.eye(7))
    centred = full - full.mean(axis=0)
    expected = np.linalg.solve(centred.T @ centred + 50 * penalty, centred.T @ (target - target.mean(axis=0)))
    np.testing.assert_allclose(model.weights.reshape(21, 7), expected, rtol=1e-8, atol=1e-9 * abs(expected).max())


def test_smooth_penalty_smooths_each_feature_for_itself(rng):
    x, y = rng.standard_normal((500, 2)), rng.standard_normal((500, 1))
    model = trf.fit(x, y, SFREQ, tmin=0, tmax=0.3, alpha=1e4, penalty="smooth")
    assert abs(np.diff(model.weights, axis=1)).max() < 0.05 * abs(model.weights).max()
    assert abs(model.weights[0].mean() - model.weights[1].mean()) > 0.1 * abs(model.weights).max()


def test_smooth_penalty_is_near_mtrf_tikhonov_for_one_feature(rng):
    x, y = trials(rng, n_features=1)
    theirs = mtrf.TRF(method="tikhonov")
    theirs.train(list(x), list(y), 64, WINDOW["tmin"], WINDOW["tmax"], 2.0)
    ours = trf.fit(x, y, 64, **WINDOW, alpha=2.0, alpha_units="mtrf", penalty="smooth")
    np.testing.assert_allclose(ours.weights * 64, theirs.weights, atol=2e-3 * abs(theirs.weights).max())


def test_basis_equals_regression_on_its_columns(data):
    x, y = data
    basis = trf.bspline_basis(WINDOW["tmin"], WINDOW["tmax"], SFREQ, spacing=0.05)
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=0.0, alpha_units="absolute", basis=basis)
    block = np.kron(np.eye(3), basis)
    weights, bias = ridge([design(t, SPAN) @ block for t in x], y, 0.0)
    np.testing.assert_allclose(model.weights.reshape(21, 7), block @ weights, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(model.intercept, bias, rtol=1e-8)


def test_ridge_on_a_basis_penalises_the_kernel_not_the_coordinates(data):
    x, y = data
    basis = trf.bspline_basis(WINDOW["tmin"], WINDOW["tmax"], SFREQ, spacing=0.05)
    options = {**WINDOW, "alpha": 0.5}
    a = trf.fit(x, y, SFREQ, **options, basis=basis)
    b = trf.fit(x, y, SFREQ, **options, basis=basis @ np.diag([1.0, 50.0, 0.1, *np.ones(basis.shape[1] - 3)]))
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-7, atol=1e-10)


def test_band_alphas_equal_an_explicit_penalty(data):
    x, y = data
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=(3.0, 400.0), alpha_units="absolute", bands=[0, 1, 1])
    full = np.concatenate([design(t, SPAN) for t in x])
    centred, target = full - full.mean(axis=0), np.concatenate(y)
    penalty = np.diag(np.repeat([3.0, 400.0, 400.0], 7))
    expected = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (target - target.mean(axis=0)))
    np.testing.assert_allclose(model.weights.reshape(21, 7), expected, rtol=1e-9, atol=1e-10)


def test_prediction_and_scores_equal_explicit_ones(data):
    x, y = data
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=0.1)
    expected = [design(t, SPAN) @ model.weights.reshape(21, 7) + model.intercept for t in x]
    for mine, theirs in zip(model.predict(x), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-10)
    for i in range(5):
        r = [np.corrcoef(expected[i][:, c], y[i][:, c])[0, 1] for c in range(7)]
        np.testing.assert_allclose(model.score(x, y)[i], r, atol=1e-10)
        mse = ((expected[i] - y[i]) ** 2).mean(axis=0)
        np.testing.assert_allclose(model.score(x, y, metric="mse")[i], mse, rtol=1e-10)
        np.testing.assert_allclose(model.score(x, y, metric="r2")[i], 1 - mse / y[i].var(axis=0), atol=1e-10)


def test_long_predictions_have_no_seams(rng):
    x = rng.standard_normal((20_000, 2))
    model = trf.fit(x, rng.standard_normal((20_000, 3)), SFREQ, **WINDOW, alpha=0.1)
    np.testing.assert_allclose(model.predict(x)[0], design(x, SPAN) @ model.weights.reshape(14, 3) + model.intercept)


def test_scores_skip_masked_and_unknown_samples(data):
    x, y = data
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=0.1)
    spoiled = [t.copy() for t in y]
    spoiled[0][50:90, 2] = np.nan
    keep = np.ones(len(y[0]), bool)
    keep[50:90] = False
    prediction = model.predict(x[0])[0]
    expected = [np.corrcoef(prediction[keep, c], y[0][keep, c])[0, 1] for c in range(7)]
    np.testing.assert_allclose(model.score(x, spoiled)[0], expected, atol=1e-10)
    np.testing.assert_allclose(model.score(x[0], y[0], masks=[keep])[0], expected, atol=1e-10)


def test_patterns_equal_haufe_with_several_correlated_outputs(rng):
    """Patterns of a backward model recover how the sources mix into the channels; weights do not."""
    n = 20_000
    sources = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.6], [0.0, 0.8]])
    mixing = rng.standard_normal((2, 6))
    eeg = sources @ mixing + 0.1 * rng.standard_normal((n, 6)) @ rng.standard_normal((6, 6))
    model = trf.fit(sources, eeg, SFREQ, tmin=0, tmax=0, alpha=1e-9, backward=True)
    flat = model.weights[:, 0]
    estimate = (eeg - eeg.mean(axis=0)) @ flat
    explicit = np.cov(eeg.T) @ flat @ np.linalg.inv(np.cov(estimate.T))
    np.testing.assert_allclose(model.patterns()[:, 0], explicit, rtol=1e-6)
    np.testing.assert_allclose(model.patterns()[:, 0], mixing.T, atol=0.05)
    assert abs(flat - mixing.T).max() > 0.3


def test_mtrf_round_trip_predicts_the_same(data):
    x, y = data
    for sfreq, last in ((64.0, 4), (100.0, 28), (50.0, 7)):  # windows whose ends mtrf mistakes in floating point
        model = trf.fit(x, y, sfreq, tmin=-2 / sfreq, tmax=last / sfreq, alpha=0.1)
        exported = model.to_mtrf()
        for mine, theirs in zip(model.predict(x), exported.predict(stimulus=list(x)), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-9)
        back = trf.TRF.from_mtrf(exported)
        np.testing.assert_allclose(back.weights, model.weights)
        assert back.lags == model.lags
    with pytest.raises(ValueError, match="no training data"):
        back.patterns()


def test_backward_model_travels_to_mtrf(data):
    x, y = data
    model = trf.fit(x, y, 64, **WINDOW, alpha=1.0, backward=True)
    theirs = model.to_mtrf().predict(response=list(y))
    np.testing.assert_allclose(model.predict(y)[1], theirs[1], atol=1e-9)
    assert trf.TRF.from_mtrf(model.to_mtrf()).backward


def test_untrained_mtrf_model_is_refused():
    with pytest.raises(ValueError, match="not trained"):
        trf.TRF.from_mtrf(mtrf.TRF())


def test_collinear_features_need_an_alpha(data):
    x, y = data
    doubled = [np.hstack([t, t[:, :1]]) for t in x]
    with pytest.raises(ValueError, match="alpha 0 has no unique solution"):
        trf.fit(doubled, y, SFREQ, **WINDOW, alpha=0.0)
    model = trf.fit(doubled, y, SFREQ, **WINDOW, alpha=0.01)
    np.testing.assert_allclose(model.weights[0], model.weights[3], rtol=1e-6)
    with pytest.warns(UserWarning, match="nearly collinear"):
        trf.fit(doubled, y, SFREQ, **WINDOW, alpha=1e-14)


def test_alpha_zero_is_least_squares(data):
    x, y = data
    model = trf.fit(x, y, SFREQ, **WINDOW, alpha=0.0)
    weights, _ = ridge([design(t, SPAN) for t in x], y, 0.0)
    np.testing.assert_allclose(model.weights.reshape(21, 7), weights, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -1.0}, "not negative"),
        ({"alpha": (1.0, 2.0)}, "one per band"),
        ({"alpha": (1.0, 0.0), "bands": [0, 1, 1]}, "positive"),
        ({"tmin": [0, 0]}, "one per feature"),
        ({"tmin": [0, 0, 0], "backward": True}, "one window"),
        ({"basis": np.ones((5, 2))}, "one row per lag"),
        ({"basis": np.ones((7, 2))}, "not independent"),
        ({"sfreq": 0.0}, "positive"),
    ],
)
def test_impossible_models_are_refused(data, change, message):
    options = {**WINDOW, "alpha": 1.0, "sfreq": SFREQ, **change}
    with pytest.raises(ValueError, match=message):
        trf.fit(*data, options.pop("sfreq"), **options)


def test_wrong_number_of_inputs_is_refused(data):
    model = trf.fit(*data, SFREQ, **WINDOW, alpha=1.0)
    with pytest.raises(ValueError, match="the model has 3 inputs, got 7"):
        model.predict(data[1])
    with pytest.raises(ValueError, match="expected one of"):
        model.score(*data, metric="corr")


def test_a_dead_channel_has_no_kernel_and_changes_no_other(data):
    x, y = data
    plain = trf.fit(x, [t[:, :6] for t in y], SFREQ, **WINDOW, alpha=0.1)
    for t in y:
        t[:, 6] = np.nan
    with pytest.warns(UserWarning, match=r"channels \[6\] are NaN throughout"):
        model = trf.fit(x, y, SFREQ, **WINDOW, alpha=0.1)
    np.testing.assert_allclose(model.weights[..., :6], plain.weights, atol=1e-12)
    np.testing.assert_allclose(model.patterns()[..., :6], plain.patterns(), rtol=1e-6, atol=1e-9)
    with pytest.warns(UserWarning, match="NaN throughout"):
        scores = model.score(x, y)
    np.testing.assert_allclose(scores[:, :6], plain.score(x, [t[:, :6] for t in y]), atol=1e-12)
    for result in (model.weights, model.patterns(), model.intercept, model.predict(x)[0], scores):
        assert np.isnan(result[..., 6]).all()
