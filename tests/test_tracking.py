"""The core against the engine below it, against slow oracles, and against the truth of simulated studies."""

import json
import re

import numpy as np
import pytest
from handmade import CHANNELS, OPTIONS, SFREQ, listener, music, series

from eegic import Participant, cortical_tracking, datasets, trf

pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")
SIMULATED = {"tmax": 0.4, "alphas": [0.01, 0.1, 1.0], "n_folds": 4, "n_null": 39, "rng": 0}


@pytest.fixture
def heard(rng):
    """Six sounds, an envelope, and two features beyond it."""
    baseline, added = music(rng)
    other = music(rng)[1]
    both = {name: [added[name], series(other[name].values, "other")] for name in added}
    return listener(rng, baseline, added), baseline, both


def simulated(n_stimuli=8, n_channels=8, **options):
    common = {"duration": 12, "rhythm": "free", "surprisal_effect": 1.0, "progress": False, "rng": 5}
    return datasets.simulate_study(1, n_stimuli, n_channels=n_channels, **{**common, **options})


def arrays(side, stimuli, column=slice(None)):
    return [
        np.hstack([s.values for s in (one if isinstance(one, list) else [one])])[:, column]
        for one in map(side.get, stimuli)
    ]


def assert_same(a, b, model=None, other=None, **tolerance):
    """The same scores, kernels and null; of one model each, if named."""
    i, k = (list(x.models).index(name) if name else slice(None) for x, name in ((a, model), (b, other)))
    for name in ("r_full", "null", "gain", "p", "corrected"):
        np.testing.assert_allclose(getattr(a, name)[i], getattr(b, name)[k], **{"rtol": 0, "atol": 0, **tolerance})
    np.testing.assert_allclose(a.r_reduced, b.r_reduced, **{"rtol": 0, "atol": 0, **tolerance})


