"""Held-out scores against explicit designs, scikit-learn and mTRFpy."""

import mtrf
import mtrf.stats
import numpy as np
import pandas as pd
import pytest
from oracle import correlations, design, ridge, trials

from eegic import FeatureSeries, trf

ALPHAS = np.array([1e-2, 1.0, 30.0, 1e3, 1e5])
SFREQ = 64.0
WINDOW = {"tmin": -2 / SFREQ, "tmax": 4 / SFREQ}
SPAN = range(-2, 5)
pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")


@pytest.fixture
def data(rng):
    return trials(rng)


def explicit_path(x, y, span, alphas, folds):
    """Held-out r (n_trials, n_alphas, n_channels) from samples: explicit design, scikit-learn, numpy.corrcoef."""
    designs = [design(trial, span) for trial in x]
    r = np.zeros((len(x), len(alphas), y[0].shape[1]))
    for fold in folds:
        rest = [i for i in range(len(x)) if i not in fold]
        for a, alpha in enumerate(alphas):
            weights, bias = ridge([designs[i] for i in rest], [y[i] for i in rest], alpha)
            for i in fold:
                r[i, a] = correlations(designs[i] @ weights + bias, y[i])
    return r


@pytest.mark.parametrize("folds", [None, 2])
def test_path_from_moments_equals_path_from_samples(data, folds):
    x, y = data
    path = trf.crossval_path(x, y, SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute", n_folds=folds)
    expected = explicit_path(x, y, SPAN, ALPHAS, trf.group_folds(None, len(x), folds))
    np.testing.assert_allclose(path.score("r"), expected, rtol=0, atol=1e-9)
    by_fold = np.stack([expected[list(fold)].mean(axis=0) for fold in path.folds])
    np.testing.assert_allclose(path.folds_score("r"), by_fold, atol=1e-9)


def test_every_metric_equals_its_definition(data):
    x, y = data
    path = trf.crossval_path(x, y, SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute")
    designs = [design(trial, SPAN) for trial in x]
    predictions = []
    for i in range(len(x)):
        rest = [j for j in range(len(x)) if j != i]
        weights, bias = ridge([designs[j] for j in rest], [y[j] for j in rest], ALPHAS[2])
        predictions.append(designs[i] @ weights + bias)
        error = ((predictions[i] - y[i]) ** 2).mean(axis=0)
        np.testing.assert_allclose(path.score("mse")[i, 2], error, rtol=1e-9)
        np.testing.assert_allclose(path.score("r2")[i, 2], 1 - error / y[i].var(axis=0), atol=1e-9)
    together = correlations(np.concatenate(predictions), np.concatenate(y))
    np.testing.assert_allclose(path.concatenated("r")[2], together, atol=1e-9)


def explicit_nested(x, y, span, alphas, per_channel):
    """Nested leave-one-out with plain loops: r (n_trials, n_channels) and alphas."""
    r, chosen = [], []
    for i in range(len(x)):
        rest = [j for j in range(len(x)) if j != i]
        inner = explicit_path([x[j] for j in rest], [y[j] for j in rest], span, alphas, [[k] for k in range(len(rest))])
        score = inner.mean(axis=0)  # (n_alphas, n_channels)
        best = np.argmax(score, axis=0) if per_channel else np.full(y[0].shape[1], np.argmax(score.mean(axis=1)))
        outer = explicit_path(x, y, span, alphas, [[i]])[i]
        r.append(outer[best, np.arange(len(best))])
        chosen.append(alphas[best])
    return np.array(r), np.array(chosen)


@pytest.mark.parametrize("per_channel", [False, True])
def test_nested_equals_plain_loops(data, per_channel):
    x, y = data
    cv = trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute", per_channel=per_channel)
    r, chosen = explicit_nested(x, y, SPAN, ALPHAS, per_channel)
    np.testing.assert_allclose(cv.r, r, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(cv.alpha if per_channel else cv.alpha[:, None] * np.ones(7), chosen)


def test_nested_equals_mtrf(data):
    x, y = data
    cv = trf.nested_crossval(x, y, 64, **WINDOW, alphas=ALPHAS, alpha_units="mtrf")
    theirs, alphas = mtrf.stats.nested_crossval(
        mtrf.TRF(), list(x), list(y), 64, WINDOW["tmin"], WINDOW["tmax"], list(ALPHAS), verbose=False
    )
    np.testing.assert_allclose(cv.r.mean(axis=1), theirs, rtol=1e-10)
    np.testing.assert_array_equal(cv.alpha, alphas)


def test_backward_nested_equals_mtrf(data):
    x, y = data
    cv = trf.nested_crossval(x, y, 64, **WINDOW, alphas=ALPHAS, alpha_units="mtrf", backward=True)
    theirs, alphas = mtrf.stats.nested_crossval(
        mtrf.TRF(direction=-1), list(x), list(y), 64, WINDOW["tmin"], WINDOW["tmax"], list(ALPHAS), verbose=False
    )
    np.testing.assert_allclose(cv.r.mean(axis=1), theirs, rtol=1e-9)
    np.testing.assert_array_equal(cv.alpha, alphas)


def test_groups_stay_together(rng):
    x, y = trials(rng, lengths=(300, 320, 340, 360, 380, 400))
    groups = ["a", "b", "a", "c", "d", "b"]
    cv = trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute", groups=groups)
    assert cv.folds == ((0, 2), (1, 5), (3,), (4,))
    at_chosen = np.searchsorted(ALPHAS, cv.alpha)
    for fold, a in zip(cv.folds, at_chosen, strict=True):
        expected = explicit_path(x, y, SPAN, ALPHAS[[a]], [fold])
        np.testing.assert_allclose(cv.r[list(fold)], expected[list(fold), 0], atol=1e-9)


def test_held_out_data_change_neither_alpha_nor_weights(data):
    """A sentinel in a test trial must not reach its own training set."""
    x, y = data
    options = {**WINDOW, "alphas": ALPHAS[1:4]}
    before = trf.nested_crossval(x, y, SFREQ, **options)
    x[2], y[2] = 40 * x[2] + 7, -(y[2] ** 2)
    after = trf.nested_crossval(x, y, SFREQ, **options)
    assert before.alpha[2] == after.alpha[2]
    np.testing.assert_allclose(before.weights[2], after.weights[2], rtol=1e-8, atol=1e-10)
    assert abs(before.weights[0] - after.weights[0]).max() > 1e-3  # the others did learn from it


def test_relative_alpha_ignores_units_and_length(data):
    x, y = data
    options = {**WINDOW, "alphas": [0.1]}
    plain = trf.nested_crossval(x, y, SFREQ, **options)
    same = trf.nested_crossval([t * [1e6, 1.0, 1e-4] for t in x], [t * 1e-6 for t in y], SFREQ, **options)
    np.testing.assert_allclose(plain.r, same.r, atol=1e-9)
    twice = trf.crossval_path(x + x, y + y, SFREQ, **options, groups=[*range(5), *range(5)])
    np.testing.assert_allclose(twice.score()[:5, 0], plain.r, atol=1e-9)


def test_dc_offset_channel_order_and_trial_order_change_nothing(rng, data):
    x, y = data
    options = {**WINDOW, "alphas": [0.03, 0.1, 0.3]}
    plain = trf.nested_crossval(x, y, SFREQ, **options)
    offset = trf.nested_crossval(x, [t + 1e6 for t in y], SFREQ, **options)
    order = rng.permutation(7)
    permuted = trf.nested_crossval(x, [t[:, order] for t in y], SFREQ, **options)
    reverse = trf.nested_crossval(x[::-1], y[::-1], SFREQ, **options)
    np.testing.assert_allclose(plain.r, offset.r, atol=1e-6)
    np.testing.assert_allclose(plain.r[:, order], permuted.r, atol=1e-12)
    np.testing.assert_allclose(plain.r, reverse.r[::-1], atol=1e-10)


def test_threads_change_nothing(data):
    x, y = data
    runs = [trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=[0.03, 0.1, 0.3], n_jobs=n).r for n in (1, 2, 4)]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_flat_and_dead_channels_touch_no_other_number(data):
    x, y = data
    options = {**WINDOW, "alphas": [0.03, 0.1, 0.3]}
    plain = trf.nested_crossval(x, [t[:, [0, 1, 3, 4, 6]] for t in y], SFREQ, **options)
    spoiled = [t.copy() for t in y]
    for t in spoiled:
        t[:, 2], t[:, 5] = 17.3, np.nan
    with pytest.warns(UserWarning, match=r"channels \[5\] are NaN throughout"):
        with pytest.warns(UserWarning, match=r"channels \[2\] are constant throughout"):
            cv = trf.nested_crossval(x, spoiled, SFREQ, **options)
    np.testing.assert_allclose(cv.r[:, [0, 1, 3, 4, 6]], plain.r, atol=1e-12)
    np.testing.assert_array_equal(cv.alpha, plain.alpha)
    assert np.isnan(cv.r[:, [2, 5]]).all() and np.isnan(cv.mse[:, [2, 5]]).all()
    assert np.isnan(cv.weights[..., 5]).all() and np.isfinite(cv.weights[..., [0, 1, 2, 3, 4, 6]]).all()


def test_channel_flat_in_one_trial_scores_nan_there_only(data):
    x, y = data
    y[3][:, 4] = -2.5
    with pytest.warns(UserWarning, match=r"channels \[4\] are constant in some"):
        cv = trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=[0.1])
    assert np.isnan(cv.r[3, 4]) and np.isfinite(np.delete(cv.r[:, 4], 3)).all()
    assert np.isfinite(np.delete(cv.r, 4, axis=1)).all()


@pytest.mark.parametrize("how", ["mask", "nan in the EEG", "nan in a feature"])
def test_samples_left_out_are_left_out_everywhere(data, how):
    x, y = data
    keep = [np.ones(len(t), bool) for t in x]
    keep[1][100:160] = False
    masks = None
    if how == "mask":
        masks = keep
    elif how == "nan in the EEG":
        y[1][100:160, 3] = np.nan
    else:
        x[1][102:156, 1] = np.nan  # lags -2 to 4 carry it to samples 100 to 159
    path = trf.crossval_path(x, y, SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute", masks=masks)
    designs = [np.nan_to_num(design(np.nan_to_num(t), SPAN)) for t in x]
    for i in (0, 1):
        rest = [j for j in range(len(x)) if j != i]
        weights, bias = ridge([designs[j][keep[j]] for j in rest], [y[j][keep[j]] for j in rest], ALPHAS[1])
        expected = correlations((designs[i] @ weights + bias)[keep[i]], y[i][keep[i]])
        np.testing.assert_allclose(path.score()[i, 1], expected, atol=1e-9)


def test_one_recording_in_blocks_with_a_gap(rng):
    x, y = trials(rng, lengths=(3000,))
    cv = trf.crossval_path(x, y, SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute", n_folds=5, gap=0.25)
    whole = design(x[0], SPAN)
    blocks = [np.arange(600 * k + (16 if k else 0), 600 * (k + 1)) for k in range(5)]
    for k, block in enumerate(blocks):
        rest = np.concatenate([b for j, b in enumerate(blocks) if j != k])
        weights, bias = ridge([whole[rest]], [y[0][rest]], ALPHAS[1])
        np.testing.assert_allclose(
            cv.score()[k, 1], correlations(whole[block] @ weights + bias, y[0][block]), atol=1e-9
        )
    segments = cv.split.segments
    assert (segments[1:, 1] - segments[:-1, 2] >= len(SPAN)).all()


def test_blocks_of_identical_sounds_share_a_fold(rng):
    x, y = trials(rng, lengths=(900, 900))
    cv = trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=[0.1, 1.0], n_folds=3, gap=0.25)
    assert cv.folds == ((0, 3), (1, 4), (2, 5))
    assert cv.r.shape == (6, 7)


def test_windows_per_feature_equal_selected_columns(data):
    x, y = data
    windows = [range(0, 5), range(-2, 1), range(3, 4)]
    tmin, tmax = zip(*[(w[0] / SFREQ, w[-1] / SFREQ) for w in windows], strict=True)
    path = trf.crossval_path(x, y, SFREQ, tmin=tmin, tmax=tmax, alphas=ALPHAS, alpha_units="absolute")
    designs = [np.hstack([design(t[:, [f]], w) for f, w in enumerate(windows)]) for t in x]
    for i in range(len(x)):
        rest = [j for j in range(len(x)) if j != i]
        weights, bias = ridge([designs[j] for j in rest], [y[j] for j in rest], ALPHAS[2])
        np.testing.assert_allclose(path.score()[i, 2], correlations(designs[i] @ weights + bias, y[i]), atol=1e-9)


def test_bands_find_the_irrelevant_feature_and_do_not_care_for_their_order(rng):
    x = [rng.standard_normal((400, 4)) for _ in range(5)]
    y = [t[:, :1] @ np.ones((1, 3)) + 4 * rng.standard_normal((400, 3)) for t in x]
    options = {"tmin": 0.0, "tmax": 0.3, "alphas": np.logspace(-2, 2, 9)}
    one = trf.nested_crossval(x, y, SFREQ, **options)
    cv = trf.nested_crossval(x, y, SFREQ, **options, bands=[0, 1, 1, 1])
    swapped = trf.nested_crossval([t[:, ::-1] for t in x], y, SFREQ, **options, bands=[0, 0, 0, 1])
    assert (cv.ratios[:, 1] > 30 * cv.ratios[:, 0]).all()
    assert cv.r.mean() > one.r.mean() + 0.03
    np.testing.assert_allclose(cv.ratios, swapped.ratios[:, ::-1])
    np.testing.assert_allclose(cv.r, swapped.r, atol=1e-9)
    np.testing.assert_allclose(np.prod(cv.ratios, axis=1), 1)


def test_equal_bands_are_plain_ridge(data):
    x, y = data
    options = {**WINDOW, "alphas": [0.1, 1.0]}
    plain = trf.crossval_path(x, y, SFREQ, **options)
    banded = trf.crossval_path(x, y, SFREQ, **options, bands=[0, 1, 2], ratios=[1.0, 1.0, 1.0])
    np.testing.assert_allclose(plain.score(), banded.score(), atol=1e-12)


@pytest.mark.parametrize("criterion", ["r2", "mse"])
def test_alpha_can_be_chosen_by_error(data, criterion):
    x, y = data
    cv = trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute", criterion=criterion)
    pick = np.argmax if criterion == "r2" else np.argmin
    expected = [ALPHAS[pick(inner.mean(axis=1))] for inner in cv.inner]
    np.testing.assert_array_equal(cv.alpha, expected)
    path = trf.crossval_path(x[1:], y[1:], SFREQ, **WINDOW, alphas=ALPHAS, alpha_units="absolute")
    np.testing.assert_allclose(cv.inner[0], path.score(criterion).mean(axis=0), rtol=1e-8)


def test_edge_of_the_grid_is_named(data):
    x, y = data
    with pytest.warns(UserWarning, match=r"5 of 5 choices at the smallest \(1e\+06\).*Extend"):
        trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=[1e6, 1e7], alpha_units="absolute")


@pytest.mark.parametrize(
    ("alphas", "message"),
    [([], "empty grid"), ([1, -1], "not negative"), ([1, np.nan], "finite"), ([[1.0]], r"\(n_alphas,\)")],
)
def test_impossible_grids(data, alphas, message):
    with pytest.raises(ValueError, match=message):
        trf.nested_crossval(*data, SFREQ, **WINDOW, alphas=alphas)


def test_grid_is_sorted_and_distinct(data):
    path = trf.crossval_path(*data, SFREQ, **WINDOW, alphas=[10, 1, 10])
    np.testing.assert_array_equal(path.alphas, [1, 10])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tmin": 0.3, "tmax": 0.1}, "backwards"),
        ({"n_folds": 9}, "at most one fold per group"),
        ({"n_folds": 1}, "at least 2"),
        ({"n_folds": 2}, "at least 3 folds"),
        ({"groups": [1, 2]}, "one per trial"),
        ({"groups": [1] * 5}, "at least 2 groups"),
        ({"tmax": 7.0}, "shorter than the kernel"),
        ({"gap": 0.01, "n_folds": 3}, "at least the length of the kernel"),
        ({"gap": 0.5}, "gap: into how many blocks.*Give n_folds="),
        ({"gap": 1.5, "n_folds": 3}, "half of it"),
        ({"criterion": "R"}, "expected one of 'r', 'r2', 'mse', got 'R'"),
        ({"alpha_units": "mtfr"}, "Did you mean 'mtrf'"),
        ({"penalty": "smoth"}, "Did you mean 'smooth'"),
        ({"bands": [0, 2, 2]}, "without gaps"),
        ({"masks": [np.ones(3, bool)] * 5}, "expected 333 booleans"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_impossible_requests_are_refused_before_any_fit(data, change, message):
    with pytest.raises(ValueError, match=message):
        trf.nested_crossval(*data, SFREQ, **{**WINDOW, "alphas": [0.1, 1.0], **change})


def test_one_trial_alone_says_how_to_go_on(data):
    with pytest.raises(ValueError, match="n_folds= and gap="):
        trf.nested_crossval(data[0][:1], data[1][:1], SFREQ, **WINDOW)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda x, y: (x[:3], y), ValueError, "same trials"),
        (lambda x, y: (x, [t[:-1] for t in y]), ValueError, r"Trial 0: x has 333 samples and y has 332"),
        (lambda x, y: (x, [t.astype(complex) for t in y]), TypeError, "real numbers"),
        (lambda x, y: (x, [t.astype(object) for t in y]), TypeError, "real numbers"),
        (lambda x, y: ([t[:, 0] for t in x], y), ValueError, "column"),
        (lambda x, y: ([], []), ValueError, "at least one trial"),
        (lambda x, y: ("sound.wav", y), TypeError, "list of arrays"),
        (lambda x, y: ([x[0][:, :2], *x[1:]], y), ValueError, "same features"),
        (
            lambda x, y: (x, [np.where(np.arange(len(t))[:, None] == 5, np.inf, t) for t in y]),
            ValueError,
            "first at sample 5",
        ),
        (lambda x, y: ([t * [1, 0, 1] + [0, 3, 0] for t in x], y), ValueError, r"Inputs \[1\].*are constant"),
    ],
)
def test_bad_data_are_named(data, spoil, error, message):
    x, y = spoil(*data)
    with pytest.raises(error, match=message):
        trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=[0.1, 1.0])


