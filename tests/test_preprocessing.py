"""Preprocessing beside scipy and MNE; known faults are found, and time stays where it is."""

import logging
import tracemalloc
import warnings
from dataclasses import replace

import mne
import numpy as np
import pytest
from scipy import signal

from eegic import Participant, datasets, trf
from eegic.eeg.preprocessing import preprocess
from eegic.eeg.quality import find_bad_channels

PLAIN = {"reference": None, "bad_channels": "keep", "l_freq": None, "h_freq": None, "sfreq": None, "progress": False}
NAMES = mne.channels.make_standard_montage("biosemi32").ch_names


def related(rng, *lengths, n_channels=8):
    """Microvolts that channels share, and some of their own."""
    return [10 * rng.standard_normal((n, 1)) + 3 * rng.standard_normal((n, n_channels)) for n in lengths]


def build(eeg, sfreq=256.0, **changes):
    stimuli = [f"s{i}" for i in range(len(eeg))]
    arguments = {"unit": "uV", "name": "sub-01", "montage": "biosemi32", "ch_names": NAMES[: eeg[0].shape[1]]}
    return Participant.from_arrays(eeg, stimuli, sfreq, **{**arguments, **changes})


def butterworth(l_freq, h_freq, sfreq, order=2):
    high, low = (
        signal.butter(order, f, kind, fs=sfreq, output="sos") for f, kind in ((l_freq, "high"), (h_freq, "low"))
    )
    return np.vstack([high, low])


def tone(frequency, sfreq, seconds, phase=0.4):
    times = np.arange(round(seconds * sfreq)) / sfreq
    return np.cos(2 * np.pi * frequency * times + phase)[:, None]


def fitted(x, frequency, sfreq, skip):
    """Amplitude and phase of a tone in samples that stand at k / sfreq."""
    times = np.arange(len(x)) / sfreq
    basis = np.exp(2j * np.pi * frequency * times)
    inside = slice(round(skip * sfreq), -round(skip * sfreq))
    design = np.stack([basis.real, -basis.imag], axis=1)[inside]
    real, imaginary = np.linalg.lstsq(design, x[inside])[0]
    return np.hypot(real, imaginary), np.arctan2(imaginary, real)


