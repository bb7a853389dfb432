"""EEG at the door: units, gaps, names, and epochs that equal arrays."""

import mne
import numpy as np
import pandas as pd
import pytest

from eegic import Participant, trf

NAMES = ["Fz", "Cz", "Pz"]


def microvolts(rng, *lengths, n_channels=3):
    return [10 * rng.standard_normal((n, n_channels)) for n in lengths]


@pytest.fixture
def arrays(rng):
    return microvolts(rng, 640, 512)


def build(arrays, **changes):
    """Build a participant in microvolts, with changes to the arguments."""
    arguments = {"stimuli": ["bach", "holst"], "sfreq": 64.0, "ch_names": NAMES, "unit": "uV", "name": "sub-01"}
    return Participant.from_arrays(arrays, **{**arguments, **changes})


class TestArrays:
    def test_everything_in_its_place(self, arrays):
        p = build(arrays, bads=["Cz"], montage="biosemi64")
        assert repr(p) == "Participant(sub-01: 2 trials of 2 sounds, 18 s, 3 channels at 64 Hz, bad: Cz)"
        assert (p.ch_names, p.bads, p.stimuli, p.sfreq) == (tuple(NAMES), ("Cz",), ("bach", "holst"), 64.0)
        assert isinstance(p.info, mne.Info)
        positions = mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]
        found = p.info.get_montage().get_positions()["ch_pos"]
        distance = [np.linalg.norm(m["Fz"] - m["Pz"]) for m in (positions, found)]
        assert distance[0] == pytest.approx(distance[1])
        for trial, array in zip(p.trials, arrays, strict=True):
            np.testing.assert_allclose(trial.eeg, array * 1e-6, rtol=1e-15)
            assert trial.n_times == len(array) == len(trial.mask)
            assert trial.mask.all()

    def test_eeg_and_masks_are_lists_over_trials(self, arrays):
        arrays[1][5, 0] = np.nan
        p = build(arrays, on_nan="mask")
        assert type(p.eeg) is type(p.masks) is list
        for trial, eeg, mask in zip(p.trials, p.eeg, p.masks, strict=True):
            assert eeg is trial.eeg and mask is trial.mask
        np.testing.assert_array_equal(np.flatnonzero(~p.masks[1]), [5])

    def test_trials_of_some_sounds_only(self, rng):
        p = build(microvolts(rng, 640, 512, 576), stimuli=["bach", "holst", "bach"])
        part = p.only("bach")
        assert part.trials == (p.trials[0], p.trials[2]) and part.info is p.info
        assert part.history == (*p.history, "1 of 3 trials left out: other sounds")
        assert p.only(["holst", "bach"]) is p
        with pytest.raises(ValueError, match="only: expected one of 'bach', 'holst', got 'back'. Did you mean 'bach'"):
            p.only(["bach", "back"])
        with pytest.raises(ValueError, match="sub-01: only: expected at least one sound, got none"):
            p.only([])

    def test_order_counts_and_labels_do_not(self, arrays):
        """A table that was filtered or sorted keeps the labels of its rows."""
        masks = [np.arange(640) > 9, np.arange(512) > 4]
        expected = build(arrays, masks=masks)
        series = [pd.Series(one, index=[1, 0]) for one in (arrays, ["bach", "holst"], masks)]
        for eeg, stimuli, mask in (series, [iter(one) for one in (arrays, ["bach", "holst"], masks)]):
            p = build(eeg, stimuli=stimuli, masks=mask)
            assert p.stimuli == ("bach", "holst")
            for one, same in zip(p.trials, expected.trials, strict=True):
                np.testing.assert_array_equal(one.eeg, same.eeg)
                np.testing.assert_array_equal(one.mask, same.mask)

    def test_arrays_are_copied_and_frozen(self, arrays):
        p = build(arrays)
        before = p.trials[0].eeg[0, 0]
        arrays[0][0, 0] = 99
        assert p.trials[0].eeg[0, 0] == before
        for array in (p.trials[0].eeg, p.trials[0].mask):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0

    @pytest.mark.parametrize(("unit", "volts"), [("V", 1.0), ("mV", 1e-3), ("uV", 1e-6), ("µV", 1e-6), ("nV", 1e-9)])
    def test_units(self, rng, unit, volts):
        eeg = 1e-5 * rng.standard_normal((100, 3))
        p = build([eeg / volts], stimuli=["bach"], unit=unit)
        np.testing.assert_allclose(p.trials[0].eeg, eeg, rtol=1e-14)

    @pytest.mark.parametrize("dtype", ["int16", "float32", "float16"])
    def test_other_number_types(self, arrays, dtype):
        p = build([x.astype(dtype) for x in arrays])
        assert p.trials[0].eeg.dtype == np.float64
        np.testing.assert_allclose(p.trials[0].eeg, 1e-6 * arrays[0].astype(dtype).astype(float), rtol=1e-6)

    @pytest.mark.parametrize(
        ("unit", "microvolts", "likely"),
        [
            ("V", 1.0, "uV"),
            ("V", 1e-3, "mV"),
            ("mV", 1.0, "uV"),
            ("uV", 1e3, "nV"),
            ("mV", 1e-6, "V"),
            ("uV", 1e-3, "mV"),
            ("nV", 1.0, "uV"),
        ],
    )
    def test_an_implausible_unit_warns_at_the_call(self, arrays, unit, microvolts, likely):
        """Ten microvolts in all the units that are not the one given."""
        message = (
            rf"sub-01: the median magnitude.*EEG lies near 1e-5 V. Name the unit of the data, e.g. unit='{likely}'"
        )
        with pytest.warns(UserWarning, match=message) as caught:
            build([microvolts * x for x in arrays], unit=unit)
        assert caught[0].filename == __file__

    @pytest.mark.parametrize("size", [0.02, 200.0])
    def test_small_and_large_eeg_is_eeg(self, arrays, size):
        """Microvolts: what is left in a narrow band, and mains hum in a bad room."""
        build([size * x / 2 for x in arrays])

    def test_drift_is_no_magnitude(self, rng):
        """Twenty millivolts in a minute, as from an electrode that settles without a high-pass."""
        x = 10 * rng.standard_normal((3840, 3)) + np.linspace(0, 2e4, 3840)[:, None]
        build([x], stimuli=["bach"])

    def test_an_offset_is_no_magnitude(self, arrays):
        build([x + 1e6 for x in arrays])  # one volt of offset, ten microvolts of EEG: no warning
        build([0 * x for x in arrays])  # flat EEG has no unit

    def test_default_channel_names(self, rng):
        p = build(microvolts(rng, 100), stimuli=["bach"], ch_names=None)
        assert p.ch_names == ("EEG001", "EEG002", "EEG003")
        p = build(microvolts(rng, 100, n_channels=16), stimuli=["bach"], ch_names=None, montage="biosemi16")
        assert p.ch_names == tuple(mne.channels.make_standard_montage("biosemi16").ch_names)

    def test_an_unknown_position_stays_unknown(self, rng):
        p = build(microvolts(rng, 100), stimuli=["bach"], ch_names=["Fz", "Cz", "X1"], montage="biosemi64")
        located = [np.isfinite(channel["loc"][:3]).all() and channel["loc"][:3].any() for channel in p.info["chs"]]
        assert located == [True, True, False]

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"sfreq": 0}, ValueError, "sfreq: expected a finite positive number of hertz"),
            ({"unit": "volts"}, ValueError, "unit: expected one of 'V', 'mV', 'uV'"),
            ({"on_nan": "drop"}, ValueError, "on_nan: expected one of 'raise', 'mask'"),
            ({"stimuli": ["bach"]}, ValueError, r"sub-01: expected one stimulus per trial \(2\), got 1"),
            ({"stimuli": "ab"}, TypeError, r"expected one stimulus per trial, got the text 'ab'. Write \['ab'\]"),
            ({"stimuli": ["bach", 2]}, TypeError, r"stimuli: expected the name of a sound, got 2 \(int\)"),
            ({"stimuli": ["bach", ""]}, TypeError, "expected the name of a sound, got ''"),
            (
                {"ch_names": ["Fz", "Cz"]},
                ValueError,
                r"ch_names: expected one name per channel \(3\), got 2: 'Fz', 'Cz'",
            ),
            (
                {"ch_names": ["Fz", "Cz", "Fz"]},
                ValueError,
                "each channel needs its own name, but 'Fz' stands more than",
            ),
            (
                {"bads": ["cz"]},
                ValueError,
                r"sub-01: bads: expected one of 'Fz', 'Cz', 'Pz', got 'cz'. Did you mean 'Cz'\?",
            ),
            ({"bads": "Oz"}, ValueError, "sub-01: bads: .* got 'Oz'"),
            ({"montage": "biosemi63"}, ValueError, r"montage: expected one of .* Did you mean 'biosemi64'\?"),
            ({"montage": 64}, TypeError, "montage: expected the name of a standard montage or a DigMontage, got int"),
            ({"bads": NAMES}, ValueError, "sub-01: every channel is in `bads`. Keep one, or leave the participant out"),
            ({"masks": [np.ones(640, bool)]}, ValueError, r"expected one mask per trial \(2\), got 1"),
            (
                {"masks": [np.ones(640, bool)] * 2},
                ValueError,
                "sub-01, trial 1: expected a boolean mask of 512 samples",
            ),
            ({"masks": [np.ones(640), np.ones(512)]}, ValueError, "trial 0: expected a boolean mask.*got float64"),
        ],
    )
    def test_wrong_arguments(self, arrays, changes, error, message):
        with pytest.raises(error, match=message):
            build(arrays, **changes)

    @pytest.mark.parametrize(
        ("spoil", "error", "message"),
        [
            (lambda x: [], ValueError, "sub-01: expected at least one trial, got none. Give one array per trial"),
            (lambda x: [x[0], x[1][:, :2]], ValueError, r"needs the same channels, got \[2, 3\] channels.*transpose"),
            (lambda x: [x[0].T, x[1].T], ValueError, r"needs the same channels, got \[512, 640\] channels.*transpose"),
            (
                lambda x: [x[0][:, 0], x[1]],
                ValueError,
                r"sub-01, trial 0: expected an array \(n_times, n_channels\), got",
            ),
            (
                lambda x: [x[0], x[1][:0]],
                ValueError,
                "sub-01, trial 1: expected samples, got none. Leave the trial out",
            ),
            (lambda x: [x[0], x[1] + 0j], TypeError, "sub-01, trial 1: expected real numbers, got dtype complex128"),
            (
                lambda x: [x[0], [[1.0, 2.0, 3.0], [1.0]]],
                TypeError,
                "sub-01, trial 1: .* ragged one. Give rows of equal",
            ),
            (
                lambda x: [x[0], x[1].astype(object)],
                TypeError,
                "sub-01, trial 1: expected real numbers, got dtype object",
            ),
        ],
    )
    def test_wrong_arrays(self, arrays, spoil, error, message):
        with pytest.raises(error, match=message):
            build(spoil(arrays))

    def test_transposed_arrays_of_one_length(self, arrays):
        with pytest.raises(ValueError, match=r"got shape \(3, 100\): more channels than samples. Transpose the arrays"):
            build([x[:100].T for x in arrays], ch_names=None)