def test_channel_missing_in_one_trial_is_an_error(data):
    x, y = data
    y[2][:, 3] = np.nan
    with pytest.raises(ValueError, match="channel 3 is NaN throughout trial 2"):
        trf.nested_crossval(x, y, SFREQ, **WINDOW)


def test_all_channels_flat_is_an_error(data):
    x, y = data
    with pytest.raises(ValueError, match="every channel is flat"):
        trf.nested_crossval(x, [np.ones_like(t) for t in y], SFREQ, **WINDOW)


def test_integers_are_cast(data):
    x, y = data
    whole = [np.round(100 * t).astype(np.int16) for t in y]
    a = trf.crossval_path(x, whole, SFREQ, **WINDOW, alphas=[1.0]).score()
    b = trf.crossval_path(x, [t.astype(float) for t in whole], SFREQ, **WINDOW, alphas=[1.0]).score()
    np.testing.assert_array_equal(a, b)


def test_single_precision_neither_overflows_nor_cancels(data):
    x, y = data
    options = {**WINDOW, "alphas": [0.1]}
    huge = [(1e25 * t).astype(np.float32) for t in y]  # whose squares float32 does not hold
    offset = [(t + 1e4).astype(np.float32) for t in y]  # and sums of 1e8 have no decimals in it
    for single in (huge, offset):
        found = trf.nested_crossval(x, single, SFREQ, **options).r
        np.testing.assert_allclose(found, trf.nested_crossval(x, [t.astype(float) for t in single], SFREQ, **options).r)
        np.testing.assert_allclose(found, trf.nested_crossval(x, y, SFREQ, **options).r, atol=1e-3)


