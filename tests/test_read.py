"""Recordings in files: what goes in comes out, and what cannot be right is refused."""

import ast
import dataclasses
import importlib.util
import warnings
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from eegic import Audio, FeatureSeries, Participant, trf
from eegic.datasets import simulate_study
from eegic.eeg.read import read_participant
from eegic.eeg.triggers import Onsets, find_onsets

REAL = Path(__file__).parents[2] / "shared" / "data" / "eeg" / "mne_python"
NAMES = ["Fz", "Cz", "Pz"]


@pytest.fixture
def raw(rng):
    """Sixty seconds of three channels, EOG and a stim channel; sounds start at 5 and 30.5 s."""
    info = mne.create_info([*NAMES, "eog", "STI"], 100.0, ["eeg"] * 3 + ["eog", "stim"])
    data = 1e-5 * rng.standard_normal((5, 6000))
    data[4] = 0
    data[4, 500:505], data[4, 3050:3055] = 1, 2
    raw = mne.io.RawArray(data, info, verbose="error")
    return raw.set_annotations(mne.Annotations([5.0, 30.5], 0.0, ["one", "two"]))


CODES, SECONDS = {"one": "bach", "two": "holst"}, {"bach": 20.0, "holst": 25.0}


def same_trials(person, other, **tolerance):
    assert person.stimuli == other.stimuli
    assert (person.ch_names, person.sfreq, person.bads) == (other.ch_names, other.sfreq, other.bads)
    for trial, expected in zip(person.trials, other.trials, strict=True):
        np.testing.assert_allclose(trial.eeg, expected.eeg, **({"rtol": 1e-12, "atol": 0} | tolerance))
        np.testing.assert_array_equal(trial.mask, expected.mask)


def by_hand(raw, bads=()):
    eeg = raw.get_data("eeg").T
    arrays = [eeg[500:2500], eeg[3050:5550]]
    return Participant.from_arrays(arrays, ["bach", "holst"], 100.0, ch_names=NAMES, bads=bads)


# ---------------------------------------------------------------------------------------------------------------------
# Every format


@pytest.fixture(scope="module")
def study():
    return simulate_study(1, 4, 10.0, n_channels=6, snr=0.5, sfreq=64.0, progress=False, rng=0)


@pytest.fixture(scope="module")
def played(study):
    """The simulated participant as one recording, with pauses, annotations and a stim channel."""
    person = study.participants[0]
    random = np.random.default_rng(1)
    pauses = 1e-5 * random.standard_normal((5, 6, 91))  # 5 * 91 + 4 * 640 samples are 47.1 s: no whole number
    blocks, onsets, position = [pauses[0]], [], 91
    for pause, trial in zip(pauses[1:], person.trials, strict=True):
        onsets.append(position)
        blocks += [trial.eeg.T, pause]
        position += trial.n_times + 91
    data = np.concatenate(blocks, axis=1)
    codes = {name: i + 1 for i, name in enumerate(study.melodies)}
    stim = np.zeros((1, data.shape[1]))
    for onset, stimulus in zip(onsets, person.stimuli, strict=True):
        stim[0, onset : onset + 4] = codes[stimulus]
    info = mne.create_info([*person.ch_names, "STI"], 64.0, ["eeg"] * 6 + ["stim"])
    raw = mne.io.RawArray(np.concatenate([data, stim]), info, first_samp=333, verbose="error")
    raw.set_montage(person.info.get_montage())
    raw.set_meas_date(1.6e9)
    return raw.set_annotations(mne.Annotations(np.array(onsets) / 64.0, 0.0, person.stimuli))


def write_bdf(path, raw):
    """BDF as BioSemi writes it: the triggers in a channel called Status."""
    import edfio

    eeg = raw.get_data("eeg") * 1e6
    whole = int(np.ceil(eeg.shape[1] / 64)) * 64  # data records of a second
    eeg, status = (np.pad(x, ((0, 0), (0, whole - x.shape[1]))) for x in (eeg, raw.get_data("stim")))
    names = [channel for channel in raw.ch_names if channel != "STI"]
    signals = [
        edfio.BdfSignal(x, 64, label=name, physical_dimension="uV", physical_range=(-2000, 2000))
        for x, name in zip(eeg, names, strict=True)
    ]
    full = (-8388608, 8388607)
    signals.append(edfio.BdfSignal(status[0], 64, label="Status", physical_range=full, digital_range=full))
    edfio.Bdf(signals).write(path)


FORMATS = {  # suffix: what writing needs, volts of quantisation, whether codes are numbers, and what precedes texts
    ".fif": (None, 1e-11, False, ""),
    ".edf": ("edfio", 1e-8, False, ""),
    ".bdf": ("edfio", 1e-9, True, ""),
    ".vhdr": ("pybv", 1e-11, False, "Comment/"),
    ".set": ("eeglabio", 1e-11, False, ""),
}


@pytest.fixture(params=FORMATS)
def written(request, played, tmp_path):
    """Path of the recording in a format, its triggers, and the quantisation of the format."""
    needs, quantum, numbers, before = FORMATS[request.param]
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    path = tmp_path / f"sub-01_task-music_raw{request.param}"
    names = sorted(set(played.annotations.description))
    if request.param == ".fif":
        played.save(path, verbose="error")
    elif request.param == ".bdf":
        write_bdf(path, played)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EDF is filled up to whole seconds
            mne.export.export_raw(path, played.copy().drop_channels("STI"), verbose="error")
    codes = {i + 1 if numbers else before + name: name for i, name in enumerate(names)}
    return path, codes, quantum


def gain(person, study):
    envelopes, surprisal = ([side[s].values for s in person.stimuli] for side in (study.envelopes, study.surprisal))
    options = {"tmin": 0.0, "tmax": 0.4, "alphas": [0.01], "n_null": 2, "rng": 0}
    return trf.delta_r(envelopes, surprisal, person.eeg, person.sfreq, masks=person.masks, **options).gain


