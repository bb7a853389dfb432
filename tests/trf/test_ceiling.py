"""Noise ceilings against definitions, split-halves, and simulations whose truth is known."""

from itertools import combinations

import numpy as np
import pytest
from oracle import correlations

from eegic.trf.ceiling import Ceiling, listener_ceiling, repeat_ceiling


def standardised(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


def study(rng, truth=0.2, heard=(3,) * 6, lengths=400, n_channels=3):
    """Trials in random order, the sound of each, and the signal of each; `truth` is the share of signal in variance."""
    groups = rng.permutation(np.repeat(np.arange(len(heard)), heard))
    lengths = np.broadcast_to(lengths, len(heard))
    signals = [np.sqrt(truth) * rng.standard_normal((n, n_channels)) for n in lengths]
    signal = [signals[sound] for sound in groups]
    return [s + np.sqrt(1 - truth) * rng.standard_normal(s.shape) for s in signal], groups, signal


def crowd(rng, truth=0.2, n_listeners=6, lengths=(300, 200), n_channels=3):
    shared = [np.sqrt(truth) * rng.standard_normal((n, n_channels)) for n in lengths]
    return [[s + np.sqrt(1 - truth) * rng.standard_normal(s.shape) for s in shared] for _ in range(n_listeners)], shared


def split_half(y, groups):
    """Mean correlation of all split-halves, brought to one presentation by Spearman and Brown."""
    shares, weights = [], []
    for sound in np.unique(groups):
        trials = [t for t, g in zip(y, groups, strict=True) if g == sound]
        n_times, m = min(map(len, trials)), len(trials) // 2
        whole = np.stack([t[:n_times] for t in trials])
        r = [
            correlations(whole[list(half)].mean(axis=0), np.delete(whole, half, axis=0).mean(axis=0))
            for half in combinations(range(2 * m), m)
        ]
        shares.append(np.mean([one / (m - (m - 1) * one) for one in r], axis=0))
        weights.append(n_times)
    return np.average(shares, axis=0, weights=weights)


@pytest.mark.parametrize("n_repeats", [2, 3, 7])
def test_equals_the_corrected_explained_variance(rng, n_repeats):
    y = [standardised(t) for t in study(rng, heard=(n_repeats,))[0]]
    ev = np.mean(y, axis=0).var(axis=0)
    expected = ev - (1 - ev) / (n_repeats - 1)
    np.testing.assert_allclose(repeat_ceiling(y, ["a"] * n_repeats).explainable, expected, atol=1e-14)


@pytest.mark.parametrize("truth", [0.05, 0.3])
def test_estimates_what_all_split_halves_estimate(truth):
    ours, halves = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y, groups, _ = study(rng, truth, heard=(2, 4, 6, 2), lengths=(200, 500, 330, 410), n_channels=8)
        y = [t[: len(t) - rng.integers(20)] + rng.normal(0, 50, 8) for t in y]
        ours.append(repeat_ceiling(y, groups, n_boot=100).explainable)
        halves.append(split_half(y, groups))
    ours, halves = np.array(ours), np.array(halves)
    for estimate in (ours, halves):
        assert abs(estimate.mean() - truth) < 4 * estimate.std() / np.sqrt(estimate.size)
    assert abs(ours - halves).mean() < 0.3 * ours.std()
    assert np.corrcoef(ours.ravel(), halves.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("truth", [0.05, 0.5])
def test_is_the_r_of_the_true_signal(rng, truth):
    y, groups, signal = study(rng, truth, heard=(2, 3, 5, 2, 3, 1), lengths=4000, n_channels=5)
    ceiling = repeat_ceiling(y, groups)
    np.testing.assert_allclose(ceiling.explainable, truth, atol=0.02)
    best = np.mean([correlations(s, t) for s, t in zip(signal, y, strict=True)], axis=0)
    np.testing.assert_allclose(ceiling.r, best, atol=0.04)
    np.testing.assert_allclose(ceiling.share([best, best / 2]), [best / ceiling.r, best / ceiling.r / 2], rtol=1e-12)
    assert ceiling.defined.all() and (ceiling.n_sounds, ceiling.n_repeats, ceiling.kind) == (5, 15, "repeats")
    assert "defined in 5 of 5 channels, there r 0." in repr(ceiling) and "5 sounds, 15 presentations" in repr(ceiling)


@pytest.mark.parametrize("heard", [(3,) * 8, (2,)])
def test_without_signal_there_is_no_share(rng, heard):
    ceiling = repeat_ceiling(*study(rng, 0.0, heard, n_channels=400)[:2])
    assert ceiling.defined.mean() < 0.05 and abs(ceiling.explainable.mean()) < 0.01
    np.testing.assert_array_equal(np.isnan(ceiling.share(np.ones(400))), ~ceiling.defined)


def test_no_share_of_what_is_tiny_uncertain_or_unknown():
    explainable = np.array([0.0026, 0.0024, 0.2, -0.1, np.nan])
    interval = np.array([[0.001, 0.001, -0.01, -0.3, np.nan], [0.1, 0.1, 0.5, 0.1, np.nan]])
    ceiling = Ceiling(explainable, interval, 1, 2, "repeats", 100)
    np.testing.assert_array_equal(ceiling.defined, [True, False, False, False, False])
    np.testing.assert_allclose(ceiling.share([[0.1] * 5]), [[0.1 / np.sqrt(0.0026)] + [np.nan] * 4])
    np.testing.assert_allclose(ceiling.r, np.sqrt([0.0026, 0.0024, 0.2, 0.0, np.nan]))
    silent = Ceiling(explainable[1:], interval[:, 1:], 1, 2, "repeats", 100)
    assert repr(silent) == "Ceiling(defined in 0 of 4 channels; 1 sounds, 2 presentations, 100 bootstrap samples)"


@pytest.mark.parametrize(("heard", "length"), [((3,) * 5, 200), ((2,), 600), ((4, 2, 3), 200)])
@pytest.mark.parametrize("truth", [0.0, 0.1])
def test_the_interval_holds_the_truth_as_often_as_it_says(rng, heard, length, truth):
    """400 channels are 400 studies; a plain percentile interval holds the truth in too few of the first two."""
    ceiling = repeat_ceiling(*study(rng, truth, heard, length, 400)[:2])
    inside = (ceiling.interval[0] <= truth) & (truth <= ceiling.interval[1])
    assert 0.92 < inside.mean() < 0.985


def test_the_interval_for_listeners_is_not_too_narrow(rng):
    for n_listeners in (3, 6):
        ceiling = listener_ceiling(crowd(rng, 0.05, n_listeners, n_channels=400)[0])
        assert ((ceiling.interval[0] <= 0.05) & (ceiling.interval[1] >= 0.05)).mean() > 0.92


def test_few_sounds_resample_time_and_many_resample_sounds(rng):
    """Sounds that differ in signal widen the interval only where sounds are resampled."""
    gains = [3.0, 0.1] * 3
    y, groups, signal = study(rng, 0.2, lengths=4000)
    y = [t + (gains[g] - 1) * s for t, g, s in zip(y, groups, signal, strict=True)]
    few = [g < 4 for g in groups]
    many, some = repeat_ceiling(y, groups), repeat_ceiling([t for t, f in zip(y, few, strict=True) if f], groups[few])
    assert (np.diff(many.interval, axis=0) > 1.5 * np.diff(some.interval, axis=0)).all()


def test_scale_offset_and_order_are_no_matter(rng):
    y, groups, _ = study(rng)
    plain = repeat_ceiling(y, groups)
    moved = [1e-6 * t * [1, 50, -0.01] + [1, 0, 1e-3] * rng.standard_normal(3) for t in y]
    changed = repeat_ceiling(moved, groups)
    np.testing.assert_allclose(changed.explainable, plain.explainable, rtol=1e-7)
    np.testing.assert_allclose(changed.interval, plain.interval, rtol=1e-6, atol=1e-9)
    names = ["abcdef"[g] for g in groups[::-1]]
    np.testing.assert_allclose(repeat_ceiling(y[::-1], names).explainable, plain.explainable, atol=1e-12)


def test_seeds_reach_the_draws(rng):
    y, groups, _ = study(rng)
    people, _ = crowd(rng)
    for ceiling in (lambda **kw: repeat_ceiling(y, groups, **kw), lambda **kw: listener_ceiling(people, **kw)):
        first, other = ceiling(), ceiling(rng=1)
        np.testing.assert_array_equal(first.interval, ceiling(rng=np.random.default_rng(0)).interval)
        np.testing.assert_array_equal(first.explainable, other.explainable)
        assert (first.interval != other.interval).all() and np.allclose(first.interval, other.interval, atol=0.05)
        assert ceiling(n_boot=100).n_boot == 100


@pytest.mark.parametrize("value", [np.nan, 4.2])
def test_a_missing_or_constant_channel_touches_no_other(rng, value):
    def widened(trials):
        return [np.insert(t, 1, value, axis=1) for t in trials]

    y, groups, _ = study(rng)
    people, _ = crowd(rng)
    for plain, ceiling in (
        (repeat_ceiling(y, groups), lambda: repeat_ceiling(widened(y), groups)),
        (listener_ceiling(people), lambda: listener_ceiling([widened(p) for p in people])),
    ):
        if np.isnan(value):
            with pytest.warns(UserWarning, match=r"channels \[1\] are NaN throughout") as caught:
                bad = ceiling()
            assert caught[0].filename == __file__
        else:
            bad = ceiling()
        for name in ("explainable", "interval", "r", "lower", "upper"):
            if getattr(plain, name) is not None:
                np.testing.assert_allclose(np.delete(getattr(bad, name), 1, -1), getattr(plain, name), atol=1e-12)
                assert np.isnan(getattr(bad, name)[..., 1]).all()
        assert not bad.defined[1] and np.isnan(bad.share(np.ones(4))[1])


def test_samples_masked_or_missing_in_one_repeat_leave_all_repeats(rng):
    y, groups, _ = study(rng, heard=(2, 3))
    masks = [np.ones(len(t), bool) for t in y]
    spoiled, cut = [t.copy() for t in y], [np.delete(t, range(50, 90), axis=0) for t in y]
    for sound in (0, 1):
        i, j = np.flatnonzero(groups == sound)[:2]
        masks[i][50:70], spoiled[i][50:70] = False, 1e6
        spoiled[j][70:90, 1] = np.nan
    expected = repeat_ceiling(cut, groups)
    result = repeat_ceiling(spoiled, groups, masks=masks)
    np.testing.assert_allclose(result.explainable, expected.explainable, atol=1e-12)
    np.testing.assert_allclose(result.interval, expected.interval, atol=1e-12)


def test_listeners_equal_their_definitions(rng):
    """Standardise over sounds, then correlate each with the mean of the others, and of all; pairs for the share."""
    people, _ = crowd(rng)
    ceiling = listener_ceiling([[5 * i * t + 7 * i for t in p] for i, p in enumerate(people, start=1)])
    joined = [np.concatenate([t - t.mean(axis=0) for t in p]) for p in people]
    z = np.stack([x / x.std(axis=0) for x in joined])
    pairs = [(z[i] * z[j]).mean(axis=0) for i, j in combinations(range(6), 2)]
    np.testing.assert_allclose(ceiling.explainable, np.mean(pairs, axis=0), atol=1e-12)
    for i in range(6):
        others, everyone = np.delete(z, i, axis=0).mean(axis=0), z.mean(axis=0)
        for result, mean in ((ceiling.lower, others), (ceiling.upper, everyone)):
            r = [correlations(z[i][part], mean[part]) for part in (slice(300), slice(300, None))]
            np.testing.assert_allclose(result[i], np.mean(r, axis=0), atol=1e-12)
    assert (ceiling.n_sounds, ceiling.n_repeats, ceiling.kind) == (2, 6, "listeners")
    assert "2 sounds, 6 listeners" in repr(ceiling)


@pytest.mark.parametrize("truth", [0.01, 0.2])
def test_what_listeners_share_lies_between_the_bounds(rng, truth):
    people, shared = crowd(rng, truth, lengths=(2000, 1000), n_channels=20)
    ceiling = listener_ceiling(people)
    best = np.mean([[correlations(s, t) for s, t in zip(shared, p, strict=True)] for p in people], axis=(0, 1))
    assert ceiling.lower.mean() < best.mean() < ceiling.upper.mean()
    np.testing.assert_allclose(ceiling.r.mean(), best.mean(), atol=0.02)
    assert ceiling.share(np.ones(20)).shape == (20,)


def test_missing_samples_of_one_listener_leave_all(rng):
    people, _ = crowd(rng)
    cut = [[np.delete(p[0], range(30), axis=0), p[1]] for p in people]
    people[2][0][:30, 1] = np.nan
    a, b = listener_ceiling(people), listener_ceiling(cut)
    for name in ("explainable", "interval", "lower", "upper"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=1e-12)


def test_tensors_give_the_same(rng):
    torch = pytest.importorskip("torch")
    y, groups, _ = study(rng)
    theirs = repeat_ceiling([torch.from_numpy(t) for t in y], groups)
    np.testing.assert_array_equal(theirs.interval, repeat_ceiling(y, groups).interval)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": list(range(18))}, r"no sound was heard twice \(18 trials, 18 sounds\).*`listener_ceiling`"),
        ({"groups": [0, 0]}, r"one per trial \(18\), got 2"),
        ({"masks": [np.zeros(400, bool)] * 18}, r"Sound \d: expected at least 10 samples.*got 0"),
        ({"masks": [np.ones(400, bool)]}, r"masks: expected one per trial \(18\), got 1"),
        ({"n_boot": 10}, "n_boot: expected at least 100, got 10"),
    ],
)
def test_what_repeats_cannot_say_is_said(rng, change, message):
    y, groups, _ = study(rng)
    with pytest.raises(ValueError, match=message):
        repeat_ceiling(y, **{"groups": groups, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:2], r"at least 3 listeners, got 2.*`repeat_ceiling`"),
        (lambda p: [*p[:2], p[2][::-1]], r"\[\(300, 3\), \(200, 3\)\], got \[\(200, 3\), \(300, 3\)\] from listener 2"),
        (lambda p: [*p[:2], p[2][:1]], r"got \[\(300, 3\)\] from listener 2"),
        (lambda p: [p[0], [t[:, :2] for t in p[1]], p[2]], r"\(300, 2\).* from listener 1"),
        (lambda p: [p[0], [t * [1, np.nan, 1] for t in p[1]], p[2]], "channel 1 is NaN throughout listener 1"),
        (lambda p: [p[0], [abs(p[1][0]) * np.inf, p[1][1]], p[2]], "listener 1, trial 0: column 0 has 300 infinite"),
    ],
)
def test_what_listeners_cannot_say_is_said(rng, change, message):
    with pytest.raises(ValueError, match=message):
        listener_ceiling(change(crowd(rng, n_listeners=3)[0]))


def test_a_share_needs_one_value_per_channel(rng):
    with pytest.raises(ValueError, match=r"one value per channel \(3\) last, got shape \(2,\)"):
        repeat_ceiling(*study(rng)[:2]).share([1.0, 2.0])
