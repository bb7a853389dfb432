"""Features and trials on one clock, and what is one sound."""

import re

import numpy as np
import pytest
from handmade import OPTIONS, SFREQ, listener, music, series

from eegic import FeatureSeries, Participant, cortical_tracking, pair_features, trf
from eegic.datasets import MelodyGrammar

pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")


@pytest.fixture
def heard(rng):
    """Two sounds of 300 samples, the first heard twice."""
    baseline, added = music(rng, "ab")
    return listener(rng, baseline, added, "aba"), baseline, added


def shorter(participant, n_times):
    """The same participant, whose trials end early."""
    eeg = [trial.eeg[:n_times] for trial in participant.trials]
    return Participant.from_arrays(eeg, participant.stimuli, participant.sfreq)


class TestClock:
    def test_on_the_grid_nothing_changes(self, heard):
        participant, baseline, added = heard
        pairs = pair_features(participant, baseline, added)
        for k, stimulus in enumerate("aba"):
            np.testing.assert_array_equal(pairs.baseline[k], baseline[stimulus].values)
            np.testing.assert_array_equal(pairs.added[k], added[stimulus].values)
            np.testing.assert_array_equal(pairs.eeg[k], participant.trials[k].eeg)
        assert pairs.stimuli == pairs.sounds == ("a", "b", "a")
        assert (pairs.sfreq, pairs.notes) == (SFREQ, ())
        assert repr(pairs) == "Pairs(3 trials of 2 sounds at 32 Hz: envelope | ic)"

    def test_slow_frames_are_held(self, heard, rng):
        participant, baseline, _ = heard
        frames = {name: series(rng.standard_normal(94), "ic", sfreq=10.0) for name in "ab"}
        pairs = pair_features(participant, baseline, frames)
        row = np.arange(300) * 10 // 32
        for k, stimulus in enumerate("aba"):
            np.testing.assert_array_equal(pairs.added[k], frames[stimulus].values[row])

    @pytest.mark.parametrize(("begin", "noted"), [(0.25, True), (0.02, False), (1.0, False)])
    def test_times_between_samples_are_noted(self, heard, begin, noted):
        """`begin` in samples."""
        participant, baseline, added = heard
        late = {name: added[name].shift(begin / SFREQ) for name in "ab"}
        notes = pair_features(participant, baseline, late, tolerance=1.0).notes
        assert ("added['a']: ic held from t=0.0078 s to the next sample of the EEG" in notes) == noted
        assert any("held from" in note for note in notes) == noted

    def test_several_series_stand_side_by_side(self, heard, rng):
        participant, baseline, added = heard
        others = {name: series(rng.standard_normal((300, 2)), ["x", "y"]) for name in "ab"}
        pairs = pair_features(participant, {n: (others[n], baseline[n]) for n in "ab"}, {n: [added[n]] for n in "ab"})
        assert (pairs.baseline_names, pairs.added_names) == (("x", "y", "envelope"), ("ic",))
        np.testing.assert_array_equal(pairs.baseline[1], np.hstack([others["b"].values, baseline["b"].values]))

    @pytest.mark.parametrize(
        ("times", "message"),
        [
            (
                np.arange(300) / SFREQ + 0.01 * (np.arange(300) % 2),
                r"added\['a'\]: ic has irregular times.*`series.resample\(32, duration=..., kind='impulse'\)` for",
            ),
            (np.arange(300) / 40.0, r"added\['a'\]: ic has 40 values per second, the EEG 32. Compute.*or low-pass"),
        ],
    )
    def test_other_clocks_are_refused_with_advice(self, heard, rng, times, message):
        participant, baseline, _ = heard
        odd = {name: FeatureSeries(rng.standard_normal(300), times, "ic") for name in "ab"}
        with pytest.raises(ValueError, match=message):
            pair_features(participant, baseline, odd)

    def test_a_single_note_has_no_clock(self, heard):
        participant, baseline, _ = heard
        with pytest.raises(ValueError, match="ic has irregular times"):
            pair_features(participant, baseline, {name: FeatureSeries([1.0], [0.0], "ic") for name in "ab"})

    def test_the_standard_error_is_held_too(self, heard, rng):
        participant, baseline, added = heard
        values, se = rng.standard_normal((2, 94))
        values[0] = np.nan
        noisy = {name: [series(values + k, "noisy", 10.0, se=se**2), added[name]] for k, name in enumerate("ab")}
        pairs = pair_features(participant, baseline, noisy)
        row = np.arange(300) * 10 // 32
        np.testing.assert_array_equal(pairs.noise[1][:, 0], np.where(row == 0, np.nan, se[row] ** 2))
        np.testing.assert_array_equal(pairs.noise[1][:, 1], 0)
        np.testing.assert_array_equal(pair_features(participant, baseline, added).noise[0], np.zeros((300, 1)))