class TestGaps:
    def test_nan_is_refused_with_its_place(self, arrays):
        arrays[1][[7, 9], 1] = np.nan
        arrays[1][9, 2] = np.nan
        message = r"sub-01, trial 1: channel Cz has 2 NaN samples, the first at sample 7 \(2 channels.*on_nan='mask'"
        with pytest.raises(ValueError, match=message):
            build(arrays)

    def test_nan_can_be_masked(self, arrays):
        arrays[1][[7, 9], 1] = np.nan
        own = [np.arange(640) != 3, np.arange(512) != 5]
        p = build(arrays, on_nan="mask", masks=own)
        np.testing.assert_array_equal(np.flatnonzero(~p.trials[0].mask), [3])
        np.testing.assert_array_equal(np.flatnonzero(~p.trials[1].mask), [5, 7, 9])
        assert own[1].sum() == 511, "the caller's mask was changed"
        assert p.history == ("trial 1 (holst): 2 samples masked, NaN in a channel",)

    @pytest.mark.parametrize("on_nan", ["raise", "mask"])
    def test_infinity_is_never_masked(self, arrays, on_nan):
        arrays[0][4, 2] = -np.inf
        with pytest.raises(ValueError, match="channel Pz has 1 infinite samples, the first at sample 4.*Repair"):
            build(arrays, on_nan=on_nan)

    @pytest.mark.parametrize("on_nan", ["raise", "mask"])
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_dead_channel_must_be_named(self, arrays, on_nan, value):
        arrays[1][:, 1] = value
        with pytest.raises(ValueError, match="sub-01, trial 1: channel Cz is .* throughout. List it in `bads`"):
            build(arrays, on_nan=on_nan)
        p = build(arrays, on_nan=on_nan, bads=["Cz"])
        assert p.trials[1].mask.all()
        assert not np.isfinite(p.trials[1].eeg[:, 1]).any()

    @pytest.mark.parametrize("on_nan", ["raise", "mask"])
    def test_a_trial_without_a_number_is_to_be_left_out(self, arrays, on_nan):
        arrays[1][:] = np.nan
        with pytest.raises(ValueError, match="sub-01, trial 1: every channel is NaN or infinite throughout. Leave the"):
            build(arrays, on_nan=on_nan, bads=["Cz"])

    def test_one_bad_channel_may_be_a_text(self, arrays):
        arrays[0][3, 1] = np.nan
        assert build(arrays, bads="Cz").bads == ("Cz",)