class TestRoundTrip:
    @pytest.mark.filterwarnings("ignore:Limited .* annotation:RuntimeWarning")
    def test_every_format(self, written, study):
        path, codes, quantum = written
        original = study.participants[0]
        person = read_participant(path, codes, study.envelopes, log=original.stimuli)
        same_trials(person, original, rtol=1e-6, atol=quantum)
        assert person.name == "sub-01"
        assert person.history[0].startswith(f"{path.name}: ") and "at 64 Hz, 6 EEG channels" in person.history[0]
        np.testing.assert_allclose(gain(person, study), gain(original, study), atol=1e-3)
        if path.suffix in (".fif", ".set"):  # the formats that keep positions
            found, expected = (p.info.get_montage().get_positions()["ch_pos"] for p in (person, original))
            distances = [np.linalg.norm(m[person.ch_names[0]] - m[person.ch_names[-1]]) for m in (found, expected)]
            assert distances[0] == pytest.approx(distances[1], rel=1e-3)

    @pytest.mark.parametrize("written", [".fif", ".edf", ".bdf", ".vhdr"], indirect=True)
    def test_samples_are_read_by_the_trial(self, written, study, monkeypatch):
        """What is asked of the file at once is never more than a trial."""
        path, codes, _ = written
        sizes, get_data = [], mne.io.BaseRaw.get_data

        def watched(self, picks=None, start=0, stop=None, **options):
            sizes.append((stop or self.n_times) - start)
            assert not self.preload
            return get_data(self, picks, start, stop, **options)

        monkeypatch.setattr(mne.io.BaseRaw, "get_data", watched)
        read_participant(path, codes, study.envelopes)
        assert sizes == [trial.n_times for trial in study.participants[0].trials]

    def test_one_file_per_trial(self, played, study, tmp_path):
        """Cut into one file for each sound, some with a stretch before it."""
        original = study.participants[0]
        starts = find_onsets(played, {name: name for name in study.melodies})
        entries, paths = [], []
        for i, (onset, stimulus) in enumerate(zip(starts.seconds, starts.stimuli, strict=True)):
            before = 0.5 * (i % 2)
            piece = played.copy().crop(onset - before, onset + original.trials[i].n_times / 64, include_tmax=False)
            paths.append(tmp_path / f"sub-01_run-{i}_raw.fif")
            piece.save(paths[-1], verbose="error")
            entries.append((before, stimulus) if before else stimulus)
        for trials in (entries, {name: name for name in study.melodies}):
            person = read_participant(paths, trials, study.audio, tolerance=0.1)
            same_trials(person, original, rtol=1e-6, atol=1e-12)
            assert person.name == "sub-01"
        assert (
            f"sub-01_run-1_raw.fif: 0.500 s before and 0.000 s after {original.stimuli[1]} left out" in person.history
        )


# ---------------------------------------------------------------------------------------------------------------------
# Where the sounds start