class TestEngine:
    def test_equals_the_engine(self, heard):
        participant, baseline, added = heard
        result = cortical_tracking(participant, baseline, added, **OPTIONS)
        stimuli = participant.stimuli
        for row, name in enumerate(("ic", "other")):
            engine = trf.delta_r(
                arrays(baseline, stimuli),
                arrays(added, stimuli, [row]),
                participant.eeg,
                SFREQ,
                groups=stimuli,
                **OPTIONS,
            )
            np.testing.assert_allclose(result.null[row], engine.null, rtol=0, atol=1e-12)
            np.testing.assert_allclose(result.explained[row], engine.explained[0], atol=1e-12)
            for ours in ("gain", "corrected", "corrected_se", "p"):
                np.testing.assert_allclose(getattr(result, ours)[row], getattr(engine, ours), rtol=0, atol=1e-12)
            assert result.p_mean[row] == engine.p_mean and result.p_min == engine.p_min == 1 / 20
            weights = engine.full.weights.mean(axis=0)
            sd = np.hstack(
                [np.concatenate(arrays(baseline, stimuli)), np.concatenate(arrays(added, stimuli, [row]))]
            ).std(axis=0)
            np.testing.assert_allclose(result.kernels[name], weights * sd[:, None, None], rtol=1e-9, atol=1e-15)
        np.testing.assert_array_equal(result.lags, np.arange(5) / SFREQ)

    def test_one_model_is_bit_identical(self, rng, heard):
        _, baseline, added = heard
        only = {name: one[0] for name, one in added.items()}
        masks = [rng.random(300) < 0.9 for _ in only]
        participant = listener(rng, baseline, only, masks=masks)
        result = cortical_tracking(participant, baseline, only, **OPTIONS)
        sides = [arrays(side, participant.stimuli) for side in (baseline, only)]
        engine = trf.delta_r(*sides, participant.eeg, SFREQ, groups=participant.stimuli, masks=masks, **OPTIONS)
        np.testing.assert_array_equal(result.null[0], engine.null)
        np.testing.assert_array_equal(result.gain[0], engine.gain)
        np.testing.assert_array_equal(result.p_maxt[0], engine.p_maxt)

    def test_models_share_and_do_not_disturb_each_other(self, heard):
        participant, baseline, added = heard
        models = {"both": ["ic", "other"], "one": "ic", "two": ("other",)}
        together = cortical_tracking(participant, baseline, added, models=models, **OPTIONS)
        assert together.models == {"both": ("ic", "other"), "one": ("ic",), "two": ("other",)}
        assert together.added == ("ic", "other")
        assert {name: len(one) for name, one in together.kernels.items()} == {"both": 3, "one": 2, "two": 2}
        for name, features in models.items():
            alone = cortical_tracking(participant, baseline, added, models={name: features}, **OPTIONS)
            assert_same(together, alone, name, name, atol=1e-12)
            np.testing.assert_allclose(together.kernels[name], alone.kernels[name], atol=1e-12)

    def test_features_keep_their_names_in_any_order(self, heard):
        participant, baseline, added = heard
        a = cortical_tracking(participant, baseline, added, **OPTIONS)
        b = cortical_tracking(participant, baseline, added, models={"o": ["other"], "i": ["ic"]}, **OPTIONS)
        assert b.added == ("other", "ic")
        np.testing.assert_allclose(b.explained, a.explained[::-1])
        assert_same(a, b, "ic", "i", atol=1e-12)
        assert_same(a, b, "other", "o", atol=1e-12)

    def test_p_maxt_is_over_channels_and_models(self, heard):
        participant, baseline, added = heard
        result = cortical_tracking(participant, baseline, added, **OPTIONS)
        largest = [-np.inf] * 20
        for model in range(2):
            for channel in range(6):
                sample = [result.gain[model, channel], *result.null[model, :, channel]]
                z = (np.array(sample) - np.mean(sample)) / np.std(sample)
                largest = np.maximum(largest, z)
        for model in range(2):
            for channel in range(6):
                sample = [result.gain[model, channel], *result.null[model, :, channel]]
                z = (sample[0] - np.mean(sample)) / np.std(sample)
                expected = (1 + sum(other >= z - 1e-12 for other in largest[1:])) / 20
                assert result.p_maxt[model, channel] == pytest.approx(expected)
        assert len(np.unique(result.p_maxt)) > 3

    def test_threads_change_nothing(self, heard):
        runs = [cortical_tracking(*heard, **OPTIONS, n_jobs=n) for n in (1, 2)]
        assert_same(*runs)
        for name in ("ic", "other"):
            np.testing.assert_array_equal(*(run.kernels[name] for run in runs))

    def test_settings_repeat_the_analysis(self, heard):
        participant, baseline, added = heard
        participant = Participant.from_arrays([x[:-3] for x in participant.eeg], participant.stimuli, SFREQ)
        odd = {
            **OPTIONS,
            "alphas": np.array([1, 100]),
            "n_null": np.int64(9),
            "per_channel": np.bool_(True),
            "tmax": np.float32(0.0625),
            "rng": np.random.default_rng(3),
            "tolerance": 0.1,
        }
        first = cortical_tracking(participant, baseline, added, models={"x": ("other",)}, n_folds=3, **odd)
        settings = json.loads(json.dumps(first.settings))
        assert settings == first.settings
        again = cortical_tracking(participant, baseline, added, **settings)
        assert_same(first, again)
        np.testing.assert_array_equal(first.alpha, again.alpha)
        assert again.models == {"x": ("other",)} and again.settings == settings

    def test_seeds(self, heard):
        runs = [cortical_tracking(*heard, **{**OPTIONS, "rng": seed}) for seed in (1, 1, 2, None, None)]
        assert_same(runs[0], runs[1])
        for a, b in ((0, 2), (0, 3), (3, 4)):
            np.testing.assert_array_equal(runs[a].gain, runs[b].gain)
            assert abs(runs[a].null - runs[b].null).max() > 1e-6
        assert_same(runs[3], cortical_tracking(*heard, **runs[3].settings))


