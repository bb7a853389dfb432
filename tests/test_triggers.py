"""Triggers: where they lie on the clock of the recording, and whether they tell the story of the log."""

from pathlib import Path

import mne
import numpy as np
import pytest

from eegic.eeg.triggers import find_onsets

SFREQ = 100.0
REAL = Path(__file__).parents[2] / "shared" / "data" / "eeg" / "mne_python"


def recording(rng, *, stim=(), notes=(), n_times=6000, first_samp=0, meas_date=None):
    """One noisy EEG channel and a stim channel; `stim` are (sample, value) held until the next, `notes` (s, text)."""
    held = np.zeros(n_times)
    for sample, value in stim:
        held[sample:] = value
    info = mne.create_info(["Cz", "STI"], SFREQ, ["eeg", "stim"])
    data = np.vstack([1e-5 * rng.standard_normal(n_times), held])
    raw = mne.io.RawArray(data, info, first_samp=first_samp, verbose="error")
    raw.set_meas_date(meas_date)
    seconds, texts = zip(*notes, strict=True) if notes else ((), ())
    return raw.set_annotations(mne.Annotations(seconds, 0.0, texts))


def pulses(*pairs, width=5):
    """Steps of a stim channel that holds each code for `width` samples."""
    return [step for sample, code in pairs for step in ((sample, code), (sample + width, 0))]


class TestClock:
    """A flash in the EEG at every sound is the truth."""

    @pytest.mark.parametrize("meas_date", [None, 1e9])
    @pytest.mark.parametrize("first_samp", [0, 1234])
    @pytest.mark.parametrize("crop", [0.0, 3.21])
    @pytest.mark.parametrize("codes", [{1: "bach", 2: "holst"}, {"S  1": "bach", "S  2": "holst"}])
    @pytest.mark.parametrize("saved", [False, True])
    def test_seconds_count_from_the_first_sample(self, rng, tmp_path, meas_date, first_samp, crop, codes, saved):
        truth = [(400, 1), (1713, 2), (3999, 1)]
        notes = [(sample / SFREQ, f"S  {code}") for sample, code in truth]
        raw = recording(rng, stim=pulses(*truth), notes=notes, first_samp=first_samp, meas_date=meas_date)
        raw._data[0, [sample for sample, _ in truth]] = 1.0
        raw.crop(crop)
        if saved:
            raw.save(tmp_path / "flash_raw.fif", verbose="error")
            raw = mne.io.read_raw(tmp_path / "flash_raw.fif", verbose="error")
        onsets = find_onsets(raw, codes)
        flashes = np.flatnonzero(raw.get_data("Cz")[0] > 0.5)
        np.testing.assert_allclose(onsets.seconds, flashes / SFREQ, atol=1e-6)
        assert onsets.stimuli == ("bach", "holst", "bach")
        assert onsets.notes == ()

    def test_annotations_with_their_own_origin(self, rng):
        """What was annotated in another program, by wall clock."""
        raw = recording(rng, first_samp=500, meas_date=1e9)
        ten_seconds_later = 1e9 + 10
        raw.set_annotations(mne.Annotations([2.0], 0.0, ["start"], orig_time=ten_seconds_later))
        assert find_onsets(raw, {"start": "bach"}).seconds == pytest.approx([10 + 2 - 5])

    def test_annotations_are_sorted(self, rng):
        raw = recording(rng, notes=[(30.0, "b"), (10.0, "a")])
        assert find_onsets(raw, {"a": "bach", "b": "holst"}).stimuli == ("bach", "holst")


