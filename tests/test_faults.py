"""Faults of recordings that show only when the whole line runs: from the recording to scores and maps."""

import warnings

import mne
import numpy as np
import pytest
from handmade import CHANNELS, OPTIONS, SFREQ, listener, music, series

from eegic import Participant, cortical_tracking, pair_features, plot_topography, read_participant

OPTIONS = {**OPTIONS, "alphas": [0.1]}  # one, which is at no edge of its grid


def spoilt(person, change):
    eeg = [trial.eeg.copy() for trial in person.trials]
    change(eeg)
    return Participant.from_arrays(
        eeg, person.stimuli, SFREQ, ch_names=person.ch_names, montage="biosemi64", name=person.name
    )


class TestFlatChannels:
    def test_flat_throughout_has_no_score_and_no_part_in_the_maximum(self, rng):
        baseline, added = music(rng)
        whole = listener(rng, baseline, added)
        eeg = [trial.eeg[:, [0, 1, 2, 4, 5]] for trial in whole.trials]
        without = cortical_tracking(Participant.from_arrays(eeg, whole.stimuli, SFREQ), baseline, added, **OPTIONS)

        def flat(eeg):
            for trial in eeg:
                trial[:, 3] = 2e-6

        with pytest.warns(UserWarning, match="channels Oz are constant throughout; their scores there are NaN"):
            result = cortical_tracking(spoilt(whole, flat), baseline, added, **OPTIONS)
        for name in ("r_full", "corrected", "p", "p_maxt"):
            found = getattr(result, name)
            assert np.isnan(found[..., 3]).all(), name
            np.testing.assert_allclose(np.delete(found, 3, axis=-1), getattr(without, name), atol=1e-12, err_msg=name)
        np.testing.assert_allclose(result.p_mean, without.p_mean)

    def test_flat_in_one_trial_is_missing_there_and_the_rest_is_averaged(self, rng):
        baseline, added = music(rng)
        whole = listener(rng, baseline, added)
        plain = cortical_tracking(whole, baseline, added, **OPTIONS)

        def flat(eeg):
            eeg[2][:, 0] = -1e-6

        with pytest.warns(UserWarning, match="channels Fz are constant in some of the held-out trials"):
            result = cortical_tracking(spoilt(whole, flat), baseline, added, **OPTIONS)
        gains = result.delta_r[0, :, 0]
        np.testing.assert_array_equal(np.isnan(gains), np.arange(6) == 2)
        assert result.gain[0, 0] == pytest.approx(gains[[0, 1, 3, 4, 5]].mean())
        assert np.isfinite(result.null[..., 0]).all() and np.isfinite(result.p_maxt).all()
        frame = result.to_frame("trial").query("channel == 'Fz'")
        assert frame["delta_r"].notna().sum() == 5, "the table says how many trials the mean is of"
        np.testing.assert_allclose(result.delta_r[..., 1:], plain.delta_r[..., 1:], atol=1e-12)


class TestPositions:
    @pytest.fixture
    def info(self):
        names = mne.channels.make_standard_montage("biosemi32").ch_names
        return mne.create_info(names, 64.0, "eeg").set_montage("biosemi32")

    def test_without_positions_the_analysis_runs(self, rng):
        baseline, added = music(rng)
        placed = listener(rng, baseline, added)
        eeg = [trial.eeg for trial in placed.trials]
        person = Participant.from_arrays(eeg, placed.stimuli, SFREQ, ch_names=placed.ch_names)
        result = cortical_tracking(person, baseline, added, **OPTIONS)
        np.testing.assert_array_equal(result.corrected, cortical_tracking(placed, baseline, added, **OPTIONS).corrected)
        with pytest.raises(ValueError, match="6 channels have no position, so they cannot be drawn: Fz, Cz, .*set_mon"):
            plot_topography(result)

    @pytest.mark.parametrize("unknown", [np.nan, 0.0])
    def test_channels_without_a_position_are_named_and_not_drawn_at_the_origin(self, info, unknown):
        for i in (3, 5):
            info["chs"][i]["loc"][:3] = unknown
        with pytest.raises(ValueError, match=r"2 channels have no position, so they cannot be drawn: F3, FC5. Give a"):
            plot_topography(np.arange(32.0), info)

    def test_no_position_at_all_or_two_in_one_place(self, info):
        twice = info.copy()
        twice["chs"][3]["loc"][:3] = twice["chs"][5]["loc"][:3]
        with pytest.raises(ValueError, match=r"channels [A-Z]\w+ and [A-Z]\w+ share one position. Correct"):
            plot_topography(np.arange(32.0), twice)
        for channel in info["chs"]:
            channel["loc"][:3] = 0
        with pytest.raises(ValueError, match="32 channels have no position"):
            plot_topography(np.arange(32.0), info)