class TestTrials:
    @pytest.mark.parametrize(
        ("trials", "options"),
        [
            (CODES, {}),
            (CODES, {"log": ["bach", "holst"]}),
            ({1: "bach", 2: "holst"}, {}),
            ({1: "bach", 2: "holst"}, {"stim_channel": "STI", "bits": 255}),
            (Onsets(np.array([5.0, 30.5]), ("bach", "holst")), {}),
            ([(5, "bach"), (30.5, "holst")], {}),
            ([[30.5, "holst"], [5.0, "bach"]], {}),
            (iter([(5, "bach"), (30.5, "holst")]), {}),
            (pd.DataFrame({"onset": [5.0, 30.5], "stimulus": ["bach", "holst"], "rating": [3, 4]}, index=[7, 3]), {}),
        ],
    )
    def test_said_in_many_ways(self, raw, trials, options):
        same_trials(read_participant(raw, trials, SECONDS, **options), by_hand(raw))

    def test_one_trigger_for_all_sounds(self, raw):
        raw.annotations.rename({"one": "start", "two": "start"})
        same_trials(read_participant(raw, "start", SECONDS, log=["bach", "holst"]), by_hand(raw))

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("onsets.tsv", "onset\tstimulus\tvalue\n5\tbach\t1\n30.5\tholst\t2\n"),
            ("onsets.TSV", "\ufeffstimulus\tonset\r\nholst\t30.5\r\nbach\t5.0\r\n\r\n"),
            ("onsets.csv", "onset,stimulus\n5,bach\n30.5,holst"),
            ("blanks.csv", "onset,stimulus\n5, bach\n30.5,holst  \n"),
        ],
    )
    def test_tables_in_files(self, raw, tmp_path, name, text):
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        for path in (tmp_path / name, str(tmp_path / name)):
            same_trials(read_participant(raw, path, SECONDS), by_hand(raw))

    def test_names_stay_texts_and_order_is_noted(self, raw, tmp_path):
        (tmp_path / "onsets.tsv").write_text("onset\tstimulus\n30.5\t002\n5\t001\n")
        person = read_participant(raw, tmp_path / "onsets.tsv", {"001": 20.0, "002": 25.0})
        assert person.stimuli == ("001", "002")
        assert person.history[1:] == ("onsets from onsets.tsv", "onsets sorted by time")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("onset\tstimulus\n5\tbach\n30,5\tholst\n", "line 3: onset: expected seconds, got '30,5'. Write a decimal"),
            ("onset\tstimulus\n5\tbach\nn/a\tholst\n", "line 3: onset: expected seconds, got 'n/a'. Leave out what"),
            ("onset\tstimulus\n5\tbach\n\n30.5\tn/a\n", "line 4: stimulus: expected the name of a sound, got 'n/a'"),
            ("onset\tstimulus\n5\t\n", "line 2: stimulus: expected the name of a sound, got ''"),
            ("onset;stimulus\n5;bach\n", "expected the columns onset and stimulus, got 'onset;stimulus'. Tables are"),
            ("onset\tstimulus\n", "trials: expected at least one onset, got none"),
            ("", "onsets.tsv: not a table in UTF-8 .No columns"),
            ("onset\tstimulus\n5\tb\xe4ch\n", "onsets.tsv: not a table in UTF-8"),
        ],
    )
    def test_wrong_tables(self, raw, tmp_path, text, message):
        (tmp_path / "onsets.tsv").write_text(text, encoding="latin-1")
        with pytest.raises(ValueError, match=message):
            read_participant(raw, tmp_path / "onsets.tsv", SECONDS)

    @pytest.mark.parametrize(
        ("trials", "options", "error", "message"),
        [
            (None, {}, TypeError, "sub-01: trials: where do the sounds start. Give triggers .*got None"),
            (
                ["bach", "holst"],
                {},
                TypeError,
                "where do the sounds start.*got 'bach'. .Names alone do for several rec",
            ),
            ([(5, "bach", 1)], {}, TypeError, r"or \(onset, stimulus\) pairs; got \(5, 'bach', 1\)"),
            ([("bach", 5)], {}, ValueError, "trial 0: onset: expected seconds, got 'bach'"),
            ([(5, "bach"), (30, 2)], {}, ValueError, "trial 1: stimulus: expected the name of a sound, got 2"),
            ([], {}, ValueError, "expected at least one onset, got none"),
            ("start", {}, ValueError, r"'start' is not a table \(.tsv, .csv\). If it is a trigger .* sounds in `log`"),
            (1, {}, ValueError, "the trigger 1 does not say which sound it starts"),
            (
                [(5, "bach")],
                {"log": ["bach"]},
                ValueError,
                "log, stim_channel and bits go with triggers, but trials is l",
            ),
            (CODES, {"log": ["bach"]}, ValueError, "sub-01: the log expects 1 sounds, the triggers start 2"),
            (CODES, {"missing": "skip"}, ValueError, "missing: expected one of 'raise', 'drop'"),
            (
                [(-1, "bach")],
                {},
                ValueError,
                "sub-01, trial 0 .bach.: starts at -1.000 s, outside the recording of 60.0",
            ),
            ([(61, "bach")], {}, ValueError, "trial 0 .bach.: starts at 61.000 s, outside the recording of 60.000 s"),
            (
                [(41, "bach")],
                {},
                ValueError,
                "starts at 41.000 s and lasts 20.000 s, but the recording ends 1.000 s bef",
            ),
        ],
    )
    def test_wrong_trials(self, raw, trials, options, error, message):
        with pytest.raises(error, match=message):
            read_participant(raw, trials, SECONDS, name="sub-01", **options)

    def test_triggers_are_noted(self, raw):
        raw.set_annotations(raw.annotations.append([5.05, 1.0], 0.0, ["one", "key"]))
        with pytest.raises(ValueError, match="duplicate triggers: 'one' at 5.050 s"):
            read_participant(raw, CODES, SECONDS)
        person = read_participant(raw, CODES, SECONDS, duplicates="first")
        assert person.history[1:] == (
            "onsets from triggers",
            "triggers that are not in codes: 'key' (1)",
            "duplicate trigger passed over: 'one' at 5.050 s, 0.050 s after the one before",
        )

    @pytest.mark.parametrize("trials", [CODES, [(5, "bach"), (30.5, "holst")]])
    def test_some_sounds_only(self, raw, trials):
        """Of others not even the length is known."""
        person = read_participant(raw, trials, {"holst": 25.0}, only=["holst", "ravel"], name="sub-01")
        whole = read_participant(raw, trials, SECONDS, name="sub-01")
        same_trials(person, whole.only("holst"))
        assert "1 of 2 trials left out: other sounds" in person.history
        with pytest.raises(ValueError, match="sub-01: heard none of 'ravel', but 'bach', 'holst'"):
            read_participant(raw, trials, SECONDS, only=["ravel"], name="sub-01")

    def test_some_sounds_only_of_several_recordings(self, raw):
        first, second = raw.copy().crop(0, 29), raw.copy().crop(29, 59)
        pairs = [(5, "bach"), (1.5, "holst")]
        person = read_participant([first, second], pairs, {"holst": 25.0}, only=["holst"], name="sub-01")
        same_trials(person, read_participant([first, second], pairs, SECONDS, name="sub-01").only("holst"))
        assert any(note.endswith("left out, it holds other sounds") for note in person.history)

    def test_a_sound_cannot_start_in_another(self, raw):
        onsets = [(5.0, "bach"), (24.0, "holst")]
        message = (
            r"sub-01: trial 1 \(holst\) starts at 24.000 s, 1.000 s before trial 0 \(bach\) ends. Is a trigger one"
        )
        with pytest.raises(ValueError, match=message):
            read_participant(raw, onsets, SECONDS, name="sub-01")
        read_participant(raw, [(5.0, "bach"), (25.0, "holst")], SECONDS)

    def test_no_sample_may_be_used_in_two_trials(self, raw):
        """Numbered samples: what is trained on in one trial and tested in another would be seen as a response."""
        raw._data[0] = 1e-6 * np.arange(6000)
        onsets = [(5.0, "bach"), (24.0, "holst"), (25.5, "bach")]
        person = read_participant(raw, onsets, SECONDS | {"holst": 2.0}, tolerance=1.0)
        used = [trial.eeg[trial.mask, 0] for trial in person.trials]
        assert len(np.unique(np.concatenate(used))) == sum(map(len, used))
        np.testing.assert_array_equal(np.flatnonzero(~person.trials[2].mask), np.arange(50))
        assert person.trials[0].mask.all()
        assert person.history[-2:] == (
            "trial 1 (holst): 1.000 s masked, which trial 0 holds",
            "trial 2 (bach): 0.500 s masked, which trial 1 holds",
        )

    @pytest.mark.parametrize("gap", ["EDGE boundary", "boundary", "New Segment/"])
    @pytest.mark.parametrize(("at", "within"), [(5.0, False), (12.0, True), (25.0, False), (28.0, False)])
    def test_a_gap_in_the_recording(self, raw, gap, at, within):
        """Data cut out, or a pause: from there on the EEG belongs to another moment of the sound."""
        raw.set_annotations(raw.annotations.append(at, 0.0, gap))
        if not within:
            read_participant(raw, CODES, SECONDS)
            return
        message = (
            r"sub-01: the recording was interrupted at 12.000 s, within trial 0 \(bach\), which runs from 5.000 to 25"
        )
        with pytest.raises(ValueError, match=message):
            read_participant(raw, CODES, SECONDS, name="sub-01")

    def test_concatenated_recordings(self, raw):
        both = mne.concatenate_raws([raw.copy(), raw.copy()], verbose="error")
        person = read_participant(both, CODES, SECONDS)
        assert person.stimuli == ("bach", "holst") * 2
        np.testing.assert_array_equal(person.trials[0].eeg, person.trials[2].eeg)
        with pytest.raises(ValueError, match=r"interrupted at \S+ s, within trial 1 \(holst\)"):
            read_participant(both, CODES, {"bach": 20.0, "holst": 30.0})

    @pytest.mark.parametrize("gap", ["EDGE boundary", "boundary", "New Segment/"])
    def test_nothing_beyond_a_gap_is_used(self, raw, gap):
        raw.set_annotations(raw.annotations.append(24.5, 0.0, gap))
        person = read_participant(raw, CODES, SECONDS, tolerance=1.0)
        np.testing.assert_array_equal(person.trials[0].mask, np.arange(2000) < 1950)
        assert person.trials[1].mask.all()
        assert person.history[-1] == "trial 0 (bach): the last 0.500 s masked, after an interruption"

    def test_joined_recordings_do_not_run_into_each_other(self, raw):
        one, other = raw.copy().crop(0, 25.0), raw.copy().crop(28.0)
        other._data[:3] = 1e-4
        both = mne.concatenate_raws([one, other], verbose="error")
        person = read_participant(both, {"one": "bach"}, {"bach": 22.0}, tolerance=3.0)
        assert (person.trials[0].eeg == 1e-4).all(axis=1).any(), "EEG of the other recording is there"
        assert not (person.trials[0].eeg[person.trials[0].mask] == 1e-4).any(), "and not used"
        assert person.trials[0].mask.sum() >= 2000

    def test_the_end_of_the_recording(self, raw):
        onsets = [(5.0, "bach"), (35.1, "holst")]
        with pytest.raises(ValueError, match="trial 1 .holst.: .* the recording ends 0.100 s before it does"):
            read_participant(raw, onsets, SECONDS)
        person = read_participant(raw, onsets, SECONDS, tolerance=0.1)
        assert person.trials[1].n_times == 2490
        assert person.history[-1] == "trial 1 (holst): 10 samples short of its sound"