class TestStimChannel:
    @pytest.mark.parametrize("seed", range(5))
    def test_equals_mne(self, rng, seed):
        """Any sequence of levels, returning to zero or not, held to the end or not."""
        random = np.random.default_rng(seed)
        samples = np.sort(random.choice(np.arange(1, 5990), 40, replace=False))
        raw = recording(rng, stim=[(s, random.integers(4)) for s in samples], first_samp=77)
        expected = mne.find_events(raw, "STI", consecutive=True, shortest_event=0, verbose="error")
        found = find_onsets(raw, {1: "a", 2: "b", 3: "c"}, refractory=0.0)
        np.testing.assert_allclose(found.seconds, (expected[:, 0] - 77) / SFREQ)
        assert found.stimuli == tuple("abc"[code - 1] for code in expected[:, 2])

    def test_a_code_held_to_the_end_counts(self, rng):
        raw = recording(rng, stim=[(1000, 1), (4000, 2)])
        assert find_onsets(raw, {1: "bach", 2: "holst"}).seconds == pytest.approx([10.0, 40.0])

    def test_a_code_held_from_the_beginning_does_not(self, rng):
        raw = recording(rng, stim=[(0, 1), (100, 0), (1000, 1)])
        onsets = find_onsets(raw, {1: "bach"})
        assert onsets.seconds == pytest.approx([10.0])
        assert onsets.notes == ("STI holds 1 at the first sample, since when is not known: not counted",)
        with pytest.raises(ValueError, match=r"no trigger starts 'holst' \(code 2\) \(STI holds 2 at the first sample"):
            find_onsets(recording(rng, stim=[(0, 2), (500, 1)]), {1: "bach", 2: "holst"})

    @pytest.mark.parametrize(
        "stim",
        [
            [(1000, 7), (1001, 0), (1002, 7), (1040, 0)],  # a bouncing contact
            [(1000, 4), (1001, 6), (1002, 7), (1040, 0)],  # lines that switch one after the other
            [(500, 4), (501, 0), (1000, 7), (1040, 0)],  # a spike long before
            [(1000, 7), (1050, 0), (1051, 7), (1100, 0)],  # a dip
            [(1000, 7), (1040, 3), (1041, 0)],  # and lines that fall one after the other
        ],
    )
    def test_what_does_not_last_belongs_to_a_change(self, rng, stim):
        raw = recording(rng, stim=stim)
        onsets = find_onsets(raw, {7: "bach", 4: "holst", 3: "part"}, min_duration=0.03, missing="drop")
        assert (onsets.seconds.tolist(), onsets.stimuli) == ([10.0], ("bach",))

    def test_without_a_minimum_they_are_refused(self, rng):
        raw = recording(rng, stim=[(1000, 4), (1001, 7), (1040, 0)])
        message = r"sub-01: trigger 4 at 10.000 s is followed 0.010 s later by 7: two sounds cannot.*pass min_duration="
        with pytest.raises(ValueError, match=message):
            find_onsets(raw, {7: "bach", 4: "holst"}, name="sub-01")

    def test_status_bits(self, rng):
        """BioSemi: the upper bits change within a trigger; the lower eight are the code."""
        stim = [(0, 65280), (1000, 65281), (1002, 1 + 2**16), (1005, 65280), (3000, 65282), (3005, 65280)]
        raw = recording(rng, stim=stim)
        for min_duration in (0.0, 0.04):
            onsets = find_onsets(raw, {1: "bach", 2: "holst"}, bits=255, min_duration=min_duration)
            assert (onsets.seconds.tolist(), onsets.stimuli) == ([10.0, 30.0], ("bach", "holst"))
        message = (
            r"none of the codes 1 was found in STI, but 65280 \(2\), .*They seem to carry status bits: pass bits=255"
        )
        with pytest.raises(ValueError, match=message):
            find_onsets(raw, {1: "bach"})

    def test_codes_are_rounded(self, rng):
        """Decimals come from scaling and from single precision; they are not cut off."""
        stim = [(1000, 2.9999), (1005, 0.0001), (3000, 2.0001), (3002, 1.9999), (3005, -0.0001)]
        onsets = find_onsets(recording(rng, stim=stim), {3: "bach", 2: "holst"}, refractory=0.0)
        assert (onsets.seconds.tolist(), onsets.stimuli, onsets.notes) == ([10.0, 30.0], ("bach", "holst"), ())

    @pytest.mark.parametrize(
        ("scale", "message"),
        [
            (1e-6, "STI: codes are not whole numbers: it runs from 0 to 2e-06, and holds 2e-06 at 30.000 s. Is the ch"),
            (0.3, "codes are not whole numbers: it runs from 0 to 0.6, and holds 0.6 at 30.000 s"),
            (1.4, "codes are not whole numbers: it runs from 0 to 2.8, and holds 1.4 at 10.000 s"),
            (np.nan, "STI: expected codes throughout, got nan at 6000 samples, the first at 0.000 s. Crop"),
        ],
    )
    def test_scaled_codes_are_refused(self, rng, scale, message):
        raw = recording(rng, stim=pulses((1000, 1), (3000, 2)))
        raw._data[1] *= scale
        with pytest.raises(ValueError, match=message):
            find_onsets(raw, {1: "bach", 2: "holst"}, name="sub-01")

    def test_negative_codes(self, rng):
        """Upper lines held high, as 16 or 32 bits with a sign: -255 is 0xff01."""
        raw = recording(rng, stim=[(0, -256), (1000, -255), (1005, -256), (3000, -254), (3005, -256)])
        onsets = find_onsets(raw, {1: "bach", 2: "holst"}, bits=255)
        assert (onsets.seconds.tolist(), onsets.stimuli) == ([10.0, 30.0], ("bach", "holst"))
        with pytest.raises(ValueError, match=r"none of the codes 255 .*\(STI runs from -256 to -254\)"):
            find_onsets(raw, {255: "bach"})
        assert find_onsets(raw, {-255: "bach"}).seconds.tolist() == [10.0]

    def test_one_of_several_channels(self, rng):
        raw = recording(rng, stim=pulses((1000, 1)))
        other = mne.io.RawArray(np.zeros((1, 6000)), mne.create_info(["DIN"], SFREQ, "stim"), verbose="error")
        raw.add_channels([other])
        with pytest.raises(
            ValueError, match="which channel holds the triggers. Pass stim_channel=, one of 'STI', 'DIN'"
        ):
            find_onsets(raw, {1: "bach"})
        assert find_onsets(raw, {1: "bach"}, stim_channel="STI").seconds.tolist() == [10.0]
        with pytest.raises(ValueError, match="none of the codes 1 was found in DIN, but nothing"):
            find_onsets(raw, {1: "bach"}, stim_channel="DIN", bits=255)
        with pytest.raises(ValueError, match=r"stim_channel: expected one of 'Cz', .* Did you mean 'STI'"):
            find_onsets(raw, {1: "bach"}, stim_channel="sti")