class TestFilter:
    @pytest.mark.parametrize(("l_freq", "h_freq", "order"), [(1.0, 8.0, 2), (2.0, 30.0, 3)])
    def test_equals_scipy_away_from_the_ends(self, rng, l_freq, h_freq, order):
        person = build(related(rng, 5120, 7000))
        done = preprocess(person, **{**PLAIN, "l_freq": l_freq, "h_freq": h_freq, "order": order})
        for before, after in zip(person.trials, done.trials, strict=True):
            expected = signal.sosfiltfilt(butterworth(l_freq, h_freq, 256.0, order), before.eeg, axis=0)
            away = slice(1800, -1800)
            np.testing.assert_allclose(after.eeg[away], expected[away], rtol=0, atol=2e-6 * expected.std())

    @pytest.mark.parametrize("frequency", [1.0, 8.0, 0.5, 3.0, 16.0])
    def test_half_the_amplitude_at_the_cutoffs_and_no_delay(self, frequency):
        person = build([1e3 * tone(frequency, 512.0, 20)], 512.0)
        done = preprocess(person, **{**PLAIN, "l_freq": 1.0, "h_freq": 8.0})
        amplitude, phase = fitted(done.trials[0].eeg[:, 0], frequency, 512.0, skip=3)
        gain = 1 / (1 + (1 / frequency) ** 4) / (1 + (frequency / 8) ** 4)  # of order 4: 1/2 at 1 and at 8 Hz
        assert amplitude == pytest.approx(1e-3 * gain, rel=0.01)
        assert phase == pytest.approx(0.4, abs=1e-3)

    def test_one_cutoff_alone(self, rng):
        person = build(related(rng, 5120))
        for l_freq, h_freq, kind in ((1.0, None, "high"), (None, 8.0, "low")):
            done = preprocess(person, **{**PLAIN, "l_freq": l_freq, "h_freq": h_freq})
            sections = signal.butter(2, l_freq or h_freq, kind, fs=256.0, output="sos")
            expected = signal.sosfiltfilt(sections, person.trials[0].eeg, axis=0)[1800:-1800]
            np.testing.assert_allclose(done.trials[0].eeg[1800:-1800], expected, rtol=0, atol=2e-6 * expected.std())

    def test_trials_do_not_reach_into_each_other(self, rng):
        eeg = related(rng, 1000, 1300)
        both, alone = preprocess(build(eeg), progress=False), preprocess(build(eeg[1:]), progress=False)
        np.testing.assert_array_equal(both.trials[1].eeg, alone.trials[0].eeg)

    def test_an_offset_and_a_slope_leave_no_trace_at_the_ends(self, rng):
        """What a filter with zeros beyond the ends would turn into a jump of many times the EEG."""
        eeg = related(rng, 2560)
        ramp = 1e5 + 1e3 * np.arange(2560)[:, None] / 256
        plain, moved = (preprocess(build([x]), progress=False).trials[0].eeg for x in (eeg[0], eeg[0] + ramp))
        np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-3 * plain.std())

    def test_a_trial_shorter_than_a_period_is_refused(self, rng):
        eeg = related(rng, 2560, 256)
        with pytest.raises(
            ValueError, match=r"sub-01, trial 1 \(s1\): lasts 1.00 s, but a filter at 1 Hz needs more than"
        ):
            preprocess(build(eeg), progress=False)
        assert preprocess(build(eeg), l_freq=2.0, progress=False).trials[1].n_times == 64

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"h_freq": 32.0},
                r"h_freq: expected less than 32 Hz, half of the new sampling rate.*choose a higher `sfreq`",
            ),
            ({"h_freq": 200.0, "sfreq": None}, "less than 128 Hz, half of the old sampling rate"),
            ({"l_freq": 9.0}, r"l_freq: expected less than h_freq \(8 Hz\), got 9 Hz"),
            ({"l_freq": 0.0}, "l_freq: expected a finite positive number of hertz"),
            ({"order": 0}, "order: expected at least 1"),
            ({"sfreq": -64.0}, "sfreq: expected a finite positive number"),
            ({"sfreq": 64.003}, r"sfreq: no fraction .* takes 256.0 Hz to 64.003 Hz.*off by \d.*Choose a simpler"),
            ({"settle": -1.0}, "settle: expected 0 seconds or more"),
            ({"on_nan": "mask"}, "on_nan: expected one of 'raise', 'bridge'"),
            ({"bad_channels": "fnd"}, "bad_channels: expected one of 'find', 'keep', got 'fnd'. Did you mean 'find'"),
            ({"bad_channels": None}, "bad_channels: expected one of 'find', 'keep', got None"),
            ({"bad_channels": ["cz"]}, "sub-01: bad_channels: expected one of .*Did you mean 'Cz'"),
            ({"max_sd": 0.5}, "max_sd: expected a number from 1 to inf, got 0.5"),
            ({"min_correlation": 2}, "min_correlation: expected a number from 0 to 1"),
            ({"reference": "M1"}, "sub-01: reference: expected one of 'average', 'REST', 'Fp1'"),
            (
                {"reference": ["Cz", "Cz"]},
                "sub-01: reference: each channel needs its own name, but 'Cz' stands more than",
            ),
            ({"reference": []}, "sub-01: reference: expected channels, got none. None leaves"),
        ],
    )
    def test_wrong_arguments(self, rng, changes, message):
        person = build(related(rng, 256 * 600 if changes.get("sfreq") == 64.003 else 2560, n_channels=32))
        with pytest.raises(ValueError, match=message):
            preprocess(person, **{"progress": False, **changes})

    def test_what_is_no_participant(self):
        for function in (preprocess, find_bad_channels):
            with pytest.raises(TypeError, match="participant: expected a Participant, got list. Cut the recording"):
                function([1, 2])


class TestRate:
    @pytest.mark.parametrize("old", [512.0, 500.0, 256.0, 250.0, 2048.0, 44100 / 441, 99.9, 48.0])
    def test_samples_stand_where_they_say(self, old):
        """Phase of 5 Hz at the new rate, in a trial of no whole number of new samples."""
        n = round(20 * old) + 3
        person = build([1e2 * tone(5.0, old, n / old)], old)
        done = preprocess(person, **{**PLAIN, "sfreq": 64.0})
        assert done.sfreq == done.info["sfreq"] == 64.0
        assert done.trials[0].n_times == round(n * 64 / old)
        amplitude, phase = fitted(done.trials[0].eeg[:, 0], 5.0, 64.0, skip=1)
        assert phase == pytest.approx(0.4, abs=1e-5)
        assert amplitude == pytest.approx(1e-4, rel=1e-3)

    def test_the_whole_recipe_moves_nothing_in_time(self):
        person = build([1e2 * tone(5.0, 500.0, 61.003)], 500.0)
        done = preprocess(person, reference=None, bad_channels="keep", progress=False)
        _, phase = fitted(done.trials[0].eeg[:, 0], 5.0, 64.0, skip=2)
        assert phase == pytest.approx(0.4, abs=1e-4)

    def test_what_the_new_rate_cannot_hold_is_taken_out(self, rng):
        person = build([1e2 * tone(5.0, 256.0, 20) + 3e3 * tone(59.0, 256.0, 20)])  # 59 Hz would become 5
        done = preprocess(person, **{**PLAIN, "sfreq": 64.0})
        amplitude, _ = fitted(done.trials[0].eeg[:, 0], 5.0, 64.0, skip=1)
        assert amplitude == pytest.approx(1e-4, rel=0.07)

    def test_a_rate_that_is_nearly_a_fraction_drifts_and_says_so(self):
        person = build([1e2 * tone(5.0, 512.0, 150)], 512.0)
        done = preprocess(person, **{**PLAIN, "sfreq": 63.9999})
        assert done.history[-1] == "the rates are not in that ratio exactly: 0.02 samples over the longest trial"

    def test_ends_keep_their_values(self):
        eeg = 1e2 * tone(2.0, 512.0, 4)
        done = preprocess(build([eeg], 512.0), **{**PLAIN, "sfreq": 64.0})
        np.testing.assert_allclose(done.trials[0].eeg, 1e-6 * eeg[::8], rtol=0, atol=1e-6)


