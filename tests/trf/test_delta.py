"""The gain of an added feature and its null, against explicit re-analyses."""

import itertools

import numpy as np
import pytest
from scipy.signal import lfilter

from eegic import trf
from eegic.trf import surrogates
from eegic.trf.inputs import check_trials

SFREQ = 32.0
OPTIONS = {"tmin": 0.0, "tmax": 4 / SFREQ, "alphas": np.logspace(-2, 2, 3)}
pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")


def study(rng, n=5, effect=0.0, rho=0.5, lengths=None, n_channels=3):
    """Slow baseline, an added feature correlated with it, and EEG that answers to the baseline (and the feature)."""
    baseline, added, eeg = [], [], []
    for length in lengths or [300] * n:
        a, b, noise = (
            lfilter([1], [1, -0.8], rng.standard_normal((length, k)), axis=0) + 1 for k in (1, 1, n_channels)
        )
        b = rho * a + np.sqrt(1 - rho**2) * b
        baseline.append(a)
        added.append(b)
        eeg.append(np.roll(a, 2, axis=0) + effect * np.roll(b, 3, axis=0) + 3 * noise)
    return baseline, added, eeg


def parts(baseline, added, groups=None, **kwargs):
    """Kept and moved parts of the added feature, as delta_r splits them."""
    x = [np.hstack(pair) for pair in zip(baseline, added, strict=True)]
    trials = check_trials(x, [t[:, :1] for t in x])
    return surrogates.split_features(
        trials, (["a"], ["b"]), groups, SFREQ, 5, **{"scheme": "repair", "conditional": True, **kwargs}
    )


def gain(baseline, added, eeg, **options):
    x = [np.hstack(pair) for pair in zip(baseline, added, strict=True)]
    full = trf.nested_crossval(x, eeg, SFREQ, **OPTIONS, **options)
    reduced = trf.nested_crossval(x, eeg, SFREQ, **OPTIONS, **options, features=[0])
    return (full.r - reduced.r).mean(axis=0)


def wrapped(donor, n):
    return np.concatenate([donor] * (n // len(donor) + 1))[:n]


@pytest.mark.parametrize("lengths", [[300] * 4, [300, 250, 410, 333]])
@pytest.mark.parametrize("conditional", [True, False])
def test_each_surrogate_equals_a_whole_new_analysis(rng, lengths, conditional):
    baseline, added, eeg = study(rng, lengths=lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)
        result = trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, conditional=conditional, n_null=50, rng=0)
    assert result.exact and len(result.null) == 23
    np.testing.assert_allclose(result.gain, gain(baseline, added, eeg), atol=1e-10)
    music = parts(baseline, added, conditional=conditional)
    orders = list(itertools.permutations(range(4)))[1:]
    for k in (0, 7, 22):
        exchanged = [music.kept[i] + wrapped(music.moved[donor], lengths[i]) for i, donor in enumerate(orders[k])]
        np.testing.assert_allclose(result.null[k], gain(baseline, exchanged, eeg), atol=1e-9)


def test_shift_equals_a_whole_new_analysis(rng):
    baseline, added, eeg = study(rng)
    result = trf.delta_r(
        baseline, added, eeg, SFREQ, **OPTIONS, null="shift", autocorrelation=0.5, accept_drift=True, n_null=3, rng=4
    )
    music, guard = parts(baseline, added), 5 + 16
    for k in range(3):
        u = np.random.default_rng(np.random.SeedSequence(4, spawn_key=(k,))).random(5)
        exchanged = [
            music.kept[i] + np.roll(music.moved[i], guard + int(u[i] * (300 - 2 * guard + 1)), axis=0) for i in range(5)
        ]
        np.testing.assert_allclose(result.null[k], gain(baseline, exchanged, eeg), atol=1e-9)


def test_what_stays_and_what_moves_add_up_and_only_residuals_move(rng):
    baseline, added, _ = study(rng, rho=0.9)
    music = parts(baseline, added)
    for k, a in enumerate(added):
        np.testing.assert_allclose(music.kept[k] + music.moved[k], a, atol=1e-10)
    residual, lagged = np.concatenate(music.moved), np.concatenate(baseline)
    for lag in range(-4, 5):
        assert abs(np.corrcoef(residual[:, 0], np.roll(lagged, lag, axis=0)[:, 0])[0, 1]) < 0.02
    assert 0.6 < music.explained[0] < 0.95


def test_values_turn_over_fixed_onsets(rng):
    onsets = [rng.random((300, 1)) < 0.08 for _ in range(5)]
    values = [o * rng.uniform(1, 5, o.shape) for o in onsets]
    music = parts([o.astype(float) for o in onsets], values, scheme="events", conditional=False)
    turned = music.variant("events", 2, 0.4, 300, 0)
    np.testing.assert_array_equal(turned != 0, values[2] != 0)
    before, after = values[2][values[2] != 0], turned[turned != 0]
    np.testing.assert_array_equal(np.roll(before, int(0.4 * len(before))), after)


def test_repeats_of_a_sound_share_a_fold_and_a_donor(rng):
    baseline, added, eeg = study(rng, n=5)
    noise = [3 * rng.standard_normal(t.shape) for t in eeg]
    groups = list("abcde") * 2
    eeg = eeg + [t + n for t, n in zip(eeg, noise, strict=True)]
    result = trf.delta_r(baseline * 2, added * 2, eeg, SFREQ, **OPTIONS, groups=groups, n_null=10, rng=0)
    assert result.full.folds == ((0, 5), (1, 6), (2, 7), (3, 8), (4, 9))
    assert result.r_full.shape == (10, 3)
    music = parts(baseline * 2, added * 2, groups)
    np.testing.assert_array_equal(music.of_trial, list(range(5)) * 2)
    assert len(music.moved) == 5


def test_surrogates_depend_on_the_seed_and_their_number_only(rng):
    data = study(rng, n=7)
    runs = [
        trf.delta_r(*data, SFREQ, **OPTIONS, n_null=n, n_jobs=jobs, rng=3).null for n, jobs in ((8, 1), (8, 2), (12, 3))
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2][:8])
    assert abs(trf.delta_r(*data, SFREQ, **OPTIONS, n_null=8, rng=4).null - runs[0]).max() > 1e-6