class TestTruth:
    def test_channels_that_carry_the_effect_are_found(self):
        study = simulated(n_channels=16, snr=0.05)
        baseline = {name: [study.envelopes[name], study.onsets[name]] for name in study.stimuli}
        result = cortical_tracking(study.participants[0], baseline, study.surprisal, **SIMULATED)
        found, hill = result.p_maxt[0] < 0.05, study.truth.topographies[1]
        assert hill[found].min() > hill[~found].max()
        assert np.corrcoef(result.corrected[0], hill)[0, 1] > 0.9
        assert result.p_mean[0] == result.p_min == 1 / 40

    def test_none_is_found_where_there_is_none(self):
        study = simulated(surprisal_effect=0)
        result = cortical_tracking(study.participants[0], study.envelopes, study.surprisal, **SIMULATED)
        assert result.p_maxt.min() > 0.05 and result.p_mean[0] > 0.05
        assert result.gain.mean() < 0, "raw gain is biased below zero"
        assert abs(result.corrected).max() < 4 * result.corrected_se.max()

    def test_kernels_are_those_of_the_brain(self):
        study = simulated(6, snr=4.0)
        result = cortical_tracking(study.participants[0], study.envelopes, study.surprisal, **SIMULATED)
        np.testing.assert_allclose(result.lags, study.truth.lags)
        for k, side in enumerate((study.envelopes, study.surprisal)):
            sd = np.concatenate(arrays(side, study.stimuli)).std()
            truth, found = sd * study.truth.kernels["sub-01"][k], result.kernels["surprisal"][k]
            assert np.corrcoef(truth.ravel(), found.ravel())[0, 1] > 0.9
            assert 0.8 < (truth * found).sum() / (truth**2).sum() < 1.2

    def test_noise_of_the_estimator_attenuates_as_its_reliability_says(self, rng):
        """White features, a moderate effect: r grows by about the square of what is added."""
        baseline, added = music(rng, n_times=2000, rho=0.6, memory=0.0)
        noisy = {
            stimulus: [ic]
            + [
                series(ic.values + sd * rng.standard_normal((2000, 1)), f"sd {sd}", se=np.full(2000, sd))
                for sd in (0.8, 1.6)
            ]
            for stimulus, ic in added.items()
        }
        participant = listener(rng, baseline, added, effect=1.0, ch_names=["Cz"], montage=None)
        result = cortical_tracking(participant, baseline, noisy, **OPTIONS)
        expected = 0.64 / (0.64 + np.array([0, 0.8, 1.6]) ** 2)
        np.testing.assert_allclose(result.reliability, expected, atol=0.03)
        np.testing.assert_allclose(result.corrected[:, 0] / result.corrected[0, 0], expected, atol=0.08)
        assert re.search(r"estimator noise leaves of Δr about: sd 0\.8 5\d%, sd 1\.6 2\d%\)$", repr(result))


class TestChannels:
    def test_a_bad_channel_is_nan_and_touches_no_other(self, rng):
        baseline, added = music(rng)
        participant = listener(rng, baseline, added, "abcdefab")
        eeg = [trial.eeg.copy() for trial in participant.trials]
        kept = [0, 1, 3, 4, 5]
        without = Participant.from_arrays([x[:, kept] for x in eeg], participant.stimuli, SFREQ)
        eeg[2][:, 2] = 1e6
        spoilt = Participant.from_arrays(eeg, participant.stimuli, SFREQ, ch_names=CHANNELS, bads=["Pz"])
        plain = cortical_tracking(without, baseline, added, **OPTIONS)
        result = cortical_tracking(spoilt, baseline, added, **OPTIONS)
        for name in (
            "r_reduced",
            "r_full",
            "null",
            "gain",
            "corrected",
            "corrected_se",
            "p",
            "p_maxt",
            "reduced_kernels",
        ):
            found = getattr(result, name)
            assert np.isnan(found[..., 2]).all(), name
            np.testing.assert_allclose(found[..., kept], getattr(plain, name), atol=1e-12, err_msg=name)
        assert np.isnan(result.kernels["ic"][..., 2]).all() and np.isnan(result.ceiling.explainable[2])
        np.testing.assert_allclose(result.ceiling.explainable[kept], plain.ceiling.explainable, atol=1e-12)
        np.testing.assert_allclose(result.p_mean, plain.p_mean)
        assert "nan" not in repr(result) and result.info["bads"] == ["Pz"]

    def test_the_result_keeps_its_own_channels(self, heard):
        participant = heard[0]
        result = cortical_tracking(*heard, **OPTIONS)
        participant.info["bads"] = ["Cz"]
        assert result.info["bads"] == [] and result.ch_names == CHANNELS