class TestDurations:
    @pytest.mark.parametrize(
        "durations",
        [
            20,
            {"bach": 20.0, "holst": 20.0},
            {"bach": Audio(np.ones(20 * 800), 800), "holst": FeatureSeries(np.ones(200), np.arange(200) / 10, "x")},
        ],
    )
    def test_said_in_many_ways(self, raw, durations):
        assert [t.n_times for t in read_participant(raw, CODES, durations).trials] == [2000, 2000]

    def test_what_was_not_presented_is_noted(self, raw):
        person = read_participant(raw, CODES, SECONDS | {"satie": 10.0})
        assert person.history == (
            "RawArray: 60.000 s at 100 Hz, 3 EEG channels; left out: 1 eog, 1 stim",
            "onsets from triggers",
            "not presented: satie",
        )

    @pytest.mark.parametrize(
        ("durations", "error", "message"),
        [
            (None, ValueError, "sub-01: durations: how long does each sound last. Write {'bach': 30.0}"),
            (
                {"Bach": 1.0, "x": 2.0},
                ValueError,
                "no duration is given for 'bach', 'holst', and no trial presents 'Bach'",
            ),
            (
                {"bach": 20.0, "holst": -1.0},
                ValueError,
                r"durations\['holst'\]: expected a finite positive number of sec",
            ),
            ("20", TypeError, "durations: expected a number of seconds, or a dictionary by sound, got '20'"),
            (
                {"bach": FeatureSeries(np.ones(3), [0.0, 1.0, 3.0], "note"), "holst": 1.0},
                ValueError,
                r"durations\['bach'\]: note has irregular times.* Give seconds",
            ),
        ],
    )
    def test_wrong_durations(self, raw, durations, error, message):
        with pytest.raises(error, match=message):
            read_participant(raw, CODES, durations, name="sub-01")


# ---------------------------------------------------------------------------------------------------------------------
# Channels


