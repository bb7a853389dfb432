"""The user's own check against what is known: features without effect, nulls that fail, known effects."""

import functools
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest
from studies import SFREQ, answer, many, music, pink, recording

from eegic import trf
from eegic.trf import FalsePositives, Power, false_positives, power

WINDOW = {"tmin": 0.0, "tmax": 0.4, "alphas": [0.1]}
QUICK = {**WINDOW, "n_null": 19, "rng": 0}
GUARD = 14 + 32  # kernel and autocorrelation, in samples


@pytest.fixture
def asked(monkeypatch):
    """What the checks ask of `delta_r`, which only throws a die."""
    calls, random = [], np.random.default_rng(0)

    @functools.wraps(trf.delta_r)
    def fake(baseline, added, y, sfreq, **options):
        calls.append(SimpleNamespace(baseline=baseline, added=added, y=y, options=options))
        p = random.integers(1, 101) / 100
        return SimpleNamespace(p_mean=p, p_maxt=np.array([p, np.nan]), corrected=np.zeros(2))

    monkeypatch.setattr("eegic.trf.rehearsal.delta_r", fake)
    return calls


def notes(rng, n_sounds=6, n_times=400, rho=0.0):
    """Onsets and, `rho` correlated, two sorts of values over them."""
    onsets = [rng.random((n_times, 1)) < 0.1 for _ in range(n_sounds)]
    loud = [o * (3 + rng.standard_normal(o.shape)) for o in onsets]
    values = [
        o * (10 + rho * (v - 3) + np.sqrt(1 - rho**2) * rng.standard_normal(o.shape))
        for o, v in zip(onsets, loud, strict=True)
    ]
    return loud, values, [pink(rng, n_times, 2) for _ in onsets]


def parts(baseline, added):
    """What the lagged baseline explains of a feature, and the rest, by its definition."""
    fitted = trf.fit(baseline, added, SFREQ, tmin=-13 / SFREQ, tmax=13 / SFREQ, alpha=1e-6).predict(baseline)
    return fitted, [whole - part for whole, part in zip(added, fitted, strict=True)]


def explained(baseline, added):
    rest = parts(baseline, added)[1]
    return 1 - np.concatenate(rest).var() / np.concatenate(added).var()


def test_pseudo_features_keep_what_the_baseline_explains_and_turn_the_rest(rng, asked):
    baseline, added, eeg, _ = recording(rng, 0.8, n_sounds=5)
    false_positives(baseline, added, eeg, SFREQ, **QUICK, n_checks=4)
    fitted, rest = parts(baseline, added)
    turns = []
    for call in asked:
        assert explained(baseline, call.added) == pytest.approx(explained(baseline, added), abs=0.03)
        for sound in range(5):
            turned = np.fft.rfft((call.added[sound] - fitted[sound])[:, 0])
            match = np.fft.irfft(turned * np.fft.rfft(rest[sound][:, 0]).conj())
            turns.append(int(match.argmax()))
            np.testing.assert_allclose(call.added[sound], fitted[sound] + np.roll(rest[sound], turns[-1], axis=0))
    assert len(set(turns)) > 15 and min(turns) >= GUARD and max(turns) <= 960 - GUARD


def test_pseudo_features_do_not_follow_eeg_that_follows_the_added_feature(rng, asked):
    baseline, added, eeg, _ = recording(rng, 0.5, n_sounds=6)
    rest = parts(baseline, added)[1]
    false_positives(baseline, added, [y + 3 * answer(r) for y, r in zip(eeg, rest, strict=True)], SFREQ, **QUICK)
    of_eeg = np.concatenate([answer(r) for r in rest])[:, 0]
    r = [
        np.corrcoef(of_eeg, np.concatenate([answer(a) for a in parts(baseline, c.added)[1]])[:, 0])[0, 1] for c in asked
    ]
    assert len(r) == 100 and abs(np.mean(r)) < 4 * np.std(r) / 10 and np.std(r) < 0.1