class TestFewSounds:
    def test_one_sound_is_refused_with_advice(self, rng):
        baseline, added = music(rng, "a")
        participant = listener(rng, baseline, added, "aaa")
        message = r"all trials present one sound.*null='pseudo' with features of music.*null='shift'.*'events'.*gap="
        for how in ({}, {"n_folds": 3, "gap": 0.5}):
            with pytest.raises(ValueError, match=message):
                cortical_tracking(participant, baseline, added, **OPTIONS, **how)

    @pytest.mark.parametrize("null", ["shift", "pseudo"])
    def test_one_sound_is_cut_in_time(self, rng, null):
        baseline, added = music(rng, "abcdefghijklmnopqrstuvwxyz", n_times=900)
        participant = listener(rng, baseline, added, "aa", effect=3.0)
        bank = [(baseline[name].values, added[name].values) for name in "bcdefghijklmnopqrstuvwxyz"]
        how = {"pseudo": {"pseudo": bank}, "shift": {"accept_drift": True}}[null]
        result = cortical_tracking(participant, baseline, added, **OPTIONS, n_folds=3, gap=0.5, null=null, **how)
        blocks = [(0, 300), (316, 600), (616, 900)]
        np.testing.assert_array_equal(result.segments, [(trial, *block) for trial in (0, 1) for block in blocks])
        frame = result.to_frame()
        np.testing.assert_allclose(frame["start"], np.repeat(result.segments[:, 1], 6) / SFREQ)
        np.testing.assert_allclose(frame["stop"], np.repeat(result.segments[:, 2], 6) / SFREQ)
        assert result.p_mean[0] == 1 / 20 and result.ceiling.n_sounds == 1

    def test_three_sounds_cannot_be_significant(self, rng):
        baseline, added = music(rng, "abc")
        with pytest.warns(UserWarning, match="3 different sounds.*no p-value can be below 0.167"):
            result = cortical_tracking(listener(rng, baseline, added), baseline, added, **OPTIONS)
        assert result.exact and result.p_min == pytest.approx(1 / 6) and result.p.min() >= 1 / 6

    def test_pseudo_with_several_models(self, heard, rng):
        participant, baseline, added = heard
        bank = []
        for stimulus in "uvwxyz":
            base, ic = (side[stimulus].values for side in music(rng, [stimulus]))
            bank.append((base, np.hstack([ic, rng.standard_normal((300, 1))])))
        options = {**OPTIONS, "null": "pseudo"}
        models = {"one": ["other"], "both": ["other", "ic"]}
        result = cortical_tracking(participant, baseline, added, models=models, pseudo=bank, **options)
        for name, columns in (("one", [1]), ("both", [1, 0])):
            engine = trf.delta_r(
                arrays(baseline, "abcdef"),
                arrays(added, "abcdef", columns),
                participant.eeg,
                SFREQ,
                groups=list("abcdef"),
                pseudo=[(base, more[:, columns]) for base, more in bank],
                **options,
            )
            np.testing.assert_allclose(result.null[list(models).index(name)], engine.null, atol=1e-12)
        made = [
            (series(base, "envelope"), [series(more[:, k], n) for k, n in enumerate(("ic", "other"))])
            for base, more in bank
        ]
        again = cortical_tracking(participant, baseline, added, models=models, pseudo=made, **options)
        np.testing.assert_array_equal(again.null, result.null)
        for wrong, message in (
            ([(bank[0][0], bank[0][1][:, :1])], r"sound 0, added: expected ic, other \(2 columns\), got 1"),
            ([bank[0][0]], r"sound 0: expected a pair \(baseline, added\), got ndarray"),
            ("abc", r"pseudo: expected pairs \(baseline, added\), got str. Write \[\(one, other\), ...\]"),
            ({"u": bank[0]}, r"pseudo: expected pairs \(baseline, added\), got dict"),
            ([(baseline["a"], baseline["b"])], "sound 0, added: expected ic, other, got envelope"),
            ([(bank[0][0], bank[0][1][:250])], "sound 0: baseline and added last 300 and 250 samples, not alike"),
            ([(bank[0][0], [])], r"sound 0, added: expected an array \(n_times, n_features\)"),
        ):
            with pytest.raises((ValueError, TypeError), match=message):
                cortical_tracking(participant, baseline, added, pseudo=wrong, **options)