class TestReference:
    def test_average_of_good_channels_is_zero(self, rng):
        person = build(related(rng, 2560, n_channels=32), bads=["Cz", "Fp1"])
        done = preprocess(person, interpolate=False, progress=False)
        good = ~np.isin(done.ch_names, done.bads)
        assert done.bads == ("Fp1", "Cz")
        assert np.abs(done.trials[0].eeg[:, good].mean(axis=1)).max() < 1e-18
        assert done.info["custom_ref_applied"] and not person.info["custom_ref_applied"]

    @pytest.mark.parametrize("reference", ["average", "REST", ["P7", "P8"], "Pz", None])
    @pytest.mark.parametrize("interpolate", [True, False])
    def test_equals_mne_on_the_same_data(self, rng, reference, interpolate):
        eeg = related(rng, 1280, n_channels=32)
        eeg[0][:, 4] *= 1e3
        person = build(eeg, bads=["FC1"])
        assert person.ch_names[4] == "FC1"
        done = preprocess(person, **{**PLAIN, "reference": reference}, interpolate=interpolate)

        raw = mne.io.RawArray(person.trials[0].eeg.T.copy(), person.info, verbose="error")
        if interpolate and reference in ("average", "REST"):  # what is interpolated has no part in either
            filled = raw.copy().interpolate_bads(verbose="error")
        elif interpolate:
            raw.interpolate_bads(verbose="error")
        before = raw.get_data()[0]
        if reference == "REST":
            good = mne.pick_info(raw.info, mne.pick_types(raw.info, eeg=True))
            sphere = mne.make_sphere_model("auto", "auto", good, verbose="error")
            sources = mne.setup_volume_source_space(sphere=sphere, exclude=30.0, pos=10.0, verbose="error")
            forward = mne.make_forward_solution(good, None, sources, sphere, verbose="error")
            raw.set_eeg_reference("REST", forward=forward, verbose="error")
        elif reference:
            raw.set_eeg_reference(reference, verbose="error")
        if interpolate and reference in ("average", "REST"):
            expected = (filled.get_data() - (before - raw.get_data()[0])).T
        else:
            expected = raw.get_data().T
        np.testing.assert_allclose(done.trials[0].eeg, expected, rtol=0, atol=1e-10 * expected.std())
        assert done.bads == (() if interpolate else ("FC1",)) + (("Pz",) if reference == "Pz" else ())

    @pytest.mark.parametrize("interpolate", [True, False])
    def test_bad_channels_have_no_part_in_the_average(self, rng, interpolate):
        """Whether interpolated or not; the average is that of the channels which were good all along."""
        person = build(related(rng, 2560, n_channels=32), bads=["Cz", "Fp1"])
        good = ~np.isin(person.ch_names, ["Cz", "Fp1"])
        plain, done = (
            preprocess(person, **{**PLAIN, "reference": r}, interpolate=interpolate) for r in (None, "average")
        )
        again = ~np.isin(done.ch_names, done.bads)
        mean = person.trials[0].eeg[:, good].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(
            done.trials[0].eeg[:, again], (plain.trials[0].eeg - mean)[:, again], rtol=0, atol=1e-18
        )
        assert again.sum() == (32 if interpolate else 30)
        assert "average of 30 good channels: Fp1, Cz had no part in it" in done.history
        assert done.info["custom_ref_applied"]

    def test_a_bad_reference_is_refused(self, rng):
        eeg = related(rng, 2560, n_channels=32)
        eeg[0][:, 8] = 0
        person = build(eeg)
        name = person.ch_names[8]
        with pytest.raises(ValueError, match=f"sub-01: reference: {name} is a bad channel. Name others, or 'average'"):
            preprocess(person, reference=["P7", name], progress=False)

    def test_rest_needs_positions(self, rng):
        with pytest.raises(
            ValueError, match="sub-01: reference: REST needs the position of every good channel, and 8 have none: Fp1"
        ):
            preprocess(build(related(rng, 2560), montage=None), reference="REST", progress=False)

    def test_one_good_channel_makes_no_average(self, rng):
        person = build(related(rng, 2560, n_channels=2), bads=["Fp1"])
        with (
            pytest.warns(UserWarning, match="1 of 2 channels are bad"),
            pytest.raises(ValueError, match="two good chan"),
        ):
            preprocess(person, progress=False)