@pytest.mark.parametrize("bank", [False, True])
def test_against_shifts_the_rest_is_of_another_sound_at_its_time(rng, asked, bank):
    heard, unheard = ([music(rng, 0.7, n) for n in lengths] for lengths in ([480, 420, 510, 480], [450, 600, 480]))
    eeg = [pink(rng, len(e), 2) for e, _ in heard]
    pseudo = {"pseudo": unheard} if bank else {}
    false_positives(*zip(*heard, strict=True), eeg, SFREQ, **QUICK, null="shift", n_checks=8, **pseudo)
    fitted, rest = parts(*zip(*(heard + unheard * bank), strict=True))
    for call, sound in itertools.product(asked, range(4)):
        found = call.added[sound] - fitted[sound]
        others = [k for k in range(len(rest)) if (k >= 4 if bank else k != sound)]
        donated = [np.resize(rest[k], (len(found), 1)) for k in others]
        assert any(np.allclose(found, one, atol=1e-9) for one in donated)


def test_against_turned_values_they_are_of_another_sound_in_order(rng, asked):
    loud, values, eeg = notes(rng, rho=0.8)
    false_positives(loud, values, eeg, SFREQ, **QUICK, null="events", n_checks=5)
    at = [v[:, 0] != 0 for v in values]
    line = np.polyfit(np.concatenate(loud)[np.concatenate(at), 0], np.concatenate(values)[np.concatenate(at), 0], 1)
    rest = [(v - np.polyval(line, x))[o, 0] for v, x, o in zip(values, loud, at, strict=True)]
    for call, sound in itertools.product(asked, range(6)):
        np.testing.assert_array_equal(call.added[sound][:, 0] != 0, at[sound])
        found = (call.added[sound] - np.polyval(line, loud[sound]))[at[sound], 0]
        assert any(np.allclose(found, np.resize(one, len(found))) for k, one in enumerate(rest) if k != sound)


def test_repeats_have_one_pseudo_feature_and_gaps_stay(rng, asked):
    baseline, added, eeg, groups = recording(rng, 0.5, n_sounds=4, n_times=480, n_repeats=2)
    added = [np.where(np.arange(480)[:, None] < 30, np.nan, a) for a in added]
    baseline[1], added[1], eeg[1] = baseline[1][:400], added[1][:400], eeg[1][:400]
    false_positives(baseline, added, eeg, SFREQ, **QUICK, groups=groups, n_checks=3)
    for call in asked:
        for one, other, real in zip(call.added[::2], call.added[1::2], added[1::2], strict=True):
            np.testing.assert_array_equal(one[: len(other)], other)
            np.testing.assert_array_equal(np.isnan(other), np.isnan(real))
        assert call.options["groups"] == list(groups)


def test_the_bank_of_a_null_stays_its_own(rng, asked):
    baseline, added, eeg, _ = recording(rng, 0.5, n_sounds=3, n_times=480)
    bank = [music(rng, 0.5, 480) for _ in range(5)]
    false_positives(baseline, added, eeg, SFREQ, **QUICK, null="pseudo", pseudo=bank, n_checks=2)
    false_positives(
        baseline * 2, added * 2, eeg * 2, SFREQ, **QUICK, null="shift", pseudo=bank, n_checks=1, groups=[0, 1, 2] * 2
    )
    assert asked[0].options["pseudo"] is bank and asked[2].options["pseudo"] is None


def test_rates_and_intervals_count_what_is_not_above_the_level(asked, rng):
    baseline, added, eeg, _ = recording(rng, 0.5, n_sounds=5, n_times=480)
    check = false_positives(baseline, added, eeg, SFREQ, **WINDOW, rng=0, n_checks=400)
    assert asked[0].options["n_null"] == check.n_null == 99
    hits = int((check.p <= 0.05).sum())
    assert check.rate == hits / 400 and 0 < (check.p == 0.05).sum() < hits
    np.testing.assert_allclose(check.interval, binomtest(hits, 400).proportion_ci())
    assert check.verdict == "consistent with the nominal level" and check.verdict in repr(check)
    np.testing.assert_array_equal(check.p_maxt, check.p)


@pytest.mark.parametrize(
    ("hits", "n_null", "verdict"),
    [
        (0, 19, "too few: conservative"),
        (5, 19, "consistent"),
        (12, 19, "too many"),
        (4, 29, "consistent"),
        (9, 29, "too"),
    ],
)
def test_verdicts_know_that_p_values_are_discrete(hits, n_null, verdict):
    """With 29 surrogates, a test at .05 rejects at 1/30."""
    p = np.where(np.arange(100) < hits, 1 / (n_null + 1), 0.5)
    check = FalsePositives(p, p, np.zeros(100), 0.05, n_null, "repair", 0)
    assert check.nominal == {19: 0.05, 29: 1 / 30}[n_null] and check.verdict.startswith(verdict)