def test_only_eeg_is_predicted(rng):
    """A trigger channel copies the onsets, an audio channel the sound: they would be predicted all too well."""
    kinds = {"Fz": "eeg", "eye": "eog", "STI": "stim", "sound": "misc", "heart": "ecg", "Pz": "eeg", "knob": "bio"}
    raw = mne.io.RawArray(
        1e-5 * rng.standard_normal((7, 1000)), mne.create_info(list(kinds), 100.0, [*kinds.values()]), verbose="error"
    )
    raw.info["bads"] = ["Pz", "eye"]
    person = read_participant(raw, [(1.0, "bach")], 5.0)
    assert (person.ch_names, person.bads) == (("Fz", "Pz"), ("Pz",))
    assert person.history[0].endswith("2 EEG channels; left out: 1 eog, 1 stim, 1 misc, 1 ecg, 1 bio")
    np.testing.assert_allclose(person.trials[0].eeg, raw.get_data(["Fz", "Pz"], 100, 600).T, rtol=1e-12)


class TestRates:
    """Features whose rate is nearly that of the EEG: an error only where a sample would come out wrong."""

    @pytest.mark.parametrize(("rate", "message"), [(99.9, "99.9 values per second, the EEG 32"), (32.1, "32.1 values")])
    def test_faster_by_more_than_half_a_sample_is_refused(self, rng, rate, message):
        baseline, added = music(rng, "ab")
        person = listener(rng, baseline, added)
        off = {name: series(rng.standard_normal(round(300 * rate / SFREQ)), "ic", rate) for name in "ab"}
        with pytest.raises(ValueError, match=rf"added\['a'\]: ic has {message}.*Compute the feature at the rate"):
            pair_features(person, baseline, off)

    @pytest.mark.parametrize("rate", [31.9, 32.0001, 31.9999])
    def test_otherwise_every_value_stands_in_its_time(self, rng, rate):
        """A ramp shows the time of the value that each sample has: never later than the sample, nor a step older."""
        baseline, added = music(rng, "ab")
        person = listener(rng, baseline, added)
        times = np.arange(300) / rate
        ramp = {name: series(times, "ic", rate) for name in "ab"}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # two sounds with the same feature
            held = pair_features(person, baseline, ramp).added[0][:, 0]
        late = np.arange(len(held)) / SFREQ - held
        assert late.min() > -1e-3 / SFREQ and late.max() < 1.01 / rate


def test_a_recording_is_analysed_alike_in_any_order_of_channels(rng):
    baseline, added = music(rng)
    person = listener(rng, baseline, added)
    order = rng.permutation(len(CHANNELS))
    eeg = [trial.eeg[:, order] for trial in person.trials]
    shuffled = Participant.from_arrays(eeg, person.stimuli, SFREQ, ch_names=np.take(CHANNELS, order).tolist())
    one, other = (cortical_tracking(each, baseline, added, **OPTIONS) for each in (person, shuffled))
    np.testing.assert_allclose(one.corrected[:, order], other.corrected, atol=1e-12)
    np.testing.assert_array_equal(one.p_maxt[:, order], other.p_maxt)