def test_order_of_trials_is_no_matter(rng):
    baseline, added, eeg = study(rng, n=7)
    groups = list("gfedcba")
    a = trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, groups=groups, n_null=9, rng=1)
    b = trf.delta_r(baseline[::-1], added[::-1], eeg[::-1], SFREQ, **OPTIONS, groups=groups[::-1], n_null=9, rng=1)
    np.testing.assert_allclose(a.null, b.null, atol=1e-10)
    np.testing.assert_allclose(a.corrected, b.corrected, atol=1e-10)


def test_an_effect_is_found_and_none_is_not(rng):
    found = trf.delta_r(*study(rng, n=8, effect=3.0, rho=0.9), SFREQ, **OPTIONS, n_null=99, rng=0)
    assert (found.p_maxt == 0.01).all() and found.p_mean == 0.01 and found.p_min == 0.01
    assert (found.corrected > 4 * found.corrected_se).all()
    nothing = trf.delta_r(*study(rng, n=8, effect=0.0, rho=0.9), SFREQ, **OPTIONS, n_null=99, rng=0)
    assert nothing.p_maxt.min() > 0.05
    assert abs(nothing.corrected).max() < 3 * nothing.corrected_se.max()
    assert "conditional repair, 99 surrogates" in repr(found)


def test_alphas_may_be_kept(rng):
    data = study(rng, n=6, effect=0.5)
    again = trf.delta_r(*data, SFREQ, **OPTIONS, n_null=30, rng=0)
    kept = trf.delta_r(*data, SFREQ, **OPTIONS, n_null=30, rng=0, refit_alpha=False)
    np.testing.assert_array_equal(again.gain, kept.gain)
    assert np.corrcoef(again.null.ravel(), kept.null.ravel())[0, 1] > 0.5


def test_unheard_sounds_are_donors(rng):
    baseline, added, eeg = study(rng, n=4)
    bank = list(zip(*study(rng, n=6)[:2], strict=True))
    result = trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, null="pseudo", pseudo=bank, n_null=5, rng=2)
    music = parts(baseline, added, unheard=bank)
    assert music.n_unheard == 6 and not result.exact
    donors = 4 + np.random.default_rng(np.random.SeedSequence(2, spawn_key=(3,))).permutation(6)[:4]
    exchanged = [music.kept[i] + music.moved[d] for i, d in enumerate(donors)]
    np.testing.assert_allclose(result.null[3], gain(baseline, exchanged, eeg), atol=1e-9)


def test_unknown_edges_are_left_out_of_both_models(rng):
    baseline, added, eeg = study(rng, n=5)
    for t in added:
        t[:20], t[-3:] = np.nan, np.nan
    result = trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, n_null=5, rng=0)
    assert [s.n for s in result.full.sums] == [s.n for s in result.reduced.sums] == [300 - 24 - 3] * 5
    assert np.isfinite(result.null).all()