def without_effect(rng, kind):
    """Trials of which only the baseline has an effect, and options of `delta_r` that the kind is about."""
    rho = 0.9 if kind in ("holds", "plain") else 0.0
    envelopes, features = zip(*(music(rng, rho, 480) for _ in range(8)), strict=True)
    baseline, added, eeg = list(envelopes), list(features), [0.1 * answer(e) + pink(rng, 480, 8) for e in envelopes]
    options = {**WINDOW, "alphas": [0.01, 0.1, 1.0], "n_folds": 4, "n_null": 19}
    if kind == "plain":
        options["conditional"] = False
    if kind == "unlike":  # the stronger the feature in a sound, the quieter the EEG
        added = [e + 3.0 ** (-1) ** k * a for k, (e, a) in enumerate(zip(baseline, added, strict=True))]
        eeg = [y / 3.0 ** (-1) ** k for k, y in enumerate(eeg)]
    if kind == "fades":
        fade = np.exp(-np.arange(480) / 64)[:, None]
        added, eeg = [a + 4 * fade for a in added], [y + 2 * fade for y in eeg]
        options.update(null="shift", accept_drift=True)
    if kind in ("values", "tied values"):
        baseline, added, eeg = notes(rng, 8, 480, rho=0.95 if kind == "tied values" else 0.0)
        eeg = [y + 0.5 * answer(b) for y, b in zip(eeg, baseline, strict=True)]
        options.update(null="events", alphas=[0.1])
    return (baseline, added, eeg, SFREQ), options


@pytest.mark.filterwarnings("ignore:conditional=False", "ignore:null='events' breaks", "ignore:The chosen alpha")
@pytest.mark.parametrize(
    ("kind", "n_checks", "verdict"),
    [
        ("holds", 40, "consistent"),
        ("values", 20, "consistent"),
        ("plain", 20, "too many"),
        ("fades", 10, "too many"),
        ("tied values", 10, "too many"),
    ],
)
def test_nulls_that_hold_are_told_from_those_that_do_not(rng, kind, n_checks, verdict):
    data, options = without_effect(rng, kind)
    check = false_positives(*data, **options, n_checks=n_checks, rng=0)
    assert check.verdict.startswith(verdict)
    if verdict == "too many":
        assert check.corrected.mean() > 4 * check.corrected.std() / np.sqrt(n_checks)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["holds", "unlike"])
def test_checks_find_as_many_as_there_are(kind):
    """Of features without an effect in fresh studies, and of pseudo-features in a few of them."""
    truth = np.mean(many(one_study, 300, kind) <= 0.05)
    rates = many(one_check, 30, kind)
    error = np.hypot(np.sqrt(truth * (1 - truth) / 300), rates.std() / np.sqrt(30))
    print(f"\n{kind}: {truth:.3f} in fresh studies; in checks {rates.mean():.3f}, SD over EEGs {rates.std():.3f}")
    assert abs(rates.mean() - truth) < 3.3 * error
    assert (truth > 0.1) == (kind == "unlike")


def one_study(seed, kind):
    data, options = without_effect(np.random.default_rng([seed, 17]), kind)
    return trf.delta_r(*data, **options, rng=seed).p_mean


def one_check(seed, kind):
    data, options = without_effect(np.random.default_rng([seed, 17]), kind)
    return false_positives(*data, **options, n_checks=20, rng=seed).rate


@pytest.mark.slow
def test_power_is_what_true_effects_have():
    """Effects of fresh studies have another kernel, and one variance over all of them."""
    truth, power = many(one_effect, 200) <= 0.05, many(one_power, 20)
    error = np.hypot(truth.std() / np.sqrt(200), power.std() / np.sqrt(20))
    print(f"\nfound {truth.mean():.3f} in fresh studies, {power.mean():.3f} by injection")
    assert 0.2 < truth.mean() < 0.95 and abs(power.mean() - truth.mean()) < 3.3 * error


SHARE = 0.001