class TestInterpolation:
    def test_the_recipe_equals_its_steps_in_mne(self, rng):
        """Interpolation, reference, filter, rate, each by MNE or scipy on the whole array."""
        eeg = related(rng, 5120, n_channels=32)
        eeg[0][:, 4] = 0
        person = build(eeg)
        done = preprocess(person, progress=False)
        raw = mne.io.RawArray(person.trials[0].eeg.T.copy(), person.info, verbose="error")
        raw.info["bads"] = ["FC1"]
        raw.interpolate_bads(verbose="error")
        average = np.delete(person.trials[0].eeg, 4, axis=1).mean(axis=1)
        filtered = signal.sosfiltfilt(butterworth(1.0, 8.0, 256.0), raw.get_data() - average)
        expected = signal.resample_poly(filtered, 1, 4, axis=1).T
        away = slice(300, -300)
        np.testing.assert_allclose(done.trials[0].eeg[away], expected[away], rtol=0, atol=1e-5 * expected.std())

    def test_what_has_no_position_stays_bad_and_lends_nothing(self, rng):
        eeg = related(rng, 2560, n_channels=18)
        names = [*NAMES[:16], "X1", "X2"]
        person = build(eeg, ch_names=names, bads=["X1", "F3"])
        assert np.isnan(person.info["chs"][17]["loc"][:3]).all()
        done = preprocess(person, **{**PLAIN}, interpolate=True)
        assert done.bads == ("X1",)
        placed = build([eeg[0][:, :16]], ch_names=names[:16], bads=["F3"])
        expected = preprocess(placed, **PLAIN).trials[0].eeg
        np.testing.assert_allclose(done.trials[0].eeg[:, :16], expected, rtol=0, atol=1e-18)
        assert "not interpolated, for want of positions: X1" in done.history

    def test_without_a_montage_bad_channels_stay_bad(self, rng):
        done = preprocess(build(related(rng, 2560), montage=None, bads=["F3"]), progress=False)
        assert done.bads == ("F3",)
        assert np.isnan(done.eeg[0][:, done.ch_names.index("F3")]).all()