def test_inputs_are_not_changed(data):
    x, y = data
    copies = [t.copy() for t in x + y]
    trf.nested_crossval(x, y, SFREQ, **WINDOW, alphas=[0.1, 1.0])
    for before, after in zip(copies, x + y, strict=True):
        np.testing.assert_array_equal(before, after)


def test_more_columns_than_samples_warns(rng):
    x, y = trials(rng, lengths=(20, 20))
    with pytest.warns(UserWarning, match="more columns"):
        trf.crossval_path(x, y, SFREQ, tmin=-0.1, tmax=0.15, alphas=[1.0])


@pytest.mark.parametrize("options", [{}, {"penalty": "smooth"}, {"tmin": [0, -0.03, 0], "tmax": [0.05, 0.05, 0.03]}])
def test_features_select_columns_of_the_same_samples(data, options):
    x, y = data
    options = {**WINDOW, **options, "alphas": [0.1, 1.0]}
    fewer = {k: v[1:] if isinstance(v, list) and k != "alphas" else v for k, v in options.items()}
    alone = trf.nested_crossval([t[:, 1:] for t in x], y, SFREQ, **fewer)
    chosen = trf.nested_crossval(x, y, SFREQ, **options, features=[1, 2])
    np.testing.assert_allclose(chosen.r, alone.r, atol=1e-10)
    assert chosen.weights.shape[1] == 2
    x[1][100:130, 0] = np.nan  # of a feature the reduced model does not have
    full = trf.nested_crossval(x, y, SFREQ, **options)
    reduced = trf.nested_crossval(x, y, SFREQ, **options, features=[1, 2])
    assert [s.n for s in full.sums] == [s.n for s in reduced.sums]
    assert reduced.sums[1].n < len(x[1])