class TestLength:
    def test_eeg_after_the_sound_is_left_out(self, rng):
        baseline, added = music(rng, "ab")
        participant = listener(rng, baseline, added, n_after=48, masks=[np.arange(348) % 7 > 0] * 2)
        pairs = pair_features(participant, baseline, added)
        assert [len(x) for side in (pairs.eeg, pairs.masks, pairs.noise) for x in side] == [300] * 6
        np.testing.assert_array_equal(pairs.eeg[1], participant.trials[1].eeg[:300])
        np.testing.assert_array_equal(pairs.masks[1], participant.trials[1].mask[:300])
        assert pairs.notes[1] == "trial 1: 1.50 s of EEG after the end of b left out"

    @pytest.mark.parametrize("missing", [2, 29, 57])
    @pytest.mark.parametrize("sfreq", [32.0, 100.0, 128.0])
    def test_eeg_that_ends_early_is_refused_until_the_tolerance_it_names(self, heard, missing, sfreq):
        participant, baseline, added = heard
        participant = Participant.from_arrays(shorter(participant, 300 - missing).eeg, participant.stimuli, sfreq)
        sides = [{n: series(s.values, s.names, sfreq) for n, s in side.items()} for side in (baseline, added)]
        message = (
            r"Trial 0: the EEG lasts \d+\.\d\d s, its sound 'a' \d+\.\d\d s.*cut short.*pass tolerance=([\d.]+)\.$"
        )
        with pytest.raises(ValueError, match=message) as caught:
            pair_features(participant, *sides)
        seconds = float(re.search(message, str(caught.value))[1])
        pairs = pair_features(participant, *sides, tolerance=seconds)
        np.testing.assert_array_equal(pairs.added[1], added["b"].values[: 300 - missing])
        assert pairs.notes[1] == f"trial 1: the last {missing / sfreq:.2f} s of b have no EEG"
        with pytest.raises(ValueError, match="the EEG lasts"):
            pair_features(participant, *sides, tolerance=seconds - 0.011)

    def test_one_sample_is_no_matter(self, heard):
        participant, baseline, added = heard
        pairs = pair_features(shorter(participant, 299), baseline, added)
        assert len(pairs.added[0]) == len(pairs.eeg[0]) == 299
        for none in (0, 0.01):
            with pytest.raises(ValueError, match=r"pass tolerance=0\.04"):
                pair_features(shorter(participant, 299), baseline, added, tolerance=none)

    def test_impulses_of_a_lower_rate_are_noticed(self, heard, rng):
        """Held, an impulse would last as long as a frame."""
        participant, baseline, added = heard
        notes = (rng.random(150) < 0.2).astype(float)
        slow = {name: series(notes * one.values[::2, 0], "ic", SFREQ / 2) for name, one in added.items()}
        with pytest.warns(
            UserWarning, match=r"^ic: mostly 0, as impulses are, yet every value is held for 2 sa"
        ) as seen:
            pair_features(participant, baseline, slow)
        assert len(seen) == 1
        frames = {name: series(one.values[::2], "ic", SFREQ / 2) for name, one in added.items()}
        pair_features(participant, baseline, frames)

    def test_a_feature_far_from_silence_is_noticed(self, heard):
        participant, baseline, added = heard
        level = {name: series(one.values - 60.0, "level") for name, one in baseline.items()}
        with pytest.warns(UserWarning, match=r"^baseline: level is nowhere nearer to 0 than \d\d\.\d sta") as seen:
            pair_features(participant, level, added)
        assert len(seen) == 1

    def test_features_are_as_long_as_the_shortest(self, heard):
        participant, baseline, added = heard
        cut = {name: series(one.values[:280], "ic") for name, one in added.items()}
        assert {len(x) for x in pair_features(participant, baseline, cut).baseline} == {280}
        cut["a"] = series(added["a"].values[:260], "ic")
        with pytest.raises(
            ValueError, match=r"'a': envelope lasts 9\.38 s and ic 8\.12 s. They should be .* one sound"
        ):
            pair_features(participant, baseline, cut)