CODES = {1: "bach", 2: "holst", 3: "satie"}


class TestStory:
    def raw(self, rng, *codes):
        return recording(rng, stim=pulses(*((1000 * (i + 1), code) for i, code in enumerate(codes))), n_times=12000)

    def test_the_log_agrees(self, rng):
        onsets = find_onsets(self.raw(rng, 3, 1, 3), CODES, log=iter(["satie", "bach", "satie"]))
        assert onsets.stimuli == ("satie", "bach", "satie")
        assert repr(onsets) == "Onsets(3 trials of 2 sounds, 0 notes)"
        assert onsets.notes == (), "holst was not presented, and the log says so"

    def test_a_missing_trigger(self, rng):
        raw, log = self.raw(rng, 3, 2), ["satie", "bach", "holst", "bach"]
        message = (
            r"(?s)sub-01: the log expects 4 sounds, the triggers start 2:.*trial 1: expected 'bach', found nothing.*"
            r"trial 3: expected 'bach', found nothing.*missing='drop'"
        )
        with pytest.raises(ValueError, match=message):
            find_onsets(raw, CODES, log=log, name="sub-01")
        onsets = find_onsets(raw, CODES, log=log, missing="drop")
        assert (onsets.stimuli, onsets.seconds.tolist()) == (("satie", "holst"), [10.0, 20.0])
        assert onsets.notes == tuple(f"trial {i}: expected 'bach', found nothing" for i in (1, 3))

    @pytest.mark.parametrize("missing", ["raise", "drop"])
    def test_another_order(self, rng, missing):
        message = (
            r"(?s)expects 3 sounds, the triggers start 3:\n  trial 1: expected 'holst', found 'satie' at 20.000 s\n"
            r"  trial 2: expected 'satie', found 'holst' at 30.000 s\n  Is it the log of this recording"
        )
        with pytest.raises(ValueError, match=message):
            find_onsets(self.raw(rng, 1, 3, 2), CODES, log=["bach", "holst", "satie"], missing=missing)

    @pytest.mark.parametrize("missing", ["raise", "drop"])
    def test_an_extra_trigger(self, rng, missing):
        message = r"(?s)expects 2 sounds, the triggers start 3:\n  beyond the log: 'satie' at 20.000 s\n.*as a table"
        with pytest.raises(ValueError, match=message):
            find_onsets(self.raw(rng, 1, 3, 2), CODES, log=["bach", "holst"], missing=missing)

    def test_long_lists_are_shortened(self, rng):
        with pytest.raises(ValueError, match=r"(?s)trial 7: .*and 92 more"):
            find_onsets(self.raw(rng, 1), CODES, log=["holst"] * 100 + ["bach"])

    def test_the_log_names_what_no_code_starts(self, rng):
        with pytest.raises(
            ValueError, match="the log names 'Bach', which no code starts; codes start 'bach', 'holst', "
        ):
            find_onsets(self.raw(rng, 1), CODES, log=["Bach"])

    def test_without_a_log_every_code_must_occur(self, rng):
        with pytest.raises(
            ValueError, match=r"no trigger starts 'holst' \(code 2\), 'satie' \(code 3\). Take what was"
        ):
            find_onsets(self.raw(rng, 1), CODES)
        onsets = find_onsets(self.raw(rng, 1), CODES, missing="drop")
        assert onsets.notes == ("no trigger starts 'holst' (code 2)", "no trigger starts 'satie' (code 3)")
        assert find_onsets(self.raw(rng, 1), {1: "bach", 2: "bach"}).notes == ()

    @pytest.mark.parametrize("code", [9, np.int64(9), "start"])
    def test_one_trigger_for_all_sounds(self, rng, code):
        raw = recording(rng, stim=pulses((1000, 9), (3000, 9)), notes=[(10.0, "start"), (30.0, "start")])
        onsets = find_onsets(raw, code, log=["bach", "holst"])
        assert (onsets.seconds.tolist(), onsets.stimuli) == ([10.0, 30.0], ("bach", "holst"))
        for log in (["bach"], ["bach", "holst", "satie"]):
            message = (
                rf"log expects {len(log)} sounds, but trigger .* was found 2 times: at 10.000, 30.000 s. One trigger"
            )
            with pytest.raises(ValueError, match=message):
                find_onsets(raw, code, log=log, missing="drop")
        with pytest.raises(ValueError, match="does not say which sound it starts. Give the sounds .* as `log`"):
            find_onsets(raw, code)

    def test_duplicates(self, rng):
        steps = [(1000, 1), (1005, 0), (1008, 1), (1009, 2), (1010, 1), (1012, 0), (3000, 2), (3005, 0)]
        raw = recording(rng, stim=steps)
        codes = {1: "bach", 2: "holst"}
        with pytest.raises(ValueError, match="trigger 1 at 10.000 s is followed 0.090 s later by 2"):
            find_onsets(raw, codes, duplicates="first")
        codes = {1: "bach"}
        message = r"duplicate triggers: 1 at 10.080 s, 0.080 s after the one before, 1 at 10.100 s.*duplicates='first'"
        with pytest.raises(ValueError, match=message):
            find_onsets(raw, codes, refractory=0.5)
        onsets = find_onsets(raw, codes, refractory=0.5, duplicates="first", log=["bach"])
        assert onsets.seconds.tolist() == [10.0]
        assert onsets.notes == (
            "triggers that are not in codes: 2 (2)",
            "duplicate trigger passed over: 1 at 10.080 s, 0.080 s after the one before",
            "duplicate trigger passed over: 1 at 10.100 s, 0.100 s after the one before",
        )
        assert len(find_onsets(raw, codes, refractory=0.0).seconds) == 3

    def test_unknown_triggers(self, rng):
        raw = recording(rng, notes=[(1.0, "start"), (2.0, "key"), (3.0, "key"), (4.0, "BAD_x"), (5.0, "EDGE boundary")])
        assert find_onsets(raw, {"start": "bach"}).notes == ("triggers that are not in codes: 'key' (2)",)
        with pytest.raises(ValueError, match=r"sub-01: triggers that are not in codes: 'key' \(2\). Add them"):
            find_onsets(raw, {"start": "bach"}, unknown="raise", name="sub-01")

    @pytest.mark.parametrize(
        ("codes", "options", "error", "message"),
        [
            (
                {"Start": "bach"},
                {},
                ValueError,
                r"none of the codes 'Start' was found among the annotations, but 'start'",
            ),
            (
                {"9": "bach"},
                {},
                ValueError,
                r"none of the codes '9' .*texts for annotations, numbers for a stim channel",
            ),
            ({}, {}, ValueError, "codes: expected at least one, got none. Write {1: 'bach'"),
            ({1: "bach", "start": "holst"}, {}, TypeError, "expected texts .* or numbers .*, got both"),
            (
                {1.5: "bach"},
                {},
                TypeError,
                r"expected the text of an annotation or the number of an event, got 1.5 \(fl",
            ),
            (None, {}, TypeError, "got None"),
            ({True: "bach"}, {}, TypeError, r"got True \(bool\)"),
            (
                {"start": None},
                {},
                TypeError,
                r"codes\['start'\]: expected the name of a sound, got None. .* if one trig",
            ),
            (
                {1: ["bach", "holst"]},
                {},
                TypeError,
                r"codes\[1\]: expected the name of a sound, got \['bach', 'holst'\]",
            ),
            ({"start": ""}, {}, TypeError, "expected the name of a sound, got ''"),
            ("start", {"log": "bach"}, TypeError, "log: expected the sounds in the order .*, got 'bach'. Write a list"),
            ("start", {"log": []}, TypeError, "log: expected names of sounds, got none"),
            ("start", {"log": ["bach", 2]}, TypeError, r"log: expected names of sounds, got 2 \(int\)"),
            ("start", {"duplicates": "last"}, ValueError, "duplicates: expected one of 'raise', 'first', got 'last'"),
            ("start", {"missing": "ignore"}, ValueError, "missing: expected one of 'raise', 'drop'"),
            ("start", {"unknown": "warn"}, ValueError, "unknown: expected one of 'ignore', 'raise'"),
            ("start", {"refractory": -1}, ValueError, "refractory: expected 0 s or more, got -1"),
            ("start", {"min_duration": np.nan}, ValueError, "min_duration: expected a finite number of seconds"),
            (9, {"bits": 0}, ValueError, "bits: expected at least 1"),
            ({"BAD_x": "bach"}, {}, ValueError, "codes: 'BAD_x' would be passed over, .* start with BAD or EDGE mark"),
        ],
    )
    def test_wrong_arguments(self, rng, codes, options, error, message):
        raw = recording(rng, stim=pulses((1000, 9)), notes=[(10.0, "start")])
        with pytest.raises(error, match=message):
            find_onsets(raw, codes, **options)

    def test_numbers_without_a_stim_channel(self, rng):
        raw = recording(rng, notes=[(10.0, "Stimulus/S  1")]).pick("eeg")
        message = (
            r"codes are numbers, but no channel is of type stim. .*annotations: 'Stimulus/S  1' \(1\). Write these"
        )
        with pytest.raises(ValueError, match=message):
            find_onsets(raw, {1: "bach"})
        raw.set_annotations(None)
        with pytest.raises(ValueError, match="no channel is of type stim. Pass stim_channel="):
            find_onsets(raw, {1: "bach"})