def one_effect(seed):
    (baseline, added, eeg, _), options = without_effect(np.random.default_rng([seed, 19]), "holds")
    response = [answer(rest) for rest in parts(baseline, added)[1]]
    scale = np.sqrt(SHARE) * np.concatenate(eeg).std(axis=0) / np.concatenate(response).std()
    eeg = [y + scale * r for y, r in zip(eeg, response, strict=True)]
    return trf.delta_r(baseline, added, eeg, SFREQ, **options, rng=seed).p_mean


def one_power(seed):
    data, options = without_effect(np.random.default_rng([seed, 19]), "holds")
    return power(*data, **options, shares=[SHARE], n_trials=[8], n_checks=10, rng=seed).power[0, 0]


def test_checks_depend_on_the_seed_and_their_number_only(rng):
    data = recording(rng, 0.5, n_sounds=5, n_times=300)[:3]
    runs = [
        false_positives(*data, SFREQ, **WINDOW, n_null=19, n_checks=n, n_jobs=jobs, rng=seed)
        for n, jobs, seed in ((3, 1, 4), (3, 2, 4), (5, 1, 4), (3, 1, 5), (3, 1, np.random.default_rng(4)))
    ]
    np.testing.assert_array_equal(runs[0].corrected, runs[1].corrected)
    np.testing.assert_array_equal(runs[0].corrected, runs[2].corrected[:3])
    assert (runs[0].corrected != runs[3].corrected).all() and (runs[0].corrected != runs[4].corrected).all()
    again = false_positives(*data, SFREQ, **WINDOW, n_null=19, n_checks=3, rng=runs[4].entropy)
    np.testing.assert_array_equal(runs[4].p, again.p)


def test_without_an_effect_power_is_the_rate_of_false_positives(rng):
    data = recording(rng, 0.5, n_sounds=7, n_times=300)[:3]
    found = power(*data, SFREQ, **QUICK, shares=[0.0, 0.5], n_trials=[7], n_checks=6)
    np.testing.assert_array_equal(found.p[:, 0, 0], false_positives(*data, SFREQ, **QUICK, n_checks=6).p)
    assert (found.p[:, 0, 1] == 0.05).all()


def test_power_grows_with_the_share_and_with_the_trials(rng):
    data = recording(rng, 0.5, n_sounds=10, n_times=300)[:3]
    found = power(*data, SFREQ, **QUICK, shares=[0.003, 0.02, 0.3], n_checks=12)
    assert found.n_trials.tolist() == [5, 10]
    assert (np.diff(found.power, axis=1) >= 0).all() and (np.diff(found.power, axis=0) >= 0).all()
    assert found.power[1, 2] == 1 and found.power[1, 1] > found.power[0, 1]
    smaller, larger = found.detectable()
    assert 0.02 < smaller and 0.003 < larger < smaller


@pytest.mark.parametrize("tmin", [-0.1, 0.0, 0.1])
def test_the_injected_answer_has_the_share_it_says(rng, asked, tmin):
    baseline, added, eeg, groups = recording(rng, 0.5, n_sounds=8, n_times=480, n_repeats=2)
    eeg = [y * [1, 2, 3, 4] + 50 * k for k, y in enumerate(eeg)]
    power(baseline, added, eeg, SFREQ, **{**QUICK, "tmin": tmin}, groups=groups, shares=[0.01, 0.04], n_checks=2)
    assert [len(call.y) for call in asked] == [8, 8, 16, 16] * 2
    for half, whole in (asked[0:3:2], asked[4:7:2]):
        where = [next(i for i, y in enumerate(whole.y) if np.array_equal(y, one)) for one in half.y]
        assert half.options["groups"] == [groups[i] for i in where] and half.options["rng"] == whole.options["rng"]
        for i, a in zip(where, half.added, strict=True):
            np.testing.assert_array_equal(a, whole.added[i])
    small, large = asked[2:4]
    response = [new - old for new, old in zip(small.y, eeg, strict=True)]
    for new, old, one in zip(large.y, eeg, response, strict=True):
        np.testing.assert_allclose(new - old, 2 * one, atol=1e-12)
    share = np.mean([r.var(axis=0) for r in response], axis=0) / np.mean([y.var(axis=0) for y in eeg], axis=0)
    np.testing.assert_allclose(share, 0.01, rtol=1e-9)
    model = trf.fit(parts(baseline, small.added)[1], response, SFREQ, tmin=tmin, tmax=0.4, alpha=1e-9)
    kernel, u = model.weights[0, :, 0], (np.arange(len(model.lags)) + 0.5) / len(model.lags)
    np.testing.assert_array_equal(
        [u[kernel.argmax()], u[kernel.argmin()]], [u[abs(u - c).argmin()] for c in (0.3, 0.6)]
    )