class TestBadChannels:
    @pytest.mark.parametrize("seed", range(4))
    def test_faults_are_found_and_the_rest_is_kept(self, seed):
        """All faults of four recordings with blinks are found, and none of the 244 other channels."""
        study = datasets.simulate_study(1, 3, duration=20, blinks=15, snr=0.1, progress=False, rng=seed)
        person = study.participants[0]
        rng = np.random.default_rng(seed)
        flat, loud, alone = rng.choice(64, 3, replace=False)
        trials = []
        for trial in person.trials:
            eeg = trial.eeg.copy()
            eeg[:, flat] = 3e-5
            eeg[:, loud] += 10 * eeg[:, loud].std() * rng.standard_normal(len(eeg))
            eeg[:, alone] = eeg[:, alone].std() * signal.lfilter([1], [1, -0.9], rng.standard_normal(len(eeg))) / 2.3
            trials.append(replace(trial, eeg=eeg))
        found = find_bad_channels(replace(person, trials=tuple(trials)), progress=False)
        names = {person.ch_names[i]: i for i in (flat, loud, alone)}
        assert found.keys() == names.keys()
        assert found[person.ch_names[flat]] == "flat"
        assert "SD" in found[person.ch_names[loud]] or "correlation" in found[person.ch_names[loud]]
        assert "correlation" in found[person.ch_names[alone]]

    def test_a_cluster_does_not_take_its_neighbours_along(self, rng):
        """The worst is left out first: good channels beside three loud ones are not called quiet."""
        eeg = related(rng, 5120, n_channels=32)
        for channel in (4, 5, 6):
            eeg[0][:, channel] *= 30
        person = build(eeg)
        assert list(find_bad_channels(person, progress=False)) == [person.ch_names[i] for i in (4, 5, 6)]

    @pytest.mark.parametrize(("factor", "bad"), [(2.5, False), (3.5, True), (0.2, False), (0.1, True)])
    def test_the_bounds(self, rng, factor, bad):
        eeg = related(rng, 5120, n_channels=32)
        eeg[0][:, 9] *= factor
        assert list(find_bad_channels(build(eeg), progress=False)) == ([NAMES[9]] if bad else [])
        assert not find_bad_channels(build(eeg), max_sd=4, min_sd=0.01, progress=False)

    @pytest.mark.parametrize(("n_loud", "bad"), [(1, False), (2, True)])
    def test_the_share_of_time(self, rng, n_loud, bad):
        eeg = related(rng, *[1280] * 4, n_channels=32)
        for trial in eeg[:n_loud]:
            trial[:, 9] *= 10
        found = find_bad_channels(build(eeg), progress=False)
        assert list(found.values()) == (["SD 10 times its neighbours' in 50% of the time"] if bad else [])

    def test_masked_samples_condemn_nobody(self, rng):
        eeg = related(rng, 5120, n_channels=32)
        eeg[0][1000:3000, 9] *= 100
        mask = np.ones(5120, bool)
        mask[1000:3000] = False
        assert find_bad_channels(build(eeg), progress=False)
        assert not find_bad_channels(build(eeg, masks=[mask]), progress=False)

    def test_channels_without_positions_are_compared_with_those_like_them(self):
        """Blinks condemn no frontal channel, and a loud one is found."""
        study = datasets.simulate_study(1, 2, duration=20, blinks=30, progress=False, rng=3)
        eeg = [trial.eeg.copy() for trial in study.participants[0].trials]
        assert not find_bad_channels(build(eeg, 64.0, unit="V", ch_names=None, montage=None), progress=False)
        for trial in eeg:
            trial[:, 30] *= 5
        found = find_bad_channels(build(eeg, 64.0, unit="V", ch_names=None, montage=None), progress=False)
        assert list(found) == ["EEG031"]

    def test_unrelated_channels_are_not_all_bad(self, rng):
        person = build([10 * rng.standard_normal((5120, 4))])
        done = preprocess(person, progress=False)
        assert done.bads == ()
        assert done.history[1].startswith("bad channels: correlation not judged")

    @pytest.mark.parametrize("choice", ["find", "keep", ["Cz"], "Cz"])
    def test_flat_is_bad_in_any_case(self, rng, choice):
        eeg = related(rng, 2560, 2560, n_channels=32)
        eeg[1][:, 5] = 7
        done = preprocess(build(eeg, bads=["Pz"]), bad_channels=choice, interpolate=False, progress=False)
        assert set(done.bads) == {"Pz", NAMES[5]} | ({"Cz"} if "Cz" in choice else set())
        assert f"{NAMES[5]} (flat in trial 1)" in done.history[0]
        assert "Pz (marked before)" in done.history[0]

    def test_no_good_channel_left(self, rng):
        eeg = related(rng, 2560, 2560)
        eeg[1][:] = 0
        with pytest.raises(
            ValueError, match=r"sub-01: every channel is bad: Fp1 \(flat in trial 1\), .*Leave out trials"
        ):
            preprocess(build(eeg), progress=False)

    def test_many_bad_channels_are_warned_of_at_the_call(self, rng):
        eeg = related(rng, 2560)
        eeg[0][:, :3] = 0
        with pytest.warns(UserWarning, match=r"sub-01: 3 of 8 channels are bad: Fp1 \(flat\)") as caught:
            preprocess(build(eeg), interpolate=False, progress=False)
        assert caught[0].filename == __file__