@pytest.mark.skipif(not REAL.exists(), reason="the recordings are not here")
class TestRealRecordings:
    def test_biosemi_status(self):
        raw = mne.io.read_raw(REAL / "test.bdf", verbose="error")
        assert find_onsets(raw, {128: "bach"}).seconds == pytest.approx([589 / 2048])

    def test_edf_annotations_and_status(self):
        raw = mne.io.read_raw(REAL / "test.edf", verbose="error")
        onsets = find_onsets(raw, {"type A": "bach", "type B": "holst"})
        assert onsets.seconds == pytest.approx([0.1344, 0.3904, 2.0, 2.5])
        assert onsets.stimuli == ("bach", "bach", "holst", "bach")
        assert onsets.notes == ("triggers that are not in codes: 'start' (1)",)
        status = find_onsets(raw, {4: "bach"}, bits=255, refractory=0.0).seconds
        expected = mne.find_events(raw, mask=255, shortest_event=0, verbose="error")
        np.testing.assert_allclose(status, expected[expected[:, 2] == 4, 0] / 512)

    def test_brainvision_markers(self):
        raw = mne.io.read_raw(REAL / "brainvision" / "test.vhdr", verbose="error")
        onsets = find_onsets(raw, {"Stimulus/S253": "bach", "Stimulus/S255": "holst"}, refractory=0.0)
        lines = (REAL / "brainvision" / "test.vmrk").read_text().splitlines()
        marks = [line.split(",") for line in lines if line.startswith("Mk") and line.split("=")[1].startswith("Stim")]
        assert onsets.seconds == pytest.approx([(int(mark[2]) - 1) / 1000 for mark in marks])
        assert [{"bach": "S253", "holst": "S255"}[s] for s in onsets.stimuli] == [mark[1].strip() for mark in marks]