def test_every_added_feature_answers_within_its_own_window(rng, asked):
    pairs = [music(rng, 0.5, 480) for _ in range(5)]
    baseline, eeg = [e for e, _ in pairs], [pink(rng, 480, 2) for _ in pairs]
    added = [np.hstack([f, 5 * pink(rng, 480)]) for _, f in pairs]
    windows = {"tmin": [0.0, 0.0, -0.25], "tmax": [0.25, 0.125, 0.0]}
    power(baseline, added, eeg, SFREQ, **{**QUICK, **windows}, shares=[1.0], n_trials=[5], n_checks=1)
    assert asked[0].options["tmin"] == windows["tmin"]
    response = np.concatenate([new - old for new, old in zip(asked[0].y, eeg, strict=True)])[:, :1]
    fitted = trf.fit(baseline, added, SFREQ, tmin=-0.5, tmax=0.5, alpha=1e-6).predict(baseline)
    rest = [a - part for a, part in zip(asked[0].added, fitted, strict=True)]
    weights = trf.fit(rest, np.split(response, 5), SFREQ, tmin=-0.4, tmax=0.4, alpha=1e-9).weights[..., 0]
    for kernel, first, last in zip(weights, (0, -8), (4, 0), strict=True):
        times = np.arange(-13, 14)
        inside = (first <= times) & (times <= last)
        assert abs(kernel[~inside]).max() < 1e-3 * abs(kernel[inside]).max()
    spread = [np.concatenate(rest)[:, k].std() for k in range(2)]
    assert spread[0] * weights[0].max() == pytest.approx(spread[1] * weights[1].max(), rel=0.3)


def test_gaps_masks_and_drift_between_trials_do_not_raise_the_share(rng, asked):
    baseline, added, eeg, _ = recording(rng, 0.5, n_sounds=5, n_times=480)
    masks = [np.arange(480) > 100 for _ in eeg]
    plain = [y.copy() for y in eeg]
    for y in eeg:
        y[:100] *= 1000
    power(baseline, added, eeg, SFREQ, **QUICK, masks=masks, shares=[0.01], n_trials=[5], n_checks=1)
    used = np.concatenate([(new - old)[101:] for new, old in zip(asked[0].y, eeg, strict=True)])
    truth = np.sqrt(np.mean([y[101:].var(axis=0) for y in plain], axis=0))
    np.testing.assert_allclose(used.std(axis=0) / truth, 0.1, rtol=0.02)


@pytest.mark.parametrize("zero", [False, True])
def test_detectable_reads_the_share_off_the_curve(zero):
    shares = np.array([0.0] * zero + [0.001, 0.002, 0.004, 0.008])
    with np.errstate(divide="ignore"):
        truth = 0.05 + 0.95 / (1 + (np.array([[0.003], [0.03], [0.0003]]) / shares) ** 2.5)
    p = np.where(np.arange(1000)[:, None, None] < 1000 * truth, 0.01, 0.5)
    found = Power(shares, np.array([9, 5, 99]), p, 0.05, 0)
    expected = 0.003 * ((0.8 - 0.05) / (1 - 0.8)) ** (1 / 2.5)
    np.testing.assert_allclose(
        found.detectable(), [expected, np.inf, 0.0003 * expected / 0.003 if zero else 0.001], rtol=0.05
    )
    np.testing.assert_allclose(found.curve(shares), truth, atol=0.01)
    assert found.detectable(0.3)[0] < found.detectable(0.6)[0] < expected
    np.testing.assert_allclose(found.interval[:, 0, -1], binomtest(int(found.found[0, -1]), 1000).proportion_ci())
    last = "0.053 %" if zero else "at most 0.1 %"
    assert f"0.51 % with 9 trials, more than 0.8 % with 5 trials, {last} with 99 trials; " in repr(found)
    with pytest.raises(ValueError, match=r"between the level, 0\.05, and 1, got 0\.01"):
        found.detectable(0.01)