class TestCeiling:
    def test_it_comes_from_repeats_and_only_then(self, rng, heard):
        _, baseline, added = heard
        assert cortical_tracking(*heard, **OPTIONS).ceiling is None
        again = listener(rng, baseline, {n: one[0] for n, one in added.items()}, "abcdefaf")
        result = cortical_tracking(again, baseline, added, **OPTIONS)
        assert (result.ceiling.kind, result.ceiling.n_sounds, result.ceiling.n_repeats) == ("repeats", 2, 4)
        z = [(x - x.mean(axis=0)) / x.std(axis=0) for x in again.eeg]
        expected = np.mean([(z[0] * z[6]).mean(axis=0), (z[5] * z[7]).mean(axis=0)], axis=0)
        np.testing.assert_allclose(result.ceiling.explainable, expected, atol=1e-10)

    def test_a_given_one_is_kept(self, rng, heard):
        participant, baseline, added = heard
        own = trf.repeat_ceiling([rng.standard_normal((99, 6)) for _ in "aa"], "aa".split() * 2)
        result = cortical_tracking(participant, baseline, added, ceiling=own, **OPTIONS)
        assert result.ceiling is own
        for wrong in (0.5, trf.repeat_ceiling([rng.standard_normal((99, 5)) for _ in "aa"], [0, 0])):
            with pytest.raises(TypeError, match="ceiling: expected a Ceiling of 6 channels, got (0.5|Ceiling)"):
                cortical_tracking(participant, baseline, added, ceiling=wrong, **OPTIONS)

    def test_repeats_without_common_samples_leave_a_note(self, rng):
        baseline, added = music(rng)
        early = np.arange(300) < 150
        masks = [early, *[np.ones(300, bool)] * 5, ~early]
        participant = listener(rng, baseline, added, "abcdefa", masks=masks)
        result = cortical_tracking(participant, baseline, added, **OPTIONS)
        assert result.ceiling is None
        assert result.notes[0].endswith("unknown in a feature or channel: 50.0% of trial 0, 50.0% of trial 6")
        assert result.notes[1].startswith("no noise ceiling: Sound 'a': expected at least 10")