def test_selected_bands_are_counted_anew(data):
    x, y = data
    path = trf.crossval_path(x, y, SFREQ, **WINDOW, alphas=[1.0], bands=[0, 1, 2], features=[0, 2], ratios=[1.0, 5.0])
    alone = trf.crossval_path(
        [t[:, [0, 2]] for t in x], y, SFREQ, **WINDOW, alphas=[1.0], bands=[0, 1], ratios=[1.0, 5.0]
    )
    np.testing.assert_allclose(path.score(), alone.score(), atol=1e-10)
    assert "1 alphas 1 to 1 relative" in repr(path)


@pytest.mark.parametrize("features", [[], [2, 1], [0, 3], [1, 1]])
def test_impossible_features(data, features):
    with pytest.raises(ValueError, match="ascending numbers from 0 to 2"):
        trf.nested_crossval(*data, SFREQ, **WINDOW, features=features)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x, y: (x, [np.ma.masked_greater(t, 5) for t in y]), r"masked.*filled\(np.nan\)"),
        (lambda x, y: (np.stack([t[:300] for t in x]), y), r"list\(a\)"),
        (lambda x, y: ([FeatureSeries(t, np.arange(len(t)) / 64, list("abc")) for t in x], y), r"Pass its `.values`"),
    ],
)
def test_other_kinds_of_data_are_refused_with_advice(data, spoil, message):
    with pytest.raises(TypeError, match=message):
        trf.nested_crossval(*spoil(*data), SFREQ, **WINDOW)