def test_a_flat_channel_stays_nan_and_touches_no_other(rng):
    baseline, added, eeg = study(rng, n=6)
    plain = trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, n_null=20, rng=0)
    flat = [np.hstack([t, np.full((len(t), 1), 4.2)]) for t in eeg]
    with pytest.warns(UserWarning, match=r"channels \[3\] are constant"):
        result = trf.delta_r(baseline, added, flat, SFREQ, **OPTIONS, n_null=20, rng=0)
    np.testing.assert_allclose(result.null[:, :3], plain.null, atol=1e-12)
    np.testing.assert_array_equal(result.p_maxt[:3], plain.p_maxt)
    assert np.isnan([result.p_maxt[3], result.p[3], result.corrected[3]]).all()


def test_one_sound_is_tested_by_shifts_within_blocks_of_time(rng):
    baseline, added, eeg = study(rng, n=1, effect=3.0, lengths=[1200])
    noise = [t + 3 * rng.standard_normal(t.shape) for t in eeg * 3]
    options = {"groups": ["a"] * 3, "n_folds": 4, "gap": 0.5, "null": "shift", "n_null": 39, "rng": 0}
    result = trf.delta_r(baseline * 3, added * 3, noise, SFREQ, **OPTIONS, **options, accept_drift=True)
    assert result.r_full.shape == (12, 3)
    assert result.p_mean == 1 / 40


def test_few_sounds_say_how_small_p_can_be(rng):
    with pytest.warns(UserWarning, match=r"3 different sounds there are 6 exchanges.*below 0\.167"):
        result = trf.delta_r(*study(rng, n=3), SFREQ, **OPTIONS, rng=0)
    assert result.exact and result.p_min == pytest.approx(1 / 6)


def test_plain_exchange_says_what_it_breaks(rng):
    with pytest.warns(UserWarning, match=r"correlation.*is 0\.\d\d here.*false positives"):
        trf.delta_r(*study(rng, rho=0.9), SFREQ, **OPTIONS, conditional=False, n_null=2, rng=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["a"] * 5, "same": True, "n_folds": 3, "gap": 0.5}, "one sound.*pseudo.*shift.*gap="),
        ({"groups": ["a", "a", "b", "c", "d"]}, "'a' have different features"),
        ({"constant": True}, "feature 0 is constant"),
        ({"copy": True}, r"explains 100\.0%.*nothing is left"),
        ({"null": "pseudo"}, r"at least as many unheard sounds as heard ones \(5\), got 0"),
        (
            {"null": "pseudo", "pseudo": [(np.ones((9, 2)), np.ones((9, 1)))]},
            r"sound 0: expected a baseline \(n_times, 1\)",
        ),
        ({"null": "shift", "autocorrelation": 9.0}, "shift needs at least"),
        ({"null": "shift", "drift": True, "autocorrelation": 0.5}, "drifts.*accept_drift=True"),
        ({"null": "events"}, "these are not events"),
        ({"pseudo": []}, "unheard sounds are for null='pseudo'"),
        ({"autocorrelation": -1.0}, "autocorrelation: expected a finite positive"),
        ({"gap": 0.5, "n_folds": 3, "groups": ["a", "b"]}, r"one per trial \(5\)"),
        ({"lost": True}, "feature 0 is NaN throughout 2"),
        ({"null": "repar"}, "Did you mean 'repair'"),
        ({"n_null": 0}, "n_null"),
        ({"short": True}, "baseline has 300 samples and the added feature 299"),
    ],
)
def test_what_cannot_be_tested_is_said(rng, change, message):
    baseline, added, eeg = study(rng)
    options = dict(change)
    if options.pop("same", False):
        baseline, added = [baseline[0]] * 5, [added[0]] * 5
    if options.pop("constant", False):
        added = [np.ones_like(t) for t in added]
    if options.pop("copy", False):
        added = [2 * t + 1 for t in baseline]
    if options.pop("lost", False):
        added[2] = np.full_like(added[2], np.nan)
    if options.pop("drift", False):
        eeg = [t + np.linspace(0, 40, len(t))[:, None] for t in eeg]
    if options.pop("short", False):
        added = [t[:-1] for t in added]
    with pytest.raises(ValueError, match=message):
        trf.delta_r(baseline, added, eeg, SFREQ, **{**OPTIONS, **options})