@pytest.fixture
def epochs(rng):
    """Three epochs from -0.2 s, with EOG and misc channels, a bad channel and positions."""
    info = mne.create_info(["EOG", *NAMES, "wave"], 100.0, ["eog", "eeg", "eeg", "eeg", "misc"])
    info.set_montage("biosemi64", on_missing="ignore")
    info["bads"] = ["Cz"]
    events = np.array([[500, 0, 1], [1500, 0, 2], [2500, 0, 1]])
    data = 1e-5 * rng.standard_normal((3, 5, 521))
    return mne.EpochsArray(data, info, events, tmin=-0.2, event_id={"bach": 1, "holst": 2}, verbose="error")


class TestEpochs:
    def test_equal_arrays(self, epochs):
        p = Participant.from_epochs(epochs, name="sub-01")
        data = epochs.get_data(copy=True)[:, 1:4, 20:]
        same = Participant.from_arrays(
            data.transpose(0, 2, 1), ["bach", "holst", "bach"], 100.0, ch_names=NAMES, bads=["Cz"], name="sub-01"
        )
        assert repr(p) == repr(same) == "Participant(sub-01: 3 trials of 2 sounds, 15 s, 3 channels at 100 Hz, bad: Cz)"
        assert p.stimuli == same.stimuli
        for a, b in zip(p.trials, same.trials, strict=True):
            np.testing.assert_array_equal(a.eeg, b.eeg)
            np.testing.assert_array_equal(a.mask, b.mask)

    def test_positions_are_kept(self, epochs):
        p = Participant.from_epochs(epochs)
        expected = [channel["loc"][:3] for channel in epochs.info["chs"][1:4]]
        np.testing.assert_allclose([channel["loc"][:3] for channel in p.info["chs"]], expected, rtol=0, atol=1e-9)

    def test_the_epochs_are_left_as_they_were(self, epochs):
        before = epochs.get_data(copy=True)
        Participant.from_epochs(epochs)
        assert epochs.ch_names == ["EOG", *NAMES, "wave"]
        np.testing.assert_array_equal(epochs.get_data(copy=True), before)

    def test_stimuli_and_durations(self, epochs):
        p = Participant.from_epochs(epochs, ["a", "b", "c"], durations={"a": 2.5, "c": 5.01})
        assert [trial.n_times for trial in p.trials] == [250, 501, 501]
        assert p.stimuli == ("a", "b", "c")
        with pytest.raises(
            ValueError, match=r"bach lasts 6.00 s but its epoch ends 5.01 s after.*Cut longer epochs \(tmax\)"
        ):
            Participant.from_epochs(epochs, durations={"bach": 6.0})
        with pytest.raises(ValueError, match=r"durations\['bach'\]: expected a finite positive number of seconds"):
            Participant.from_epochs(epochs, durations={"bach": -1.0})
        with pytest.raises(
            ValueError, match=r"sub-01: durations: expected one of 'bach', 'holst', got 'Bach'. Did you"
        ):
            Participant.from_epochs(epochs, durations={"Bach": 2.0}, name="sub-01")
        with pytest.raises(TypeError, match="sub-01: durations: expected a dictionary from sound to seconds, got list"):
            Participant.from_epochs(epochs, durations=[2.0, 3.0, 2.0], name="sub-01")

    def test_stimuli_of_a_filtered_table(self, epochs):
        stimuli = pd.Series(["a", "b", "c"], index=[2, 1, 0])
        assert Participant.from_epochs(epochs, stimuli).stimuli == ("a", "b", "c")
        assert Participant.from_epochs(epochs, iter("abc")).stimuli == ("a", "b", "c")

    def test_a_projection_that_waits_is_applied(self, epochs):
        epochs.info["bads"] = []
        waiting = epochs.copy().set_eeg_reference("average", projection=True, verbose="error")
        before = waiting.get_data(copy=True)
        p = Participant.from_epochs(waiting)
        assert np.abs(p.trials[0].eeg.mean(axis=1)).max() < 1e-18
        np.testing.assert_array_equal(waiting.get_data(copy=True), before)

    def test_what_epochs_went_through_is_kept(self, epochs):
        """Filters and reference in the info, the rest in the history."""
        with epochs.info._unlock():
            epochs.info["highpass"], epochs.info["lowpass"] = 0.5, 30.0
        epochs.apply_baseline((-0.1, 0.0), verbose="error").set_eeg_reference(["Cz"], verbose="error")
        epochs.set_eeg_reference("average", projection=True, verbose="error")
        epochs.drop([1], reason="cough", verbose="error")
        p = Participant.from_epochs(epochs, ["bach", "holst"], durations={"bach": 2.0})
        for key in ("highpass", "lowpass", "custom_ref_applied"):
            assert p.info[key] == epochs.info[key]
        assert p.history[0].startswith("epochs from -0.2 to ")
        assert p.history[0].endswith(
            "; baseline of -0.1 to 0 s subtracted; high-pass 0.5 Hz; low-pass 30 Hz; "
            "projections: Average EEG reference; 1 of 3 dropped before: cough (1)"
        )
        assert p.history[1] == f"{epochs.tmax - 2 + 0.01:.3f} s after bach left out"
        assert len(p.history) == 2

    def test_what_is_not_epochs_of_eeg(self, epochs, rng):
        raw = mne.io.RawArray(
            1e-5 * rng.standard_normal((3, 4000)), mne.create_info(NAMES, 100.0, "eeg"), verbose="error"
        )
        for wrong, kind in ((raw, "RawArray"), (epochs.average("all"), "EvokedArray")):
            with pytest.raises(
                TypeError, match=rf"sub-01: expected mne.Epochs, got {kind}. Cut .*mne.Epochs\(raw, events"
            ):
                Participant.from_epochs(wrong, name="sub-01")
        with pytest.raises(
            ValueError, match="sub-01: expected EEG channels, got channels of type eog, misc. Say which"
        ):
            Participant.from_epochs(epochs.copy().pick(["EOG", "wave"]), name="sub-01")

    def test_annotated_movement_does_not_spoil_the_score(self, rng):
        """Five of sixty seconds of movement, a hundred times the EEG, hide a response; the masks bring it back."""
        sound = [rng.standard_normal((2000, 1)) for _ in range(3)]
        eeg = np.array([1e-5 * (np.roll(x, 10, axis=0).T + 2 * rng.standard_normal((3, 2000))) for x in sound])
        eeg[0, :, 400:900] += 1e-3 * rng.standard_normal((3, 500))
        events = np.array([[1000 + 3000 * i, 0, i + 1] for i in range(3)])
        info = mne.create_info(NAMES, 100.0, "eeg")
        epochs = mne.EpochsArray(eeg, info, events, event_id={"a": 1, "b": 2, "c": 3}, verbose="error")
        epochs.set_annotations(mne.Annotations([10.0 + 4.0], [5.0], ["BAD_movement"]))
        person = Participant.from_epochs(epochs)
        options = {"tmin": 0.0, "tmax": 0.2, "alphas": [0.1]}
        without, with_masks = (
            trf.nested_crossval(sound, person.eeg, person.sfreq, masks=masks, **options).r
            for masks in (None, person.masks)
        )
        assert with_masks.mean() > 0.35  # without noise in the weights, 1 / sqrt(5) = 0.45
        assert without.mean() < 0.2

    def test_bad_stretches_are_masked(self, epochs):
        onsets = [5.0 + 1.0, 15.0 - 0.1, 25.0 + 2.0, 25.0 + 3.002, 25.0 + 4.0]
        epochs.set_annotations(
            mne.Annotations(onsets, [0.5, 0.2, 0.1, 0.0, 0.1], ["BAD_muscle", "bad", "blink", "BAD boundary", "bad_x"])
        )
        masks = [np.flatnonzero(~trial.mask) for trial in Participant.from_epochs(epochs).trials]
        np.testing.assert_array_equal(masks[0], np.arange(100, 151))  # the sample at either end is not clean
        np.testing.assert_array_equal(masks[1], np.arange(0, 11))
        np.testing.assert_array_equal(masks[2], [300, *range(400, 411)])

    @pytest.mark.parametrize("baseline", [None, (-0.2, 0.0)])
    def test_epochs_that_overlap_share_no_usable_sample(self, rng, baseline):
        """Cut as long as the longest sound, in whatever order."""
        data = 1e-5 * rng.standard_normal((3, 4000))
        raw = mne.io.RawArray(data, mne.create_info(NAMES, 100.0, "eeg"), verbose="error")
        events = np.array([[500, 0, 1], [1500, 0, 2], [2300, 0, 1]])
        options = {"tmin": -0.2, "tmax": 10.0, "baseline": baseline, "verbose": "error"}
        epochs = mne.Epochs(raw, events, {"bach": 1, "holst": 2}, **options)
        message = (
            r"sub-01, trial 2 \(bach\): 2.010 s masked, which trial 1 \(holst\) holds: .* overlap. Give `durations`"
        )
        with pytest.warns(UserWarning, match=message) as caught:
            p = Participant.from_epochs(epochs, name="sub-01")
        assert {one.filename for one in caught} == {__file__}
        assert [np.flatnonzero(~trial.mask).tolist() for trial in p.trials] == [[], [], list(range(201))]
        assert p.history[-1] == "trial 2 (bach): 2.010 s masked, which trial 1 holds"
        swapped = mne.concatenate_epochs([epochs[2], epochs[1]], add_offset=False, verbose="error")
        with pytest.warns(UserWarning, match=r"trial 0 \(bach\): 2.010 s masked, which trial 1"):
            Participant.from_epochs(swapped)
        Participant.from_epochs(epochs, durations={"bach": 5.0, "holst": 8.0})
        Participant.from_epochs(mne.EpochsArray(epochs.get_data(copy=True), epochs.info, verbose="error"), list("abc"))

    def test_rejected_epochs_are_dropped_before_they_are_counted(self, epochs, rng):
        """Epochs that are not yet loaded still hold the rejected ones: names must follow those that stay."""
        data = 1e-5 * rng.standard_normal((3, 4000))
        data[0, 1600] = 1.0
        raw = mne.io.RawArray(data, mne.create_info(NAMES, 100.0, "eeg"), verbose="error")
        lazy = mne.Epochs(
            raw,
            epochs.events,
            epochs.event_id,
            0,
            3,
            baseline=None,
            reject={"eeg": 0.1},
            preload=False,
            verbose="error",
        )
        p = Participant.from_epochs(lazy)
        assert p.stimuli == ("bach", "bach")
        np.testing.assert_allclose(p.trials[1].eeg, data[:, 2500:2801].T, rtol=1e-12)
        with pytest.raises(
            ValueError, match=r"one stimulus per epoch \(2\), got 3. Epochs may have been dropped.*selection"
        ):
            Participant.from_epochs(lazy, ["a", "b", "c"])

    def test_no_epoch_left(self, epochs):
        with pytest.raises(ValueError, match="sub-01: no epoch is left. `epochs.drop_log` says why"):
            Participant.from_epochs(epochs.drop([0, 1, 2], verbose="error"), name="sub-01")

    @pytest.mark.parametrize(("tmin", "tmax"), [(0.1, 2.0), (-2.0, -1.0)])
    def test_time_zero_must_be_inside(self, epochs, rng, tmin, tmax):
        data = 1e-5 * rng.standard_normal((1, 5, round(100 * (tmax - tmin)) + 1))
        shifted = mne.EpochsArray(data, epochs.info, tmin=tmin, verbose="error")
        with pytest.raises(
            ValueError, match=f"contain time zero.*from {tmin:g} to {tmax:g} s. Cut them with tmin <= 0"
        ):
            Participant.from_epochs(shifted)

    def test_a_grid_that_misses_zero_starts_at_the_nearest_sample(self, epochs, rng):
        data = 1e-5 * rng.standard_normal((1, 5, 300))
        p = Participant.from_epochs(mne.EpochsArray(data, epochs.info, tmin=-0.104, verbose="error"))
        np.testing.assert_array_equal(p.trials[0].eeg, data[0, 1:4, 10:].T)

    def test_nan_follows_the_rule_of_arrays(self, epochs):
        epochs._data[1, 1, 30] = np.nan
        with pytest.raises(ValueError, match="trial 1: channel Fz has 1 NaN samples, the first at sample 10"):
            Participant.from_epochs(epochs)
        p = Participant.from_epochs(epochs, on_nan="mask")
        np.testing.assert_array_equal(np.flatnonzero(~p.trials[1].mask), [10])


def test_bad_channels_take_part_in_nothing(rng):
    x = [rng.standard_normal((400, 1)) for _ in range(4)]
    eeg = [1e-5 * (t + rng.standard_normal((400, 3))) for t in x]
    plain = Participant.from_arrays([t[:, :2] for t in eeg], list("abcd"), 64.0)
    for t in eeg:
        t[50:300, 2] = np.nan  # gaps of a bad channel cost nobody a sample
    person = Participant.from_arrays(eeg, list("abcd"), 64.0, bads=["EEG003"])
    options = {"tmin": 0.0, "tmax": 0.1, "alphas": [0.1]}
    expected = trf.nested_crossval(x, plain.eeg, 64.0, masks=plain.masks, **options).r
    with pytest.warns(UserWarning, match=r"channels \[2\]"):
        found = trf.nested_crossval(x, person.eeg, 64.0, masks=person.masks, **options).r
    np.testing.assert_allclose(found[:, :2], expected, atol=1e-12)
    assert np.isnan(found[:, 2]).all()