class TestMasks:
    def test_a_new_sample_needs_all_it_stands_for(self, rng):
        mask = np.ones(2560, bool)
        mask[[400, 805, 1004]] = False  # 256 to 64 Hz: sample k stands for 4k - 2 to 4k + 2
        done = preprocess(build(related(rng, 2560), masks=[mask]), settle=0.0, progress=False)
        np.testing.assert_array_equal(np.flatnonzero(~done.trials[0].mask), [100, 201, 251])
        mask[402] = False
        done = preprocess(build(related(rng, 2560), masks=[mask]), settle=0.0, progress=False)
        np.testing.assert_array_equal(np.flatnonzero(~done.trials[0].mask), [100, 101, 201, 251])

    @pytest.mark.parametrize("old", [500.0, 64.0, 48.0, 99.9])
    def test_at_any_ratio(self, rng, old):
        """Against the definition, in seconds."""
        mask = rng.random(2000) > 0.05
        done = preprocess(build(related(rng, 2000), old, masks=[mask]), **{**PLAIN, "sfreq": 64.0})
        old_times, new_times = np.arange(2000) / old, np.arange(done.trials[0].n_times) / 64
        away = np.abs(old_times[~mask] - new_times[:, None]).min(axis=1)
        usable = done.trials[0].mask
        assert (away[usable] > min(0.5 / 64, 0.5 / old) - 1e-9).all()
        assert (away[~usable] < max(0.5 / 64, 1 / old) + 1e-9).all()

    def test_stretches_grow_by_what_the_filter_carries(self, rng):
        """What is unknown under the mask, were it a burst, has less than 1% of its peak beyond."""
        eeg = related(rng, 5120)
        mask = np.ones(5120, bool)
        mask[2500:2510] = False
        burst = eeg[0].copy()
        burst[2500:2510] += 1e4
        through, clean, done = (
            preprocess(build([x], masks=masks), bad_channels="keep", reference=None, progress=False).trials[0]
            for x, masks in ((burst, None), (eeg[0], None), (burst, [mask]))
        )
        trace = np.abs(through.eeg - clean.eeg).max(axis=1)
        assert trace[done.mask].max() < 0.011 * trace.max()
        assert 0.4 < (~done.mask).sum() / 64 / 2 < 0.55
        without = preprocess(build([burst], masks=[mask]), settle=0.0, reference=None, progress=False).trials[0]
        assert trace[without.mask].max() > 0.4 * trace.max()

    @pytest.mark.parametrize("where", [slice(2500, 2510), slice(0, 40), slice(5000, 5120)])
    def test_no_artefact_leaks_from_under_a_mask(self, rng, where):
        eeg = related(rng, 5120)
        mask = np.ones(5120, bool)
        mask[where] = False
        spoilt = eeg[0].copy()
        spoilt[where] += 5e3
        done, clean = (preprocess(build([x], masks=[mask]), progress=False) for x in (spoilt, eeg[0]))
        usable = clean.trials[0].mask
        assert done.history == clean.history
        difference = (done.trials[0].eeg - clean.trials[0].eeg)[usable]
        assert np.abs(difference).max() < 0.01 * clean.trials[0].eeg[usable].std()

    def test_the_bridge_is_straight_and_holds_at_the_ends(self, rng):
        eeg = related(rng, 2560)
        mask = np.ones(2560, bool)
        for where in (slice(0, 30), slice(700, 720), slice(2500, 2560)):
            mask[where] = False
        x = build(eeg, masks=[mask]).trials[0].eeg
        done = preprocess(build(eeg, masks=[mask]), **PLAIN).trials[0].eeg
        np.testing.assert_array_equal(done[mask], x[mask])
        np.testing.assert_array_equal(done[:30], np.tile(x[30], (30, 1)))
        np.testing.assert_array_equal(done[2500:], np.tile(x[2499], (60, 1)))
        share = (np.arange(1, 21) / 21)[:, None]
        np.testing.assert_allclose(done[700:720], (1 - share) * x[699] + share * x[720], rtol=1e-10, atol=1e-18)

    def test_a_trial_masked_throughout_is_told_and_stays(self, rng):
        eeg = related(rng, 2560, 2560)
        masks = [np.zeros(2560, bool), np.ones(2560, bool)]
        with pytest.warns(UserWarning, match=r"sub-01, trial 0 \(s0\): every sample is masked.*Leave") as caught:
            done = preprocess(build(eeg, masks=masks), bad_channels="keep", progress=False)
        assert [one.filename for one in caught] == [__file__]
        expected = preprocess(build(eeg), bad_channels="keep", progress=False)
        np.testing.assert_array_equal(done.trials[0].eeg, expected.trials[0].eeg)
        assert not done.trials[0].mask.any()
        assert "sub-01, trial 0 (s0): masked throughout, filtered as it is" in done.history

    def test_the_history_counts(self, rng):
        mask = np.ones(2560, bool)
        mask[:256] = False
        done = preprocess(build(related(rng, 2560), masks=[mask]), settle=0.5, progress=False)
        assert done.history[-1] == "masked 15.2% of the samples (10.0% as recorded, each stretch grown by 0.5 s a side)"