def test_tensors_give_the_same(rng):
    torch = pytest.importorskip("torch")
    data = study(rng)
    ours = trf.delta_r(*data, SFREQ, **OPTIONS, n_null=6, rng=0)
    theirs = trf.delta_r(*([torch.from_numpy(t) for t in part] for part in data), SFREQ, **OPTIONS, n_null=6, rng=0)
    np.testing.assert_allclose(theirs.null, ours.null, atol=1e-9)
    np.testing.assert_allclose(theirs.r_full, ours.r_full, atol=1e-9)


def test_labels_of_sounds_sort_alike_whatever_they_are(rng):
    baseline, added, eeg = study(rng, n=12)
    runs = [
        trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, groups=groups, n_null=4, rng=0, n_folds=4).null
        for groups in (list(range(12)), np.arange(12), None)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_a_dead_channel_is_nan_throughout(rng):
    baseline, added, eeg = study(rng, n=6)
    dead = [np.hstack([t, np.full((len(t), 1), np.nan)]) for t in eeg]
    with pytest.warns(UserWarning, match=r"channels \[3\] are NaN throughout"):
        result = trf.delta_r(baseline, added, dead, SFREQ, **OPTIONS, n_null=9, rng=0)
    assert np.isnan(result.p_maxt[3]) and np.isfinite(result.p_maxt[:3]).all() and np.isfinite(result.p_mean)
    assert np.isnan(result.full.weights[..., 3]).all() and np.isnan(result.reduced.weights[..., 3]).all()


@pytest.mark.parametrize(("n_heard", "n_unheard", "possible"), [(1, 6, 6), (2, 4, 12), (3, 3, 6)])
def test_a_small_bank_is_used_up_once(rng, n_heard, n_unheard, possible):
    """Drawing an assignment again would promise a smaller p-value than there is."""
    baseline, added, eeg = study(rng, n=3)
    bank = list(zip(*study(rng, n=n_unheard)[:2], strict=True))
    groups = ["a"] * 3 if n_heard == 1 else ["a", "a", "b"] if n_heard == 2 else list("abc")
    if n_heard < 3:
        baseline[1], added[1] = baseline[0], added[0]
    if n_heard == 1:
        baseline[2], added[2] = baseline[0], added[0]
    options = {"n_folds": 3, "gap": 0.5, "null": "pseudo", "pseudo": bank, "n_null": 99, "rng": 0, "groups": groups}
    with pytest.warns(UserWarning, match=f"there are {possible + 1} exchanges"):
        result = trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, **options)
    assert result.exact and len(result.null) == possible and result.p_min == pytest.approx(1 / (possible + 1))


def test_sounds_with_the_same_features_are_named(rng):
    baseline, added, eeg = study(rng)
    baseline[3], added[3] = baseline[1], added[1]
    with pytest.warns(UserWarning, match="1 and 3 have the same features.*one group"):
        trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, n_null=3, rng=0)


def test_values_that_follow_the_baseline_at_events_are_named(rng):
    onsets = [(rng.random((300, 1)) < 0.1).astype(float) for _ in range(5)]
    baseline = [o * rng.uniform(1, 5, o.shape) for o in onsets]
    added = [b + 0.1 * o * rng.random(o.shape) for b, o in zip(baseline, onsets, strict=True)]
    eeg = [rng.standard_normal((300, 2)) for _ in range(5)]
    with pytest.warns(UserWarning, match=r"null='events' breaks the correlation.*1\.00"):
        trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, null="events", n_null=3, rng=0)


def test_patches_that_would_fill_the_memory_are_computed_anew(rng, monkeypatch):
    data = study(rng)
    plain = trf.delta_r(*data, SFREQ, **OPTIONS, n_null=5, rng=0)
    monkeypatch.setattr("eegic.trf.exchange._MOST", 0)
    np.testing.assert_array_equal(trf.delta_r(*data, SFREQ, **OPTIONS, n_null=5, rng=0).null, plain.null)


@pytest.mark.parametrize("n_channels", [1, 3, 5])
def test_a_grid_with_zero_gives_the_null_of_explicit_analyses(rng, n_channels):
    """As many channels as surrogates, one, or others: each surrogate has its own alpha."""
    baseline, added, eeg = study(rng, n=6, n_channels=n_channels)
    options = {**OPTIONS, "alphas": [0.0, 0.1, 10.0]}
    result = trf.delta_r(baseline, added, eeg, SFREQ, **options, n_null=5, rng=0)
    almost = trf.delta_r(baseline, added, eeg, SFREQ, **{**options, "alphas": [1e-10, 0.1, 10.0]}, n_null=5, rng=0)
    assert result.null.shape == (5, n_channels)
    np.testing.assert_allclose(result.null, almost.null, atol=1e-7)