def test_a_step_of_power_lies_between_its_sides():
    p = np.broadcast_to(np.where(np.array([0.001, 0.003, 0.01]) > 0.002, 0.01, 0.5), (40, 1, 3))
    assert 0.001 < Power(np.array([0.001, 0.003, 0.01]), np.array([8]), p, 0.05, 0).detectable()[0] < 0.003
    assert np.isnan(Power(np.zeros(3), np.array([8]), p, 0.05, 0).detectable())


def test_warnings_are_given_once(rng, recwarn):
    data = recording(rng, 0.9, n_sounds=5, n_times=300)[:3]
    false_positives(*data, SFREQ, **QUICK, n_checks=4, conditional=False)
    assert [str(w.message)[:17] for w in recwarn] == ["conditional=False"] and recwarn[0].filename == __file__


def test_one_bar_over_checks(rng, asked, capsys):
    data = recording(rng, 0.9, n_sounds=5, n_times=300)[:3]
    false_positives(*data, SFREQ, **QUICK, n_checks=4, progress=True)
    power(*data, SFREQ, **QUICK, n_checks=3, progress=True)
    shown = capsys.readouterr().err
    assert "4/4" in shown and "3/3" in shown and not any(call.options.get("progress") for call in asked)


def test_tensors_give_the_same(rng):
    torch = pytest.importorskip("torch")
    data = recording(rng, 0.5, n_sounds=5, n_times=300)[:3]
    tensors = ([torch.from_numpy(t) for t in part] for part in data)
    options = {**QUICK, "n_checks": 2, "shares": [0.05], "n_trials": [5]}
    np.testing.assert_array_equal(power(*tensors, SFREQ, **options).p, power(*data, SFREQ, **options).p)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 1.5}, "level: expected a probability between 0 and 1"),
        ({"level": 0.01}, r"19 surrogates, so no p-value can be 0\.01 or below. Use at least n_null=99"),
        ({"n_sounds": 3}, "3 sounds give 5 surrogates.*Use more sounds"),
        ({"n_folds": 7}, "5 sounds cannot make 7 folds"),
        ({"n_times": 129}, "at least 138 samples.*the shortest has 129.*`autocorrelation`"),
        ({"n_checks": 0}, "n_checks"),
        ({"null": "repar"}, "Did you mean 'repair'"),
        ({"pseudo": []}, "null='repair' is checked with the sounds that were heard"),
        ({"null": "shift", "groups": [0] * 5, "gap": 0.5, "n_folds": 3}, "checked with features of other sounds"),
        ({"null": "pseudo"}, "at least as many unheard sounds as heard ones"),
        ({"copy": True}, "the baseline explains 100"),
    ],
)
def test_what_cannot_be_checked_is_said(rng, change, message):
    n_times, n_sounds = change.pop("n_times", 480), change.pop("n_sounds", 5)
    baseline, added, eeg, _ = recording(rng, 0.5, n_sounds=n_sounds, n_times=n_times)
    if "groups" in change:
        baseline, added = [baseline[0]] * 5, [added[0]] * 5
    if change.pop("copy", False):
        added = baseline
    with pytest.raises(ValueError, match=message):
        false_positives(baseline, added, eeg, SFREQ, **{**QUICK, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_trials": [9]}, "n_trials: cannot use 9. There are 8"),
        ({"n_trials": [6]}, "n_trials: cannot use 6. 3 sounds give 5 surrogates"),
        ({"n_trials": []}, "n_trials: expected at least one"),
        ({"shares": [-0.1]}, "shares: expected shares of the variance"),
        ({"shares": []}, "shares: expected shares of the variance"),
    ],
)
def test_what_cannot_be_injected_is_said(rng, change, message):
    baseline, added, eeg, groups = recording(rng, 0.5, n_sounds=4, n_times=480, n_repeats=2)
    with pytest.raises(ValueError, match=message):
        power(baseline, added, eeg, SFREQ, **QUICK, groups=groups, **change)


def test_arguments_are_those_of_the_analysis(rng):
    data = recording(rng, 0.5, n_sounds=4, n_times=480)[:3]
    with pytest.raises(TypeError, match="missing a required argument: 'tmin'"):
        false_positives(*data, SFREQ, tmax=0.4)
    with pytest.raises(TypeError, match="unexpected keyword argument 'n_nul'"):
        power(*data, SFREQ, **WINDOW, n_nul=3)
    with pytest.raises(TypeError, match="Check one model at a time"):
        power(data[0], {"a": data[1]}, data[2], SFREQ, **WINDOW)