class TestGaps:
    def test_nan_is_refused_or_bridged(self, rng):
        eeg = related(rng, 2560)
        eeg[0][700:720, 2] = np.nan
        person = build(eeg, on_nan="mask")
        for function in (preprocess, find_bad_channels):
            with pytest.raises(
                ValueError, match=r"trial 0 \(s0\): channel F7 has 20 NaN samples, the first at sample 700.*br"
            ):
                function(person, progress=False)
        done = preprocess(person, on_nan="bridge", settle=0.0, **PLAIN)
        trial = done.trials[0]
        np.testing.assert_array_equal(np.flatnonzero(~trial.mask), np.arange(700, 720))
        expected = 1e-6 * np.interp(np.arange(700, 720), [699, 720], eeg[0][[699, 720], 2])
        np.testing.assert_allclose(trial.eeg[700:720, 2], expected)

    def test_bad_channels_may_hold_anything(self, rng):
        eeg = related(rng, 2560, n_channels=32)
        plain = preprocess(build(eeg, bads=["Cz"]), progress=False)
        for value in (np.nan, np.inf):
            eeg[0][50:, NAMES.index("Cz")] = value
            done = preprocess(build(eeg, bads=["Cz"]), progress=False)
            np.testing.assert_allclose(done.trials[0].eeg, plain.trials[0].eeg, rtol=0, atol=1e-18)
            assert done.trials[0].mask.all() and done.bads == ()
            left = preprocess(build(eeg, bads=["Cz"]), interpolate=False, progress=False)
            assert left.bads == ("Cz",) and np.isnan(left.trials[0].eeg).all(axis=0).sum() == 1

    def test_infinity_is_refused(self, rng):
        person = build(related(rng, 2560))
        eeg = person.trials[0].eeg.copy()
        eeg[9, 1] = -np.inf
        broken = replace(person, trials=(replace(person.trials[0], eeg=eeg),))
        with pytest.raises(
            ValueError, match="channel AF3 has 1 infinite samples, the first at sample 9. Mark the channel"
        ):
            preprocess(broken, on_nan="bridge", progress=False)


class TestQuality:
    def test_clipped_plateaus(self, rng):
        eeg = [x + 40 * np.sin(4 * np.pi * np.arange(5120) / 256)[:, None] for x in related(rng, 5120, 5120)]
        for trial in eeg:
            np.clip(trial[:, 3], -30, 30, out=trial[:, 3])
        share = np.mean([np.abs(trial[:, 3]) == 30 for trial in eeg])
        with pytest.warns(
            UserWarning, match=rf"sub-01: channels rest at their .* value: {NAMES[3]} \d\d.\d% of"
        ) as caught:
            done = preprocess(build(eeg), progress=False)
        assert caught[0].filename == __file__
        told = next(note for note in done.history if note.startswith("clipped"))
        assert 0.5 * share < float(told.split()[-1].rstrip("%")) / 100 <= share
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            preprocess(build(eeg, bads=[NAMES[3]]), interpolate=False, progress=False)  # bad already

    def test_coarse_steps_are_no_plateaus(self, rng):
        eeg = [np.round(x / 2) * 2 for x in related(rng, 5120)]
        assert not any("clipped" in note for note in preprocess(build(eeg), progress=False).history)

    def test_slow_drift(self, rng):
        eeg = [x + 5 * np.cumsum(rng.standard_normal((5120, 1)), axis=0) for x in related(rng, 5120)]
        assert any(note.startswith("slow drift: 8") for note in preprocess(build(eeg), progress=False).history)
        with pytest.warns(UserWarning, match=r"slow drift makes up 8\d% .* Pass l_freq=1.0 to take it out") as caught:
            preprocess(build(eeg), l_freq=None, progress=False)
        assert caught[0].filename == __file__
        assert not any("drift" in note for note in preprocess(build(related(rng, 5120)), progress=False).history)