class TestChannels:
    def test_the_recording_is_left_as_it_was(self, raw):
        before = raw.copy()
        person = read_participant(
            raw,
            CODES,
            SECONDS,
            rename={"Fz": "AFz"},
            channel_types={"Pz": "misc"},
            montage="biosemi64",
            bads="Cz",
            name="sub-01",
        )
        assert (person.ch_names, person.bads) == (("AFz", "Cz"), ("Cz",))
        assert person.history == (
            "RawArray: 60.000 s at 100 Hz, 2 EEG channels; left out: 1 misc, 1 eog, 1 stim",
            "renamed: Fz to AFz",
            "types given: Pz misc",
            "positions: biosemi64",
            "marked as bad: Cz",
            "onsets from triggers",
        )
        assert mne.utils.object_diff(raw.info, before.info) == ""
        np.testing.assert_array_equal(raw.get_data(), before.get_data())

    def test_bad_channels_are_added_to_those_of_the_file(self, raw):
        raw.info["bads"] = ["Pz", "eog"]
        assert read_participant(raw, CODES, SECONDS, bads=["Fz", "Pz"]).bads == ("Fz", "Pz")

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rename": {"fz": "AFz"}}, "sub-01: rename: expected one of 'Fz', .* got 'fz'. Did you mean 'Fz'"),
            (
                {"rename": {"Fz": "Cz"}},
                "sub-01: rename: each channel needs its own name, but 'Cz' stands more than once",
            ),
            ({"channel_types": {"EXG1": "eog"}}, "sub-01: channel_types: expected one of 'Fz', .* got 'EXG1'"),
            ({"channel_types": {"Fz": "mastoid"}}, "mastoid"),
            ({"bads": ["CZ"]}, "sub-01: bads: expected one of 'Fz', .* got 'CZ'. Did you mean 'Cz'"),
            ({"montage": "biosemi63"}, "montage: expected one of .* Did you mean 'biosemi64'"),
            ({"unit": "volts"}, "unit: expected one of 'V', 'mV', 'uV'"),
            ({"on_nan": "drop"}, "on_nan: expected one of 'raise', 'mask'"),
            ({"tolerance": -1}, "tolerance: expected a finite positive number of seconds"),
            ({"channel_types": dict.fromkeys(NAMES, "misc")}, "sub-01: expected EEG channels, got channels of type"),
        ],
    )
    def test_wrong_arguments(self, raw, options, message):
        with pytest.raises(ValueError, match=message):
            read_participant(raw, CODES, SECONDS, name="sub-01", **options)

    @pytest.mark.parametrize("what", ["rename", "channel_types"])
    def test_channels_are_named_one_by_one(self, raw, what):
        with pytest.raises(TypeError, match=f"sub-01: {what}: expected a dictionary by channel, got list"):
            read_participant(raw, CODES, SECONDS, name="sub-01", **{what: ["Fz"]})

    @pytest.mark.parametrize(
        "names",
        [["FZ", "CZ", "PZ"], ["EEG Fz-REF", "EEG Cz-REF", "EEG Pz-REF"], ["Fz..", "Cz..", "Pz.."], ["T3", "T4", "T5"]],
    )
    def test_names_are_not_matched_by_resemblance(self, raw, names):
        raw.rename_channels(dict(zip(NAMES, names, strict=True)))
        with pytest.raises(
            ValueError, match="no channel has a position in the montage. Channels: .*Pass rename="
        ) as error:
            read_participant(raw, CODES, SECONDS, montage="biosemi64")
        suggested = ast.literal_eval(str(error.value).split("rename=")[1].rstrip("."))
        person = read_participant(raw, CODES, SECONDS, montage="biosemi64", rename=suggested)
        assert set(person.ch_names) < set(mne.channels.make_standard_montage("biosemi64").ch_names)
        assert person.ch_names == (tuple(NAMES) if names[0] != "T3" else ("T7", "T8", "P7"))

    def test_one_name_that_resembles(self, raw):
        raw.rename_channels({"Fz": "FZ"})
        with pytest.warns(UserWarning, match=r"'FZ' have no position .* rename={'FZ': 'Fz'}") as caught:
            person = read_participant(raw, CODES, SECONDS, montage="biosemi64", name="sub-01")
        assert caught[0].filename == __file__
        assert person.history[1] == "positions: biosemi64; none for FZ"
        assert person.ch_names == ("FZ", "Cz", "Pz")

    def test_a_name_that_is_taken_is_not_suggested(self, raw):
        raw.rename_channels({"Cz": "FZ"})
        assert read_participant(raw, CODES, SECONDS, montage="biosemi64").ch_names == ("Fz", "FZ", "Pz")

    def test_own_positions(self, raw):
        places = {"Fz": (0.0, 0.08, 0.04), "Pz": (0.0, -0.08, 0.04)}
        person = read_participant(
            raw, CODES, SECONDS, montage=mne.channels.make_dig_montage(places, coord_frame="head")
        )
        assert person.history[1] == "positions: as given; none for Cz"
        for channel, place in places.items():
            np.testing.assert_allclose(person.info["chs"][NAMES.index(channel)]["loc"][:3], place, atol=1e-7)
        assert not np.isfinite(person.info["chs"][1]["loc"][:3]).all()

    @pytest.mark.parametrize(
        "strange", ["EXG1", "VEOG", "ECG", "M1", "A1", "Status", "trigger", "EOG-left", "Resp", "EKG"]
    )
    def test_what_is_hardly_eeg(self, raw, strange):
        raw.rename_channels({"Fz": strange})
        with pytest.warns(
            UserWarning, match=f"sub-01: read as EEG, but named like .*: '{strange}'. Say what"
        ) as caught:
            person = read_participant(raw, CODES, SECONDS, name="sub-01")
        assert caught[0].filename == __file__
        assert person.ch_names == (strange, "Cz", "Pz")
        for kind, n in (("misc", 2), ("eeg", 3)):  # no warning once the type is said
            assert len(read_participant(raw, CODES, SECONDS, channel_types={strange: kind}).ch_names) == n

    def test_electrodes_of_biosemi(self, raw):
        raw.rename_channels(dict(zip(NAMES, ["A1", "A2", "A3"], strict=True)))
        assert read_participant(raw, CODES, SECONDS).ch_names == ("A1", "A2", "A3")

    def test_a_projection_that_waits_is_applied(self, raw):
        raw.set_eeg_reference("average", projection=True, verbose="error")
        person = read_participant(raw, CODES, SECONDS)
        assert np.abs(person.trials[0].eeg.mean(axis=1)).max() < 1e-18
        assert person.history[0].endswith("left out: 1 eog, 1 stim; projections: Average EEG reference")
        assert not raw.info["projs"][0]["active"]

    def test_unit(self, raw):
        expected = by_hand(raw)
        raw._data[:3] *= 1e6
        with pytest.warns(UserWarning, match="the median magnitude of the EEG is .* V; EEG lies near 1e-5 V"):
            read_participant(raw, CODES, SECONDS)
        person = read_participant(raw, CODES, SECONDS, unit="uV")
        same_trials(person, expected)
        assert "numbers taken as uV" in person.history