class TestNames:
    def test_sounds_that_were_not_heard_are_passed_over(self, heard, rng):
        participant, baseline, added = heard
        more = {"z": FeatureSeries([1.0], [0.0], "other"), **added, "y": None}
        pairs = pair_features(participant, {**baseline, "x": "?"}, dict(reversed(more.items())))
        np.testing.assert_array_equal(pairs.added[1], added["b"].values)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (
                lambda b, a: (b, {"a": a["a"]}),
                ValueError,
                "added: sub-01 heard 'b', of which there are no.* are: 'a'.. Add",
            ),
            (
                lambda b, a: ({}, a),
                ValueError,
                "baseline: sub-01 heard 'a', 'b', of .*those there are: none.. Add them",
            ),
            (
                lambda b, a: (b, a["a"]),
                TypeError,
                "added: expected a dictionary from stimulus to FeatureSeries, got Feat",
            ),
            (
                lambda b, a: ([b["a"]], a),
                TypeError,
                "baseline: expected a dictionary .* got list. Write {'bach': series}",
            ),
            (
                lambda b, a: (b, {n: s.values for n, s in a.items()}),
                TypeError,
                r"added\['a'\]: .* got ndarray. Make one",
            ),
            (
                lambda b, a: (b, dict.fromkeys("ab")),
                TypeError,
                r"added\['a'\]: expected a FeatureSeries.* got NoneType",
            ),
            (lambda b, a: (b, {"a": "ic", "b": "ic"}), TypeError, r"added\['a'\]: expected a FeatureSeries.* got str"),
            (
                lambda b, a: ({**b, "b": []}, a),
                ValueError,
                r"baseline\['b'\]: expected at least one FeatureSeries, got",
            ),
            (
                lambda b, a: (b, {**a, "b": series(a["b"].values, "surprise")}),
                ValueError,
                "added: 'a' has ic and 'b' has surprise. Every stimulus needs the same features in the same order",
            ),
            (lambda b, a: (b, {n: [s, s] for n, s in a.items()}), ValueError, "added: .*'ic' stands more than once"),
            (lambda b, a: (b, {n: [a[n], b[n]] for n in b}), ValueError, "added: envelope stands in the baseline too"),
            (
                lambda b, a: (b, {**a, "b": series(np.full(300, np.nan), "ic")}),
                ValueError,
                r"added\['b'\]: ic is NaN throughout. Compute it again, or leave the trials of that sound out",
            ),
            (
                lambda b, a: (b, dict.fromkeys("ab", series(np.full(300, 0.1), "ic"))),
                ValueError,
                "added: ic is constant",
            ),
            (
                lambda b, a: (dict.fromkeys("ab", series(np.ones(300), "1")), a),
                ValueError,
                "baseline: 1 is constant, so",
            ),
            (
                lambda b, a: (b, {n: s.shift(-99) for n, s in a.items()}),
                ValueError,
                r"ic ends at -89\.6562 s, before the",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(self, heard, change, error, message):
        participant, baseline, added = heard
        with pytest.raises(error, match=message):
            pair_features(participant, *change(baseline, added))

    def test_only_participants_hear(self, heard):
        _, baseline, added = heard
        with pytest.raises(TypeError, match="participant: expected a Participant, got list"):
            pair_features([], baseline, added)

    def test_a_feature_may_be_silent_in_one_sound(self, heard):
        participant, baseline, added = heard
        silent = {**added, "b": series(np.zeros(300), "ic")}
        np.testing.assert_array_equal(pair_features(participant, baseline, silent).added[1], 0)


class TestSounds:
    def test_the_same_features_are_one_sound(self, rng):
        baseline, added = music(rng, "abcd")
        baseline["d"], added["d"] = baseline["b"], series(added["b"].values + 1e-9, "ic")
        participant = listener(rng, baseline, added, "dcba")
        with pytest.warns(
            UserWarning, match="'d' and 'b' have the same features.*one sound: they share a fold, and are"
        ):
            pairs = pair_features(participant, baseline, added)
        assert pairs.stimuli == ("d", "c", "b", "a") and pairs.sounds == ("b", "c", "b", "a")
        assert pairs.notes == ("d has the features of b: taken for the same sound",)
        added["d"] = series(rng.standard_normal(300), "ic")
        assert pair_features(participant, baseline, added).sounds == participant.stimuli

    def test_one_sound_shares_a_fold_and_is_not_exchanged_with_itself(self, rng):
        baseline, added = music(rng, "abcd")
        baseline["d"], added["d"] = baseline["b"], added["b"]
        participant = listener(rng, baseline, added)
        with pytest.warns(UserWarning, match="same features|3 different sounds there are 6 exchanges") as caught:
            result = cortical_tracking(participant, baseline, added, **{**OPTIONS, "n_null": 99})
        assert caught[0].filename == __file__
        assert result.exact and result.null.shape == (1, 5, 6)
        assert result.sounds == ("a", "b", "c", "b") and result.alpha.shape == (2, 3)
        assert "d has the features of b: taken for the same sound" in result.notes
        with pytest.warns(UserWarning, match="3 different sounds"):
            same = trf.delta_r(
                *([one[name].values for name in "abcd"] for one in (baseline, added)),
                participant.eeg,
                SFREQ,
                groups=[0, 1, 2, 1],
                **{**OPTIONS, "n_null": 99},
            )
        np.testing.assert_array_equal(result.null[0], same.null)

    @pytest.mark.parametrize("stimuli", ["ac", "ca"])
    def test_a_copy_that_starts_later_is_noticed(self, rng, stimuli):
        baseline, added = music(rng, "abc")
        first, copy = stimuli
        baseline[copy], added[copy] = (
            series(np.append(rng.standard_normal(10), side[first].values[:-10]), side[first].names)
            for side in (baseline, added)
        )
        lag = "0.31" if copy == "c" else "-0.31"
        message = rf"As copies of one sound do, a and c resemble each other \(r (0\.9[5-9]\d|1\.000) at {lag} s\)"
        with pytest.warns(UserWarning, match=message) as caught:
            pairs = pair_features(listener(rng, baseline, added), baseline, added)
        assert len(caught) == len(pairs.notes) == 1
        assert pairs.sounds == ("a", "b", "c") and re.search(f"a and c resemble .*at {lag} s", pairs.notes[0])

    def test_a_noisy_part_of_a_sound_resembles_it_as_the_correlation_says(self, rng):
        """All features together: the mean of their correlations, where they overlap."""
        baseline, added = music(rng, "ab", n_times=600)
        for side in (baseline, added):
            part = side["a"].values[150:450] + 0.2 * rng.standard_normal((300, 1))
            side["b"] = series(part, side["a"].names)
        with pytest.warns(UserWarning, match="resemble") as caught:
            pair_features(listener(rng, baseline, added), baseline, added)
        r, lag = re.search(r"r (\S+) at (\S+) s", str(caught[0].message)).groups()
        expected = [np.corrcoef(s["a"].values[150:450, 0], s["b"].values[:, 0])[0, 1] for s in (baseline, added)]
        assert float(r) == pytest.approx(np.mean(expected), abs=0.002)
        assert float(lag) == pytest.approx(-150 / SFREQ, abs=0.01)

    def test_many_copies_are_named_in_one_warning(self, rng):
        baseline, added = music(rng, "abcd")
        for copy, late in zip("bcd", (5, 10, 15), strict=True):
            for side in (baseline, added):
                side[copy] = series(np.append(rng.standard_normal(late), side["a"].values[:-late]), side["a"].names)
        with pytest.warns(UserWarning, match="a and b resemble .*; 3 more pairs. In different folds") as caught:
            pairs = pair_features(listener(rng, baseline, added), baseline, added)
        assert len(caught) == 1 and len(pairs.notes) == 6

    @pytest.mark.parametrize("rhythm", ["isochronous", "free"])
    def test_different_melodies_are_different(self, rng, rhythm):
        """Notes at equal intervals have onsets in common, and are no copies."""
        grammar, baseline, added = MelodyGrammar(rhythm=rhythm), {}, {}
        for stimulus in "abcdefgh":
            notes = grammar.sample(duration=12.0, rng=rng).surprisal()
            added[stimulus] = notes.resample(SFREQ, duration=12.0, kind="impulse")
            baseline[stimulus] = series((added[stimulus].values > 0).astype(float), "onset")
        pairs = pair_features(listener(rng, baseline, added), baseline, added)
        assert pairs.sounds == tuple("abcdefgh") and pairs.notes == ()

    def test_unknown_edges_are_left_out_of_both_models(self, rng):
        baseline, added = music(rng)
        participant = listener(rng, baseline, added)
        for name, one in added.items():
            known = (np.arange(300) >= 20) & (np.arange(300) < 295)
            added[name] = series(np.where(known, one.values[:, 0], np.nan), "ic")
        pairs = pair_features(participant, baseline, added)
        np.testing.assert_array_equal(np.isnan(pairs.added[0][:, 0]), ~known)
        result = cortical_tracking(participant, baseline, added, **OPTIONS)
        options = {name: OPTIONS[name] for name in ("tmin", "tmax", "alphas")}
        reached = np.convolve(~known, np.ones(5))[:300] > 0
        sides = [
            list(pairs.baseline),
            [np.nan_to_num(np.hstack(p)) for p in zip(pairs.baseline, pairs.added, strict=True)],
        ]
        for found, x in zip((result.r_reduced, result.r_full[0]), sides, strict=True):
            expected = trf.nested_crossval(x, participant.eeg, SFREQ, masks=[~reached] * 6, **options)
            np.testing.assert_allclose(found, expected.r, atol=1e-10)