def test_copies_of_one_unheard_sound_are_no_bank(rng):
    baseline, added, eeg = study(rng, n=4)
    bank = [(a, b) for a, b in zip(*study(rng, n=1)[:2], strict=True)] * 4
    with pytest.raises(ValueError, match=r"different unheard sounds as heard ones \(4\), got 1 among 4"):
        trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, null="pseudo", pseudo=bank, n_null=5, rng=0)


def test_a_heard_sound_is_not_unheard(rng):
    baseline, added, eeg = study(rng, n=4)
    bank = list(zip(*study(rng, n=6)[:2], strict=True))
    bank[2] = (baseline[3][:200], added[3][:200])
    with pytest.raises(ValueError, match="pseudo, sound 2: has the features of 3, which was heard. Leave it out"):
        trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, null="pseudo", pseudo=bank, n_null=5, rng=0)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 7.0, 1000.0])
def test_a_feature_of_few_sounds_only_is_refused_at_any_scale(rng, scale):
    """Training moments are differences: what is 0 throughout a training set is rounding there, not 0."""
    baseline, added, eeg = study(rng, n=4)
    for here in ((2,), (0, 1)):
        some = [scale * one * (k in here) for k, one in enumerate(added)]
        with pytest.raises(ValueError, match=r"Inputs \[1\] .* are constant in a training set"):
            trf.delta_r(baseline, some, eeg, SFREQ, **OPTIONS, n_null=23, rng=0)
    enough = [one * (k < 3) for k, one in enumerate(added)]
    one, other = (
        trf.delta_r(baseline, [s * trial for trial in enough], eeg, SFREQ, **OPTIONS, n_null=23, rng=0)
        for s in (1.0, scale)
    )
    np.testing.assert_allclose(other.delta_r, one.delta_r, atol=1e-9)
    np.testing.assert_array_equal(other.p, one.p)


@pytest.mark.filterwarnings("ignore:null='events' breaks")
def test_events_of_one_model_stay_where_they_are_beside_those_of_another(rng):
    baseline, _, eeg = study(rng, n=5)
    first, second = ([(rng.random((300, 1)) < 0.08) * rng.uniform(1, 5, (300, 1)) for _ in baseline] for _ in range(2))
    options = {**OPTIONS, "null": "events", "n_null": 9, "rng": 0}
    both = trf.delta_r(baseline, {"first": first, "second": second}, eeg, SFREQ, **options)
    for name, alone in (("first", first), ("second", second)):
        np.testing.assert_allclose(
            both[name].null, trf.delta_r(baseline, alone, eeg, SFREQ, **options).null, atol=1e-12
        )
    together = [np.hstack(pair) for pair in zip(first, second, strict=True)]
    turned = parts(baseline, together, scheme="events", conditional=False).variant("events", 2, 0.4, 300, 0)
    np.testing.assert_array_equal(turned != 0, together[2] != 0)


def test_few_orders_drawn_at_random_are_noticed(rng):
    with pytest.warns(UserWarning, match="4 sounds have 24 orders, of which 19 are drawn at random.*n_null=23"):
        trf.delta_r(*study(rng, n=4), SFREQ, **OPTIONS, n_null=19, rng=0)


def test_donors_in_another_unit_are_noticed(rng):
    baseline, added, eeg = study(rng, n=4)
    bank = [(a, 1e3 * b) for a, b in zip(*study(rng, n=6)[:2], strict=True)]
    with pytest.warns(UserWarning, match=r"pseudo: feature 0 varies \d+(\.|e).* times as much in the unheard sounds"):
        trf.delta_r(baseline, added, eeg, SFREQ, **OPTIONS, null="pseudo", pseudo=bank, n_null=5, rng=0)


def test_one_surrogate_has_no_standard_error(rng):
    with pytest.warns(UserWarning, match="With 2 different sounds there are 2 exchanges"):
        result = trf.delta_r(*study(rng, n=2), SFREQ, **{**OPTIONS, "alphas": [0.1]}, rng=0)
    assert len(result.null) == 1 and np.isnan(result.corrected_se).all()


def test_time_on_the_second_axis_is_named(rng):
    baseline, added, eeg = study(rng, n=4)
    with pytest.raises(ValueError, match=r"x has 300 samples and y has 3\. Time is the first axis: transpose"):
        trf.delta_r(baseline, added, [trial.T for trial in eeg], SFREQ, **OPTIONS)