class TestMasks:
    @pytest.mark.parametrize("meas_date", [None, 1e9])
    @pytest.mark.parametrize("crop", [0.0, 2.0])
    def test_bad_stretches(self, raw, meas_date, crop):
        """Movement of five millivolts for a second, wherever the recording begins."""
        raw.set_meas_date(meas_date)
        raw.set_annotations(mne.Annotations([5.0, 30.5, 8.0], [0, 0, 1.01], ["one", "two", "BAD_movement"]))
        raw._data[:3, 800:902] = 5e-3
        person = read_participant(raw.crop(crop), CODES, SECONDS)
        assert np.abs(person.trials[0].eeg).max() == 5e-3
        assert np.abs(person.trials[0].eeg[person.trials[0].mask]).max() < 1e-3
        assert (~person.trials[0].mask).sum() == 102
        assert person.trials[1].mask.all()
        assert person.history[-1] == "trial 0 (bach): 5.1% masked by BAD_ annotations"

    @pytest.mark.parametrize(
        ("description", "masked"),
        [("Comment/BAD_x", 101), ("Comment/bad", 101), ("comment/Bad", 101), ("Bad Interval/x", 101), ("Comment/x", 0)],
    )
    def test_bad_stretches_of_brainvision(self, raw, description, masked):
        raw.set_annotations(raw.annotations.append(8.0, 1.0, description))
        person = read_participant(raw, CODES, SECONDS)
        assert (~person.trials[0].mask).sum() == masked
        passed_over = any("triggers that are not in codes" in note for note in person.history)
        assert passed_over == (not masked), "a stretch to leave out is no trigger"

    def test_missing_samples(self, raw):
        raw._data[1, 3060] = np.nan
        with pytest.raises(ValueError, match="trial 1: channel Cz has 1 NaN samples, the first at sample 10"):
            read_participant(raw, CODES, SECONDS)
        person = read_participant(raw, CODES, SECONDS, on_nan="mask")
        np.testing.assert_array_equal(np.flatnonzero(~person.trials[1].mask), [10])
        assert person.history[-1] == "trial 1 (holst): 1 samples masked, NaN in a channel"

    def test_a_trial_without_a_usable_sample(self, raw):
        raw.set_annotations(raw.annotations.append(5.0, 20.0, "BAD_sleep"))
        message = (
            r"x, trial 0 \(bach\): no sample is usable, all are masked. Leave it out: `dataclasses.replace\(person"
        )
        with pytest.warns(UserWarning, match=message):
            person = read_participant(raw, CODES, SECONDS, name="x")
        left = dataclasses.replace(person, trials=[trial for trial in person.trials if trial.mask.any()])
        assert left.stimuli == ("holst",)

    def test_reference_and_filters_are_known(self, raw):
        raw.set_eeg_reference(["Cz"], verbose="error").filter(1.0, 20.0, verbose="error")
        info = read_participant(raw, CODES, SECONDS).info
        for key in ("custom_ref_applied", "highpass", "lowpass"):
            assert info[key] == raw.info[key] != mne.create_info(NAMES, 100.0, "eeg")[key]

    def test_half_a_file(self, raw, tmp_path):
        raw.save(tmp_path / "whole_raw.fif", buffer_size_sec=1, verbose="error")
        whole = (tmp_path / "whole_raw.fif").read_bytes()
        (tmp_path / "half_raw.fif").write_bytes(whole[: len(whole) // 2])
        with (
            pytest.warns(RuntimeWarning, match="Invalid tag"),
            pytest.raises(ValueError, match="half_raw: STI cannot be read .*The file is damaged or cut short: copy it"),
        ):
            read_participant(tmp_path / "half_raw.fif", {1: "bach", 2: "holst"}, SECONDS)

    def test_a_damaged_file(self, raw, monkeypatch):
        """As MNE fails at a FIF file of which the end is missing."""

        def broken(*args, **options):
            raise ValueError("cannot reshape array of size 7 into shape (3,100)")

        monkeypatch.setattr(mne.io.BaseRaw, "get_data", broken)
        message = (
            r"x, trial 0 \(bach\): .*read from 5.000 to 25.000 s \(ValueError: cannot reshape.*damaged or cut short"
        )
        with pytest.raises(ValueError, match=message):
            read_participant(raw, CODES, SECONDS, name="x")


# ---------------------------------------------------------------------------------------------------------------------
# Several recordings, epochs, files


class TestSeveral:
    def parts(self, raw):
        return [raw.copy().crop(5.0, 25.5), raw.copy().crop(30.5, 56.0)]

    @pytest.mark.parametrize(
        "trials",
        [
            ["bach", "holst"],
            [(0.0, "bach"), "holst"],
            [Onsets(np.array([0.0]), ("bach",)), (0, "holst")],
            CODES,
        ],
    )
    def test_one_trial_each(self, raw, trials):
        person = read_participant(self.parts(raw), trials, SECONDS, name="sub-01")
        same_trials(person, by_hand(raw))
        assert person.name == "sub-01"
        assert "RawArray (1): 0.000 s before and 0.510 s after holst left out" in person.history

    def test_triggers_with_a_log_each(self, raw):
        parts, logs = self.parts(raw), [["bach"], ["holst"]]
        same_trials(read_participant(parts, CODES, SECONDS, log=logs, name="x"), by_hand(raw))
        with pytest.raises(ValueError, match=r"x, RawArray \(1\): the log expects 1 sounds, the triggers start 1:"):
            read_participant(parts, CODES, SECONDS, log=[["bach"], ["bach"]], name="x")
        for log in (["bach", "holst"], [["bach", "holst"]]):
            with pytest.raises(ValueError, match=r"log: expected a list of sounds for each of the 2 recordings, \[\["):
                read_participant(parts, CODES, SECONDS, log=log, name="x")

    def test_a_trigger_that_none_of_them_holds(self, raw):
        codes = CODES | {"three": "satie"}
        with pytest.raises(ValueError, match="and the others: no trigger starts 'satie'. Take what"):
            read_participant(self.parts(raw), codes, SECONDS, name="x")
        assert len(read_participant(self.parts(raw), codes, SECONDS, missing="drop", name="x").trials) == 2

    def test_rates_must_agree(self, raw):
        parts = self.parts(raw)
        parts[1].resample(50.0, verbose="error")
        with pytest.raises(
            ValueError, match=r"sub-01: RawArray \(0\) has 100 Hz and RawArray \(1\) 50 Hz. Resample one"
        ):
            read_participant(parts, ["bach", "holst"], SECONDS, name="sub-01")

    def test_channels_must_agree_but_not_their_order(self, raw):
        parts = self.parts(raw)
        parts[1].reorder_channels(["STI", "Pz", "Fz", "eog", "Cz"])
        same_trials(read_participant(parts, ["bach", "holst"], SECONDS, name="x"), by_hand(raw))
        parts[1].rename_channels({"Pz": "Oz"})
        with pytest.raises(
            ValueError, match=r"channels of RawArray \(0\) only: 'Pz'; of RawArray \(1\) only: 'Oz'. Ren"
        ):
            read_participant(parts, ["bach", "holst"], SECONDS, name="x")

    def test_bad_in_one_is_bad_in_all(self, raw):
        parts = self.parts(raw)
        parts[0].info["bads"], parts[1].info["bads"] = ["Pz"], ["Fz"]
        assert read_participant(parts, ["bach", "holst"], SECONDS, name="x").bads == ("Fz", "Pz")

    def test_other_differences_are_warned_of_at_the_call(self, raw):
        parts = self.parts(raw)
        parts[1].filter(1.0, 20.0, verbose="error").set_eeg_reference(["Cz"], verbose="error")
        message = (
            r"x: RawArray \(0\) and RawArray \(1\) differ: reference as recorded and changed; high-pass 0 Hz and 1 Hz; "
            r"low-pass 50 Hz and 20 Hz. One model is fitted to both: bring them to the same"
        )
        with pytest.warns(UserWarning, match=message) as caught:
            person = read_participant(parts, ["bach", "holst"], SECONDS, name="x")
        assert [one.filename for one in caught] == [__file__]
        assert len(person.trials) == 2

    def test_an_average_by_projection_and_other_positions_are_differences(self, raw):
        raw.set_montage("biosemi64", on_missing="ignore", verbose="error")
        parts = self.parts(raw)
        parts[0].set_eeg_reference("average", projection=True, verbose="error")
        parts[1].info["chs"][1]["loc"][:3] += 0.02
        message = r"differ: reference Average EEG reference and as recorded; positions of Cz. One"
        with pytest.warns(UserWarning, match=message):
            read_participant(parts, ["bach", "holst"], SECONDS, name="x")

    def test_too_short_a_recording_is_named(self, raw):
        parts = [self.parts(raw)[0], raw.copy().crop(30.5, 50.0)]
        with pytest.raises(
            ValueError, match=r"x, RawArray \(1\), trial 0 \(holst\): .* the recording ends 5.490 s before"
        ):
            read_participant(parts, ["bach", "holst"], SECONDS, name="x")

    @pytest.mark.parametrize(
        ("trials", "error", "message"),
        [
            (["bach"], ValueError, r"trials: expected one entry per recording \(2\), got 1"),
            ("onsets.tsv", TypeError, "expected one entry per recording, or codes, got str. Write"),
            (None, TypeError, "got NoneType"),
            (["bach", ("holst", 0)], ValueError, r"x, RawArray \(1\), trial 0: onset: expected seconds, got 'holst'"),
            (["bach", 2], TypeError, r"x, RawArray \(1\): trials: where do the sounds start"),
        ],
    )
    def test_wrong_trials(self, raw, trials, error, message):
        with pytest.raises(error, match=message):
            read_participant(self.parts(raw), trials, SECONDS, name="x")

    @pytest.mark.parametrize(
        ("source", "got"), [([], "none"), ([np.zeros((3, 9))], "ndarray"), (np.zeros(3), "float64"), (None, "NoneType")]
    )
    def test_what_is_no_recording(self, source, got):
        message = f"source: expected the path of a recording, mne.io.Raw or mne.Epochs, got {got}. For arrays"
        with pytest.raises(TypeError, match=message):
            read_participant(source, ["bach"], SECONDS)


class TestEpochs:
    @pytest.fixture
    def epochs(self, raw):
        events = np.array([[500, 0, 1], [3050, 0, 2]])
        return mne.Epochs(raw, events, {"bach": 1, "holst": 2}, -0.2, 26.0, baseline=None, verbose="error")

    def test_equal_the_recording(self, raw, epochs):
        for trials in (None, ["bach", "holst"]):
            person = read_participant(epochs, trials, SECONDS | {"satie": 3.0}, name="sub-01")
            same_trials(person, by_hand(raw))
        assert person.history == (
            "Epochs: 26.210 s at 100 Hz, 3 EEG channels; left out: 1 eog, 1 stim",
            "not presented: satie",
            "epochs from -0.2 to 26 s",
            "6.010 s after bach left out",
            "1.010 s after holst left out",
        )

    def test_channels(self, raw, epochs):
        with pytest.warns(UserWarning, match=r"trial 1 \(holst\): 0.510 s masked, which trial 0 \(bach\) holds"):
            person = read_participant(epochs, rename={"Fz": "AFz"}, bads=["Cz"], montage="biosemi64")
        assert (person.ch_names, person.bads) == (("AFz", "Cz", "Pz"), ("Cz",))
        assert person.trials[0].n_times == 2601
        assert epochs.ch_names[0] == "Fz"
        with pytest.raises(ValueError, match="expected one mne.Epochs in volts, without tolerance"):
            read_participant(epochs, unit="uV")
        for options in ({"log": ["bach", "holst"]}, {"bits": 255}, {"duplicates": "first"}):
            with pytest.raises(TypeError, match=f"{next(iter(options))}: look for triggers in a recording, but source"):
                read_participant(epochs, **options)
        with pytest.raises(ValueError, match="expected one mne.Epochs"):
            read_participant([epochs, raw], ["bach", "holst"], name="x")

    @pytest.mark.parametrize(
        "trials",
        [
            {"two": "holst", "one": "bach", "three": "satie"},
            {2: "holst", 1: "bach"},
            {"two": "holst", np.int64(1): "bach"},
        ],
    )
    def test_events_by_name_or_code(self, raw, epochs, trials):
        """In the order of the epochs, whatever that of the dictionary."""
        epochs.event_id = {"one": 1, "two": 2}
        same_trials(read_participant(epochs, trials, SECONDS), by_hand(raw))

    @pytest.mark.parametrize(
        ("trials", "error", "message"),
        [
            ({"bach": "b"}, ValueError, "expected a sound for every event, got none for 'holst'"),
            ({1: "b", "bach": "c", 2: "d"}, ValueError, "event 'bach' is given two sounds, 'b' and 'c'"),
            ({1: 1, 2: 2}, TypeError, r"trials\[1\]: expected the name of a sound, got 1"),
            ("bach", TypeError, "expected the sound of each epoch in order, or a dictionary .* got str. Write"),
            (1, TypeError, "got int. Write"),
            (Onsets(np.array([5.0, 30.5]), ("bach", "holst")), TypeError, "got Onsets. Write"),
            (pd.DataFrame({"onset": [5.0], "stimulus": ["bach"]}), TypeError, "got DataFrame. Write"),
            ([(5.0, "bach"), (30.5, "holst")], TypeError, r"got list with \(5.0, 'bach'\)"),
        ],
    )
    def test_wrong_trials(self, epochs, trials, error, message):
        with pytest.raises(error, match=message):
            read_participant(epochs, trials, name="sub-01")


class TestFiles:
    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("sub-01_task-music_raw.fif", "sub-01"),
            ("anna_raw.fif.gz", "anna_raw"),
            ("P 03 é_raw.fif", "P 03 é_raw"),
        ],
    )
    def test_the_name_of_the_file(self, raw, tmp_path, file, name):
        raw.save(tmp_path / file, verbose="error")
        for source in (tmp_path / file, str(tmp_path / file), mne.io.read_raw(tmp_path / file, verbose="error")):
            person = read_participant(source, CODES, SECONDS)
            assert person.name == name
            assert person.history[0].startswith(f"{file}: 60.000 s"), "history holds no folders"
        assert read_participant(source, CODES, SECONDS, name="sub-07").name == "sub-07"

    def test_the_name_of_the_subject(self, raw):
        assert read_participant(raw, CODES, SECONDS).name == "participant"
        raw.info["subject_info"] = {"his_id": "S7", "last_name": "Doe"}
        assert read_participant(raw, CODES, SECONDS).name == "S7"

    def test_files_of_different_participants(self, raw, tmp_path):
        paths = [tmp_path / "sub-01_raw.fif", tmp_path / "sub-02_raw.fif"]
        for path in paths:
            raw.save(path, verbose="error")
        with pytest.raises(
            ValueError, match="which participant is it. The files suggest 'sub-01', 'sub-02'. Pass name="
        ):
            read_participant(paths, CODES, SECONDS)

    def test_what_is_no_recording(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere.fif: no such file"):
            read_participant(tmp_path / "nowhere.fif", CODES, SECONDS)
        for folder in ("", tmp_path):
            with pytest.raises(ValueError, match="MNE cannot read it as a recording"):
                read_participant(folder, CODES, SECONDS)
        (tmp_path / "broken.set").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(300))
        with pytest.raises(ValueError, match="broken.set: MNE cannot read it as a recording .*Is it whole"):
            read_participant(tmp_path / "broken.set", CODES, SECONDS)
        (tmp_path / "x.eeg").touch(), (tmp_path / "x.vhdr").touch()
        with pytest.raises(ValueError, match="x.eeg: holds no channel names. Read its header, x.vhdr"):
            read_participant(tmp_path / "x.eeg", CODES, SECONDS)

    def test_two_channels_of_one_name(self, tmp_path, rng):
        edfio = pytest.importorskip("edfio")
        signals = [edfio.EdfSignal(rng.standard_normal(640), 64, label=name) for name in ("Cz", "Pz", "Cz")]
        edfio.Edf(signals).write(tmp_path / "twice.edf")
        with pytest.raises(ValueError, match="twice.edf: two channels have one name. .*'Cz'.* Read it with MNE, name"):
            read_participant(tmp_path / "twice.edf", CODES, SECONDS)

    def test_a_file_that_does_not_name_its_unit(self, tmp_path, rng):
        edfio = pytest.importorskip("edfio")
        microvolts = 10 * rng.standard_normal(640)
        edfio.Edf([edfio.EdfSignal(microvolts, 64, label="Cz", physical_dimension="")]).write(tmp_path / "plain.edf")
        with pytest.warns(UserWarning, match="Name the unit of the data, e.g. unit='uV'"):
            read_participant(tmp_path / "plain.edf", [(2, "bach")], 5.0)
        person = read_participant(tmp_path / "plain.edf", [(2, "bach")], 5.0, unit="uV")
        np.testing.assert_allclose(person.trials[0].eeg[:, 0], 1e-6 * microvolts[128:448], atol=1e-9)


