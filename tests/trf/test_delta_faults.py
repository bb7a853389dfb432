"""Faults switched on deliberately: each must make a check fail that passes without it."""

import numpy as np
import pytest
from studies import MODEL, N_NULL, SFREQ, corrected, failed, gain_and_null, many, null_study, pink, recording

from eegic import trf
from eegic.trf.folds import group_folds
from eegic.trf.moments import Moments

pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")
GRID = {**MODEL, "alphas": np.logspace(-3, 2, 6)}


def side_by_side(baseline, added):
    return [np.hstack(pair) for pair in zip(baseline, added, strict=True)]


def best_of_test_folds(x, y, **options):
    """Held-out r at the alpha that is best for each fold and channel *on that fold*: the fault."""
    return trf.crossval_path(x, y, SFREQ, **GRID, **options).folds_score().max(axis=1).mean(axis=0)


def test_noise_is_not_predicted_unless_its_test_folds_choose_alpha():
    right, leaking = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y = [pink(rng, 240) for _ in range(4)], [pink(rng, 240, 64) for _ in range(4)]
        right.append(trf.nested_crossval(x, y, SFREQ, **GRID, per_channel=True).r.mean())
        leaking.append(best_of_test_folds(x, y).mean())

    in_errors = [np.mean(r) / (np.std(r) / np.sqrt(len(r))) for r in (right, leaking)]
    print("\nr in noise, in standard errors: {:.1f}, leaking {:.1f}".format(*in_errors), end="")
    assert in_errors[0] < 3.3 < in_errors[1]


def alpha_study(seed):
    """Gains with alphas of the full model from inner folds, then from test folds; the null searches inner folds."""
    baseline, added, eeg, _ = recording(np.random.default_rng([seed, 11]), 0.5, gains=(0.0, 0.2))
    d = trf.delta_r(baseline, added, eeg, SFREQ, **GRID, per_channel=True, n_null=N_NULL, rng=seed)
    right = gain_and_null(d)
    leaking = best_of_test_folds(side_by_side(baseline, added), eeg) - d.r_reduced.mean(axis=0)
    return [right, np.append(leaking.mean(), right[1:])]


@pytest.mark.slow
def test_alpha_chosen_on_the_test_fold_is_noticed():
    """In both models at once, or in surrogates too, it hardly moves the gain: the test above is for that."""
    right, leaking = np.swapaxes(many(alpha_study, 100), 0, 1)
    assert not failed("alpha from inner folds", right)
    assert {"rejections", "uniform", "bias"} <= failed("alpha of the full model from test folds", leaking)


@pytest.mark.slow
def test_a_share_of_the_null_without_the_observed_gain_is_noticed(monkeypatch):
    gains = many(null_study, 400, 0.5, "repair")
    assert not failed("(b + 1) / (m + 1)", gains)
    monkeypatch.setattr("eegic.stats.p_value", lambda observed, null: (null >= observed).mean(axis=0))
    assert failed("b / m", gains) == {"levels"}  # p = 0 one time in m + 1; at .05, 19 surrogates reject as often


def repeats_study(seed):
    """Gains where repeats of a sound share noise: sounds kept together, torn apart in the folds, and everywhere."""
    rng, rounds = np.random.default_rng([seed, 11]), np.arange(12).reshape(4, 3).T.ravel()
    trials = recording(rng, 0.5, n_sounds=4, n_times=480, n_repeats=3, shared=1.0)
    baseline, added, eeg, sounds = ([part[i] for i in rounds] for part in trials)

    def gains(groups):
        d = trf.delta_r(baseline, added, eeg, SFREQ, **MODEL, groups=groups, n_null=N_NULL, rng=seed)
        return gain_and_null(d)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("eegic.trf.folds.group_folds", lambda groups, *sizes: group_folds(None, *sizes))
        in_folds = gains(sounds)
    return [gains(sounds), in_folds, gains(None)]


@pytest.mark.slow
def test_repeats_of_a_sound_torn_apart_are_noticed():
    """In folds alone, noise of a sound is learnt from its repeats, but in surrogates as well: p-values still hold."""
    together, in_folds, everywhere = np.swapaxes(many(repeats_study, 60), 0, 1)
    assert not failed("repeats together", together)
    assert failed("repeats in several folds", in_folds) == {"raw"}
    assert {"rejections", "uniform", "bias"} <= failed("repeats in several folds and exchanges", everywhere)


@pytest.mark.slow
def test_exchanging_the_whole_feature_is_noticed():
    gains = many(null_study, 100, 0.9, "plain")
    assert {"uniform", "bias"} <= failed("whole feature exchanged, rho 0.9", gains)
    assert corrected(gains).mean() > 0


FOLD = 2


def trained(baseline, added, eeg):
    """Weights and alphas of one fold, with the added feature and without."""
    options = {**GRID, "n_folds": None, "per_channel": True}
    d = trf.delta_r(baseline, added, eeg, SFREQ, **options, n_null=2, rng=0)
    return [cv.weights[FOLD] for cv in (d.full, d.reduced)] + [cv.alpha[FOLD] for cv in (d.full, d.reduced)]


def trained_with_the_scale_of_all_trials(baseline, added, eeg):
    scale = np.concatenate(side_by_side(baseline, added)).std(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Moments, "feature_sd", lambda self: scale[: self.features.shape[-1]])
        return trained(baseline, added, eeg)


def alpha_that_is_best_for_the_test_fold(baseline, added, eeg):
    path = trf.crossval_path(side_by_side(baseline, added), eeg, SFREQ, **{**GRID, "n_folds": None})
    return [path.alphas[path.folds_score()[FOLD].argmax(axis=0)]]


def louder(part, step=1):
    return [1000 * trial[::step] if k == FOLD else trial for k, trial in enumerate(part)]


def check_that_a_held_out_trial_trains_nothing(fitted):
    """A trial made a thousand times louder, with its EEG turned round, must leave what is fitted without it.

    Up to rounding: training moments are those of all trials minus those held out, here a million times as large.
    """
    baseline, added, eeg, _ = recording(np.random.default_rng(0), 0.5, n_sounds=6, n_times=480)
    other = louder(baseline), louder(added), louder(eeg, step=-1)
    for before, after in zip(fitted(baseline, added, eeg), fitted(*other), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-9 * np.abs(before).max())


def test_a_held_out_trial_trains_nothing():
    check_that_a_held_out_trial_trains_nothing(trained)


@pytest.mark.parametrize("fault", [trained_with_the_scale_of_all_trials, alpha_that_is_best_for_the_test_fold])
def test_a_held_out_trial_that_trains_is_noticed(fault):
    """A scale that has seen the test fold would pass every check of calibration: only this one notices."""
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check_that_a_held_out_trial_trains_nothing(fault)