class TestParticipant:
    def test_what_is_carried(self, rng):
        person = build(related(rng, 2560, 1280, n_channels=32), bads=["Cz"], history=["cut from a recording"])
        before = [trial.eeg.copy() for trial in person.trials]
        done = preprocess(person, progress=False)
        assert (done.name, done.stimuli, done.ch_names) == (person.name, person.stimuli, person.ch_names)
        assert [trial.n_times for trial in done.trials] == [640, 320]
        np.testing.assert_array_equal(
            [channel["loc"] for channel in done.info["chs"]], [channel["loc"] for channel in person.info["chs"]]
        )
        assert (done.info["highpass"], done.info["lowpass"]) == (1.0, 8.0)
        assert person.bads == ("Cz",) and person.sfreq == 256 and person.history == ("cut from a recording",)
        for trial, eeg, old in zip(done.trials, before, person.trials, strict=True):
            np.testing.assert_array_equal(old.eeg, eeg)
            assert trial.eeg.dtype == np.float64 and trial.eeg.flags.c_contiguous
            for array in (trial.eeg, trial.mask):
                with pytest.raises(ValueError, match="read-only"):
                    array[0] = 0

    def test_the_history_reads_as_methods(self, rng):
        eeg = related(rng, 5120, n_channels=32)
        eeg[0][:, 4] *= 20
        done = preprocess(build(eeg, bads=["Pz"], history=["cut"]), progress=False)
        assert done.history == (
            "cut",
            "bad channels: FC1 (SD 20 times its neighbours' in 100% of the time), Pz (marked before), of 32; looked "
            "for flat ones, for SDs above 3 or below 0.167 times the median of the 4 nearest channels in more than 25% "
            "of the time, and for largest correlations with another channel below 0.5 times that of the median channel",
            "interpolated FC1, Pz by spherical splines from 30 channels",
            "re-referenced to the average of 30 channels",
            "average of 30 good channels: FC1, Pz had no part in it",
            "filtered trial by trial: Butterworth high-pass at 1 Hz and low-pass at 8 Hz, order 2, forwards and "
            "backwards (zero phase; in effect order 4, -6 dB at the cut-off), ends extended by 1 s of odd reflection",
            "resampled from 256 to 64 Hz by 1/4 (polyphase, anti-aliasing low-pass at 32 Hz)",
        )

    def test_nothing_asked_nothing_done(self, rng):
        person = build(related(rng, 2560, n_channels=1))
        done = preprocess(person, **PLAIN)
        np.testing.assert_array_equal(done.trials[0].eeg, person.trials[0].eeg)
        assert done.history == ("bad channels: none, of 1",)

    def test_threads_change_nothing(self, rng):
        person = build(related(rng, 2560, 1280, 2000))
        level = logging.getLogger("mne").level
        one, two = (preprocess(person, n_jobs=n) for n in (1, 2))
        for a, b in zip(one.trials, two.trials, strict=True):
            np.testing.assert_array_equal(a.eeg, b.eeg)
        assert logging.getLogger("mne").level == level

    def test_a_trial_at_a_time_is_in_work(self, rng):
        """Memory beyond the recording and the result is that of a few trials, however many there are."""
        person = build(related(rng, *[4000] * 12, n_channels=32))
        preprocess(person, progress=False)
        tracemalloc.start()
        preprocess(person, progress=False)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        trial = person.trials[0].eeg.nbytes
        assert peak < 12 * trial / 4 + 5 * trial

    def test_nothing_is_printed(self, rng, capsys):
        preprocess(build(related(rng, 2560)))
        captured = capsys.readouterr()
        assert captured.out == captured.err == ""

    def test_a_preprocessed_participant_goes_through_again(self, rng):
        done = preprocess(preprocess(build(related(rng, 2560, n_channels=32)), progress=False), progress=False)
        assert done.sfreq == 64 and not any("resampled" in step for step in done.history[5:])


@pytest.fixture(scope="module")
def study():
    return datasets.simulate_study(
        1, 6, duration=30, sfreq=128, n_channels=16, snr=1.0, surprisal_effect=0, progress=False, rng=1
    )


class TestKernel:
    """What is left of a known kernel, with features as they are and with features filtered alike."""

    def kernel(self, study, feature):
        person = preprocess(study.participants[0], reference=None, bad_channels="keep", progress=False)
        x = [feature[name] for name in person.stimuli]
        centre = int(np.argmax(study.truth.topographies[0]))
        model = trf.fit(x, person.eeg, 64.0, tmin=-0.2, tmax=0.6, alpha=1e-2)
        return model.weights[0, :, centre]

    def truth(self, study, sections=None):
        centre = int(np.argmax(study.truth.topographies[0]))
        line = np.zeros(2049)  # lags from -8 to 8 s at 128 Hz
        line[1024 + np.round(study.truth.lags * 128).astype(int)] = study.truth.kernels["sub-01"][0, :, centre]
        if sections is not None:
            line = signal.sosfiltfilt(sections, line)
        return line[1024 + 2 * np.asarray(trf.lag_range(-0.2, 0.6, 64.0))]

    def test_features_as_they_are_give_the_filtered_kernel(self, study):
        feature = {name: series.values[::2] for name, series in study.envelopes.items()}
        kernel = self.kernel(study, feature)
        filtered = self.truth(study, butterworth(1.0, 8.0, 128.0))
        assert np.corrcoef(kernel, filtered)[0, 1] > 0.98
        assert abs(int(np.argmax(kernel)) - int(np.argmax(self.truth(study)))) <= 1
        assert np.ptp(filtered) < 0.9 * np.ptp(self.truth(study))

    def test_features_filtered_alike_give_the_kernel_within_the_band(self, study):
        feature = {}
        for name, series in study.envelopes.items():
            sound = Participant.from_arrays([1e-5 * series.values], [name], 128.0)
            feature[name] = preprocess(sound, reference=None, bad_channels="keep", progress=False).trials[0].eeg * 1e5
        kernel, truth = self.kernel(study, feature), self.truth(study)
        assert np.corrcoef(kernel, truth)[0, 1] > 0.95
        assert kernel @ truth / (truth @ truth) == pytest.approx(2.0, rel=0.1)  # half the rate, twice the weight
        assert abs(int(np.argmax(kernel)) - int(np.argmax(truth))) <= 1