def test_data_frames_and_lists_are_taken(data):
    x, y = data
    options = {**WINDOW, "alphas": [1.0]}
    plain = trf.crossval_path(x, y, SFREQ, **options)
    other = trf.crossval_path([pd.DataFrame(t) for t in x], [t.tolist() for t in y], SFREQ, **options)
    np.testing.assert_allclose(plain.score(), other.score(), atol=1e-12)


def test_groups_of_any_kind_are_compared_by_value():
    expected = ((0, 1), (2,), (3,))
    assert trf.group_folds(["a", "a", "b", "c"], 4) == expected
    assert trf.group_folds(np.array(["a", "a", "b", "c"]), 4) == expected
    assert trf.group_folds(np.array([7.0, 7.0, 1.0, 2.0]), 4) == expected
    assert trf.group_folds(pd.Series([7, 7, 1, 2], index=[9, 8, 7, 6]), 4) == expected


@pytest.mark.parametrize("groups", ["aabc", [None, None, 1, 2], [[0], [0], [1], [2]]])
def test_groups_that_are_no_labels(groups):
    with pytest.raises(TypeError, match="sequence of names or numbers"):
        trf.group_folds(groups, 4)


def test_nan_is_no_group():
    with pytest.raises(ValueError, match="NaN belongs to no group"):
        trf.group_folds(np.array([np.nan, np.nan, 1, 2]), 4)


def test_a_channel_that_costs_many_samples_is_named(data):
    x, y = data
    for t in y:
        t[::2, 3] = np.nan
    with pytest.warns(UserWarning, match=r"channels \[3\] are NaN in up to 50 %.*every channel"):
        trf.crossval_path(x, y, SFREQ, **WINDOW, alphas=[1.0])


def test_window_in_milliseconds_by_mistake_is_refused_at_once(data):
    with pytest.raises(ValueError, match="tmin and tmax are seconds"):
        trf.nested_crossval(*data, SFREQ, tmin=0, tmax=400, penalty="smooth")


def test_bands_of_noise_stay_within_four_decades(rng):
    x, y = ([rng.standard_normal((200, k)) for _ in range(4)] for k in (2, 3))
    cv = trf.nested_crossval(x, y, SFREQ, tmin=0.0, tmax=0.2, alphas=[0.1, 1.0, 10.0], bands=[0, 1])
    assert abs(np.log10(cv.ratios)).max() <= 4