@pytest.mark.skipif(not REAL.exists(), reason="the recordings are not here")
class TestRealRecordings:
    def test_biosemi(self):
        with pytest.warns(UserWarning, match="'EXG1', 'REOG', 'LEOG', 'IEOG', 'EXG5', 'M2', 'M1', 'EXG8'"):
            person = read_participant(REAL / "test.bdf", {128: "bach"}, 0.5)
        eyes = dict.fromkeys(["REOG", "LEOG", "IEOG"], "eog")
        others = dict.fromkeys(["EXG1", "EXG5", "M1", "M2", "EXG8"], "misc")
        person = read_participant(
            REAL / "test.bdf", {128: "bach"}, 0.5, channel_types=eyes | others, montage="biosemi64", name="sub-01"
        )
        assert repr(person) == "Participant(sub-01: 1 trials of 1 sounds, 0 s, 64 channels at 2048 Hz)"
        assert set(person.ch_names) == set(mne.channels.make_standard_montage("biosemi64").ch_names)
        raw = mne.io.read_raw(REAL / "test.bdf", verbose="error")
        np.testing.assert_array_equal(person.trials[0].eeg, raw.get_data(list(person.ch_names), 589, 589 + 1024).T)

    def test_edf(self):
        types = {"Ergo-Left": "misc", "Ergo-Right": "misc"}
        codes = {"type A": "bach", "type B": "holst"}
        durations = {"bach": 0.25, "holst": 0.5}
        person = read_participant(REAL / "test.edf", codes, durations, tolerance=0.01, channel_types=types)
        assert (len(person.ch_names), person.sfreq) == (136, 512.0)
        assert person.stimuli == ("bach", "bach", "holst", "bach")
        assert "triggers that are not in codes: 'start' (1)" in person.history

    def test_brainvision(self):
        with pytest.warns(UserWarning, match=r"rename={'FP1': 'Fp1', 'FP2': 'Fp2'}"):
            read_participant(REAL / "brainvision" / "test.vhdr", {"Stimulus/S253": "a"}, 1.0, montage="biosemi64")
        names = {"FP1": "Fp1", "FP2": "Fp2"}
        person = read_participant(
            REAL / "brainvision" / "test.vhdr", {"Stimulus/S253": "bach"}, 2.0, rename=names, montage="biosemi64"
        )
        assert (len(person.ch_names), person.sfreq, person.stimuli) == (26, 1000.0, ("bach", "bach"))
        assert person.history[0] == "test.vhdr: 7.900 s at 1000 Hz, 26 EEG channels; left out: 6 misc"