class TestWhatIsLeftOut:
    def test_a_trial_with_next_to_nothing_left_is_named(self, rng):
        """It weighs as much as the others in the mean over trials."""
        baseline, added = music(rng)
        masks = [np.ones(300, bool) for _ in baseline]
        masks[2][40:] = False
        participant = listener(rng, baseline, added, masks=masks)
        with pytest.warns(UserWarning, match=r"Segments \[2\] .* have \[40\] samples to score, the median one 300;"):
            result = cortical_tracking(participant, baseline, added, **OPTIONS)
        assert result.notes[0].endswith(": 86.7% of trial 2")
        assert result.n_samples.tolist() == [300, 300, 40, 300, 300, 300]

    def test_errors_of_the_baseline_and_hopeless_ones_of_the_added_feature_are_said(self, rng):
        baseline, added = music(rng)
        participant = listener(rng, baseline, added)
        inexact = {name: series(one.values, "envelope", se=np.ones(300)) for name, one in baseline.items()}
        hopeless = {name: series(one.values, "ic", se=np.full(300, 2.0)) for name, one in added.items()}
        with pytest.warns(UserWarning, match="standard errors of ic are as large as what the baseline leaves of it"):
            result = cortical_tracking(participant, inexact, hopeless, **OPTIONS)
        assert result.notes == ("baseline: envelope taken as exact, its standard errors not used",)
        assert result.reliability == [0.0]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"models": {"x": ["IC"]}},
            ValueError,
            r"models\['x'\]: expected one of 'ic', 'other', got 'IC'. Did you mean 'ic'",
        ),
        (
            {"models": {"x": []}},
            TypeError,
            r"models\['x'\]: expected the names of added features, got \[\]. Write \['ic'",
        ),
        ({"models": {"x": 3}}, TypeError, r"models\['x'\]: expected the names of added features, got 3"),
        (
            {"models": {"x": ["ic", "ic"]}},
            ValueError,
            r"models\['x'\]: each feature needs its own name, but 'ic' stands more",
        ),
        ({"models": {3: ["ic"]}}, TypeError, r"models: expected strings, got 3 \(int\)"),
        (
            {"models": ["ic"]},
            TypeError,
            r"models: expected a dictionary.*got \['ic'\]. Write {'both': \['ic', 'other'\]}",
        ),
        ({"models": {}}, TypeError, "models: expected a dictionary from a name to added features, got {}"),
        ({"null": "repar"}, ValueError, "Did you mean 'repair'"),
        ({"n_null": 0}, ValueError, "n_null: expected at least 2, got 0"),
        ({"n_null": 9.5}, TypeError, "n_null: expected a whole number, got 9.5"),
        ({"alphas": "many"}, TypeError, "alphas: expected real numbers"),
        ({"alphas": []}, ValueError, "alphas: expected at least one"),
        ({"tmax": "late"}, TypeError, "tmax"),
        ({"tmin": 0.5}, ValueError, "tmin"),
        ({"rng": "seed"}, TypeError, "rng: expected a seed"),
        ({"pseudo": []}, ValueError, "unheard sounds are for null='pseudo'"),
        ({"per_channel": "yes"}, TypeError, "per_channel: expected True or False, got 'yes'"),
        ({"conditional": None}, TypeError, "conditional: expected True or False, got None"),
        ({"refit_alpha": 1}, TypeError, "refit_alpha: expected True or False, got 1"),
        ({"tolerance": -0.1}, ValueError, "tolerance: expected a number of seconds that is not negative, got -0.1"),
        ({"tolerance": "much"}, TypeError, "tolerance: expected a number of seconds, got 'much'"),
    ],
)
def test_what_cannot_be_asked_is_said(heard, options, error, message):
    with pytest.raises(error, match=message):
        cortical_tracking(*heard, **{**OPTIONS, **options})


def test_features_are_named_where_they_are_at_fault(rng):
    baseline, added = music(rng)
    silent = {name: series(one.values * (name in "ab"), "ic") for name, one in added.items()}
    with pytest.raises(ValueError, match="Features ic are constant in a training set"):
        cortical_tracking(listener(rng, baseline, added), baseline, silent, **OPTIONS)
    both = {name: [series(one.values, "known"), silent[name]] for name, one in added.items()}
    with pytest.raises(ValueError, match="Features ic are constant in a training set"):
        cortical_tracking(listener(rng, baseline, added), baseline, both, **OPTIONS)


def test_a_feature_must_not_bear_the_name_of_a_map(rng):
    """`Tracking.to_evoked` could not tell them apart."""
    baseline, added = music(rng)
    added = {name: series(one.values, "corrected") for name, one in added.items()}
    with pytest.raises(ValueError, match="features: 'corrected' is what results call a map of theirs. Rename"):
        cortical_tracking(listener(rng, baseline, added), baseline, added, **OPTIONS)


def test_one_trial_is_too_few(rng):
    baseline, added = music(rng, "a")
    with pytest.raises(ValueError, match="all trials present one sound"):
        cortical_tracking(listener(rng, baseline, added), baseline, added, **OPTIONS)


def test_listeners_of_other_sounds_take_what_they_heard(rng):
    """Surrogates go by the names of the sounds, in whatever order trials came."""
    baseline, added = music(rng, "abcdefgh")
    one, other = listener(rng, baseline, added, "abcdef"), listener(rng, baseline, added, "hgfedc")
    assert [cortical_tracking(p, baseline, added, **OPTIONS).stimuli for p in (one, other)] == [
        tuple("abcdef"),
        tuple("hgfedc"),
    ]
    backwards = Participant.from_arrays(one.eeg[::-1], one.stimuli[::-1], SFREQ)
    a, b = (cortical_tracking(p, baseline, added, **OPTIONS) for p in (one, backwards))
    np.testing.assert_allclose(a.null, b.null, atol=1e-10)
    np.testing.assert_allclose(a.r_full, b.r_full[:, ::-1], atol=1e-10)
