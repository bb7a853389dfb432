"""BIDS in and out: which sound was heard, what the sidecars say, and results that can be read without eegic."""

import json
import os
import unicodedata
import warnings
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from handmade import OPTIONS, listener, music

from eegic import Audio, FeatureSeries, Tracking, cortical_tracking, datasets, trf
from eegic.derivatives import to_bids_derivative
from eegic.eeg.bids import read_bids, survey_bids

mne_bids = pytest.importorskip("mne_bids")
pytest.importorskip("pybv")

SFREQ = 64.0
EASY = {**OPTIONS, "alphas": [0.1]}
NAMES = ["Fz", "Cz", "Pz", "EOG1"]
TINY = Path(__file__).parents[2] / "shared" / "data" / "eeg" / "tiny_bids"


def recording(rng, events, seconds=40.0, *, ch_names=NAMES, sfreq=SFREQ, bads=(), montage="biosemi64"):
    """Noise with an annotation for each event: onset, duration, trial_type and, if any, stim_file."""
    kinds = ["eog" if name.startswith("EOG") else "eeg" for name in ch_names]
    info = mne.create_info(list(ch_names), sfreq, kinds)
    if montage:
        info.set_montage(montage, on_missing="ignore")
    info["bads"] = list(bads)
    eeg = 1e-5 * rng.standard_normal((len(ch_names), round(seconds * sfreq)))
    raw = mne.io.RawArray(eeg, info, verbose="error")
    onsets, durations, kinds, files = zip(*events, strict=True) if events else ((), (), (), ())
    extras = [{"stim_file": file} for file in files]
    return raw.set_annotations(mne.Annotations(onsets, durations, kinds, extras=extras))


def write(root, raw, subject="01", form="BrainVision", **entities):
    path = mne_bids.BIDSPath(root=root, subject=subject, datatype="eeg", **{"task": "listen", **entities})
    mne_bids.write_raw_bids(raw, path, format=form, allow_preload=True, overwrite=True, verbose="error")
    return path


def sound(path, seconds=10.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Audio(0.1 * np.sin(np.arange(round(seconds * 8000))), 8000).write(path)


def edit(root, suffix, change):
    """Let `change` work on each table of this kind."""
    for path in root.glob(f"sub-*/**/*_{suffix}.tsv"):
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        change(table).to_csv(path, sep="\t", index=False)


def mark_in_file(root, kind, onset, duration=0.0):
    """Annotate the recording itself, and not events.tsv."""
    (marker,) = root.glob("sub-*/**/*_eeg.vmrk")
    marker.write_text(
        f"{marker.read_text().rstrip()}\nMk99={kind.rstrip('/') if kind.startswith('New') else 'Comment'},"
        f"{'' if kind.startswith('New') else kind},{round(onset * SFREQ) + 1},{max(1, round(duration * SFREQ))},0\n"
    )


TWO = [(2.0, 10.0, "sound", "bach.wav"), (20.0, 10.0, "sound", "pop/holst.wav")]


@pytest.fixture
def tree(tmp_path, rng):
    """Two sounds in one recording; bach.wav lasts 10 s, pop/holst.wav 12 s."""
    raw = recording(rng, TWO, bads=["Cz"])
    write(tmp_path, raw)
    edit(tmp_path, "events", lambda table: table.assign(duration="n/a"))
    sound(tmp_path / "stimuli" / "bach.wav")
    sound(tmp_path / "stimuli" / "pop" / "holst.wav", 12.0)
    return tmp_path, raw


def forget_files(root):
    edit(root, "events", lambda table: table.drop(columns="stim_file"))


@pytest.fixture(scope="module")
def study():
    return datasets.simulate_study(1, 6, 20, n_channels=8, snr=0.2, surprisal_effect=1.0, progress=False, rng=0)


class TestRoundTrip:
    def test_a_simulated_listener_comes_back(self, study, tmp_path):
        person = study.participants[0]
        gap = np.zeros((round(2.5 * person.sfreq), len(person.ch_names)))
        pieces = [piece for eeg in person.eeg for piece in (gap, eeg)]
        raw = mne.io.RawArray(np.concatenate(pieces).T, person.info, verbose="error")
        starts = np.cumsum([0, *map(len, pieces)])[1::2] / person.sfreq
        extras = [{"stim_file": f"{stimulus}.wav"} for stimulus in person.stimuli]
        raw.set_annotations(mne.Annotations(starts, 20.0, "sound", extras=extras))
        write(tmp_path, raw)
        for name, audio in study.audio.items():
            (tmp_path / "stimuli").mkdir(exist_ok=True)
            audio.write(tmp_path / "stimuli" / f"{name}.wav")

        read = read_bids(tmp_path, "01", durations=study.envelopes)
        assert (read.name, read.stimuli, read.ch_names) == (person.name, person.stimuli, person.ch_names)
        assert read.sfreq == person.sfreq
        positions = [[channel["loc"][:3] for channel in p.info["chs"]] for p in (read, person)]
        np.testing.assert_allclose(*positions, rtol=0, atol=1e-4)
        for trial, original in zip(read.trials, person.trials, strict=True):
            np.testing.assert_allclose(trial.eeg, original.eeg, rtol=1e-6, atol=1e-11)  # BrainVision: float32
            assert trial.mask.all()

        def gain(p):
            x, z = ([features[name].values for name in p.stimuli] for features in (study.envelopes, study.surprisal))
            options = {"tmin": 0.0, "tmax": 0.4, "alphas": [0.01, 0.1, 1.0], "n_null": 9, "rng": 0}
            return trf.delta_r(x, z, p.eeg, p.sfreq, masks=p.masks, **options).gain

        np.testing.assert_allclose(gain(read), gain(person), rtol=0, atol=1e-3)
        assert gain(person).mean() > 0.005, "nothing to lose"

    def test_some_sounds_only(self, tree):
        tree, _ = tree
        whole, part = read_bids(tree, "01"), read_bids(tree, "01", only=["bach", "ravel"])
        assert part.stimuli == ("bach",) and len(whole.stimuli) == 2
        np.testing.assert_array_equal(part.trials[0].eeg, whole.only("bach").trials[0].eeg)
        assert "1 of 2 trials left out: other sounds" in part.history
        stimuli, _, sounds = survey_bids(tree, "01", only=["bach"])
        assert (stimuli, [path.name for path in sounds]) == (("bach",), ["bach.wav"])
        with pytest.raises(ValueError, match="sub-01: heard none of 'ravel', but 'bach', 'pop/holst'"):
            read_bids(tree, "01", only=["ravel"])

    def test_sidecars(self, tree):
        root, raw = tree
        person = read_bids(root, "sub-01", task="listen")
        assert repr(person) == "Participant(sub-01: 2 trials of 2 sounds, 22 s, 3 channels at 64 Hz, bad: Cz)"
        assert person.stimuli == ("bach", "pop/holst")
        for trial, first, n_times in zip(person.trials, (128, 1280), (640, 768), strict=True):
            np.testing.assert_allclose(trial.eeg, raw.get_data("eeg", start=first, stop=first + n_times).T, atol=1e-11)
            with pytest.raises(ValueError, match="read-only"):
                trial.eeg[0] = 0
        contents = "2 trials by stim_file; 3 EEG channels at 64 Hz, 0 without position; 1 others left out"
        assert person.history[0].startswith(f"sub-01_task-listen_eeg.vhdr: {contents}; mne_bids ")
        assert np.isfinite([channel["loc"][:3] for channel in person.info["chs"]]).all()

    @pytest.mark.filterwarnings("ignore:.*Estimated head radius")
    @pytest.mark.parametrize(("form", "module"), [("EDF", "edfio"), ("EEGLAB", "eeglabio")])
    def test_other_formats(self, tree, form, module):
        pytest.importorskip(module)
        root, raw = tree
        for file in root.glob("sub-01/eeg/*_eeg.*"):
            file.unlink()
        write(root, raw, form=form)
        edit(root, "events", lambda table: table.assign(duration="n/a"))
        person = read_bids(root, "01")
        assert person.stimuli == ("bach", "pop/holst")
        quantum = 1.1e-4 / 2**16 if form == "EDF" else 1e-10
        np.testing.assert_allclose(person.trials[0].eeg, raw.get_data("eeg", start=128, stop=768).T, atol=quantum)

    def test_an_edf_file_without_units_has_those_of_channels_tsv(self, tree):
        pytest.importorskip("edfio")
        root, raw = tree
        for file in root.glob("sub-01/eeg/*_eeg.*"):
            file.unlink()
        file = write(root, raw, form="EDF").update(extension=".edf", suffix="eeg").fpath
        edit(root, "events", lambda table: table.assign(duration="n/a"))
        header = file.read_bytes()
        n_signals = int(header[252:256])
        unit = slice(256 + 96 * n_signals, 256 + 104 * n_signals)
        assert header[unit].split() == [b"uV"] * n_signals or header[unit].strip(), header[unit]
        file.write_bytes(header[: unit.start] + b" " * (8 * n_signals) + header[unit.stop :])
        person = read_bids(root, "01")
        np.testing.assert_allclose(person.trials[0].eeg, raw.get_data("eeg", start=128, stop=768).T, atol=1e-8)
        assert any("µV by channels.tsv, as the file names no unit" in note for note in person.history)

    def test_bad_stretches_are_masked(self, tmp_path, rng):
        write(tmp_path, recording(rng, [*TWO, (5.0, 1.0, "BAD_moved", "n/a")]))
        sounds = {"bach": "bach.wav", "holst": "holst.wav"}
        sounds = lambda event: {"bach.wav": "bach", "pop/holst.wav": "holst"}.get(event["stim_file"])  # noqa: E731
        person = read_bids(tmp_path, "01", sounds=sounds)
        np.testing.assert_array_equal(np.flatnonzero(~person.trials[0].mask), np.arange(192, 257))
        assert person.trials[1].mask.all()
        assert any("masked by BAD_ annotations" in note for note in person.history)

    def test_positions_can_be_given(self, tmp_path, rng):
        write(tmp_path, recording(rng, TWO, montage=None))
        options = {"sounds": {"sound": "tone"}}
        located = [
            np.isfinite([channel["loc"][:3] for channel in read_bids(tmp_path, "01", **options, **more).info["chs"]])
            for more in ({}, {"montage": "biosemi64"})
        ]
        assert not located[0].any() and located[1].all()

    def test_channels_of_file_and_table_meet_by_name(self, tree):
        root, raw = tree
        edit(root, "channels", lambda table: table.iloc[::-1])
        person = read_bids(root, "01")
        assert person.ch_names == ("Pz", "Cz", "Fz") and person.bads == ("Cz",)
        np.testing.assert_allclose(person.trials[0].eeg[:, 2], raw.get_data("Fz", start=128, stop=768)[0], atol=1e-11)

    def test_nan_and_tolerance_reach_the_cut(self, tree):
        root, _ = tree
        with pytest.raises(ValueError, match=r"sub-01, trial 1 \(bach\): .*the recording ends 1.000 s before it does"):
            read_bids(root, "01", sounds=lambda e: ["holst", "bach"][int(e["row"])], durations={"holst": 9, "bach": 21})
        options = {"sounds": {"pop/holst.wav": "bach"}, "durations": {"bach": 20.5}}
        edit(root, "events", lambda table: table.iloc[1:])
        with pytest.raises(ValueError, match=r"pass tolerance="):
            read_bids(root, "01", **options)
        assert read_bids(root, "01", **options, tolerance=0.5).trials[0].n_times == 1280


class TestWhichSound:
    """The rules: what the caller says, the column of sound files, the table of a manifest, an error."""

    def test_relative_to_the_stimuli_then_to_the_root_then_by_bare_name(self, tree):
        root, _ = tree
        assert read_bids(root, "01").stimuli == ("bach", "pop/holst")
        edit(root, "events", lambda t: t.assign(stim_file=["stimuli/bach.wav", "C:\\lab\\holst.wav"]))
        assert read_bids(root, "01").stimuli == ("bach", "pop/holst")
        sound(root / "code" / "task" / "all" / "bach.wav")  # a copy elsewhere does not matter where the path fits
        assert read_bids(root, "01").stimuli == ("bach", "pop/holst")
        (root / "stimuli" / "pop" / "holst.wav").rename(root / "code" / "holst.wav")
        assert read_bids(root, "01").stimuli == ("bach", "code/holst")

    def test_spaces_capitals_and_quotes(self, tree):
        root, _ = tree
        (root / "stimuli" / "bach.wav").rename(root / "stimuli" / "do wah ditty v1.2.WAV")
        edit(root, "events", lambda t: t.assign(stim_file=["do wah ditty v1.2.WAV", "pop/holst.wav"]))
        assert read_bids(root, "01").stimuli == ("do wah ditty v1.2", "pop/holst")
        path = next(root.glob("sub-01/eeg/*_events.tsv"))
        path.write_text(path.read_text().replace("do wah ditty v1.2.WAV", '"do wah ditty v1.2.WAV"'))
        assert read_bids(root, "01").stimuli[0] == "do wah ditty v1.2"

    def test_another_folder_of_sounds(self, tree, tmp_path_factory):
        root, _ = tree
        elsewhere = tmp_path_factory.mktemp("sounds")
        (root / "stimuli").rename(elsewhere / "wav")
        with pytest.raises(ValueError, match="trials without a sound, 2 in all"):
            read_bids(root, "01")
        assert read_bids(root, "01", stimuli=elsewhere / "wav").stimuli == ("bach", "pop/holst")
        assert read_bids(root, "01", stimuli=elsewhere).stimuli == ("wav/bach", "wav/pop/holst")

    def test_every_lost_trial_is_listed(self, tree):
        root, _ = tree
        (root / "stimuli" / "bach.wav").unlink()
        sound(root / "code" / "holst.wav")
        edit(root, "events", lambda t: t.assign(stim_file=["bach.wav", "holst.wav"]))
        with pytest.raises(ValueError) as caught:
            read_bids(root, "01")
        message = str(caught.value)
        for part in (
            "sub-01: trials without a sound, 2 in all",
            "line 2 of events.tsv, 2.000 s: 'bach.wav' is no file there",
            "line 3 of events.tsv, 20.000 s: 'holst.wav' may be",
            "code/holst.wav or ",
            "stimuli/pop/holst.wav",
            f"Searched in {root / 'stimuli'}",
            "`sounds`",
        ):
            assert part in message

    @pytest.mark.parametrize("path", ["../outside.wav", "/outside.wav", "stimuli/../../outside.wav"])
    def test_nothing_outside_the_tree_is_opened(self, tree, path):
        root, _ = tree
        sound(root.parent / "outside.wav")
        edit(root, "events", lambda t: t.assign(stim_file=[str(root.parent) + path if path[0] == "/" else path, "n/a"]))
        with pytest.raises(ValueError, match=r"outside.wav' is no file there"):
            read_bids(root, "01")

    def test_hidden_folders_are_passed_over(self, tree):
        root, _ = tree
        sound(root / ".git" / "annex" / "bach.wav")
        edit(root, "events", lambda t: t.assign(stim_file=["somewhere/bach.wav", "n/a"]))
        assert read_bids(root, "01").stimuli == ("bach",)

    def test_the_caller_comes_first(self, tree):
        root, _ = tree
        assert read_bids(root, "01", sounds={"bach.wav": "first"}, durations={"first": 3}).stimuli == (
            "first",
            "pop/holst",
        )
        assert read_bids(root, "01", sounds={"bach.wav": None}).stimuli == ("pop/holst",)
        assert read_bids(root, "01", sounds=lambda e: "bach" if e["row"] == "1" else None).stimuli == ("bach",)

    def test_a_dictionary_by_trial_type_or_value(self, tree):
        root, _ = tree
        edit(root, "events", lambda t: t.assign(stim_file="n/a", trial_type=["a", "b"], value=["3.0", "4"]))
        assert read_bids(root, "01", sounds={"b": "bach", "a": "pop/holst"}).stimuli == ("pop/holst", "bach")
        assert read_bids(root, "01", sounds={3: "bach", 4: "holst"}).stimuli == ("bach", "holst")
        person = read_bids(root, "01", sounds={"a": "bach", "B": "holst"})
        assert person.stimuli == ("bach",)
        assert "sounds: 'B' started at no event" in person.history

    def test_a_folder_of_sounds_that_is_none(self, tree):
        with pytest.raises(NotADirectoryError, match="stimuli: .*nowhere is no folder. Name the one"):
            read_bids(tree[0], "01", stimuli=tree[0] / "nowhere")

    def test_what_sounds_must_be(self, tree):
        root, _ = tree
        with pytest.raises(TypeError, match="sounds: expected a dictionary or a function, got list"):
            read_bids(root, "01", sounds=["bach", "holst"])
        with pytest.raises(TypeError, match=r"sub-01, line 2 of events.tsv: sounds: expected the name .* got 5"):
            read_bids(root, "01", sounds={"bach.wav": 5})

    def test_another_column(self, tree):
        root, _ = tree
        edit(root, "events", lambda t: t.rename(columns={"stim_file": "song"}))
        with pytest.raises(ValueError, match=r"no column 'stim_file'; 2 events: 'sound' \(2\).*stimulus_column"):
            read_bids(root, "01")
        assert read_bids(root, "01", stimulus_column="song").stimuli == ("bach", "pop/holst")

    def test_the_table_of_a_manifest(self, tree):
        root, _ = tree
        forget_files(root)
        table = root / "trials.tsv"
        rows = ["participant\tses\trun\tstim_id\tonset_s", "*\tn/a\tn/a\tholst\t20", "01\tn/a\tn/a\tbach\t2.0"]
        table.write_text("\n".join([*rows, "02\tn/a\tn/a\tbach\t2"]), encoding="utf-8-sig")
        person = read_bids(root, "01", trials=table)
        assert person.stimuli == ("bach", "holst")
        assert [trial.n_times for trial in person.trials] == [640, 768]
        assert "2 trials by the table of trials" in person.history[0]
        table.write_text("\n".join([*rows, "01\tn/a\tn/a\tn/a\t3.0"]))
        with pytest.raises(
            ValueError, match=r"line 4 of the table of trials: expected a sound in the column 'stim_id'"
        ):
            read_bids(root, "01", trials=table)
        table.write_text("\n".join([*rows, "01\tn/a\tn/a\tbach\tunknown"]))
        with pytest.raises(
            ValueError, match=r"line 4 of the table of trials: onset_s: expected seconds .* got 'unknown'"
        ):
            read_bids(root, "01", trials=table)

    def test_a_name_that_is_too_long(self, tree):
        root, _ = tree
        edit(root, "events", lambda t: t.assign(stim_file=["bach.wav", "x" * 5000]))
        with pytest.raises(
            ValueError, match=r"sub-01, line 3 of events.tsv: expected .*x\.\.\. \(5000 characters\).*Correct the table"
        ):
            read_bids(root, "01")
        forget_files(root)
        table = root / "trials.tsv"
        table.write_text("participant\tstim_id\tonset_s\n*\tbach\t2.0\n*\t" + "x" * 5000 + "\t20.0\n")
        with pytest.raises(ValueError, match=r"sub-01, line 3 of the table of trials: .*x\.\.\. \(5000 characters\)"):
            read_bids(root, "01", trials=table)

    @pytest.mark.parametrize(("file", "table"), [("NFD", "NFC"), ("NFC", "NFD")])
    @pytest.mark.parametrize("folder", ["", "elsewhere/"])
    def test_accents_are_the_same_however_composed(self, tree, file, table, folder):
        root, _ = tree
        name = "Dvořák.wav"
        (root / "stimuli" / "bach.wav").rename(root / "stimuli" / unicodedata.normalize(file, name))
        text = unicodedata.normalize(table, folder + name)
        edit(root, "events", lambda t: t.assign(stim_file=[text, "pop/holst.wav"]))
        assert read_bids(root, "01").stimuli == (unicodedata.normalize("NFC", "Dvořák"), "pop/holst")

    def test_two_files_of_one_name(self, tree):
        root, _ = tree
        sound(root / "stimuli" / "bach.flac")
        edit(root, "events", lambda t: t.assign(stim_file=["bach.wav", "bach.flac"]))
        with pytest.raises(ValueError, match=r"bach.wav and .*bach.flac would both be called 'bach'.*`sounds`"):
            read_bids(root, "01")
        named = {"bach.wav": "bach.wav", "bach.flac": "bach.flac"}
        assert read_bids(root, "01", sounds=named).stimuli == ("bach.wav", "bach.flac")


class TestHowLong:
    def test_given_then_the_file_then_the_table(self, tree):
        root, _ = tree
        envelope = FeatureSeries(np.zeros(320), np.arange(320) / 64, "envelope")
        for durations, expected in (
            (None, [640, 768]),
            ({"bach": 5, "unheard": 3}, [320, 768]),
            ({"bach": envelope, "pop/holst": Audio(np.zeros(8000), 8000)}, [320, 64]),
        ):
            person = read_bids(root, "01", durations=durations)
            assert [trial.n_times for trial in person.trials] == expected
        edit(root, "events", lambda t: t.assign(duration=["8.0", "9.0"], stim_file="n/a"))
        person = read_bids(root, "01", sounds={"sound": "tone"})
        assert [trial.n_times for trial in person.trials] == [512, 512]
        assert any("no sound file of this name; by events.tsv it lasts 8.000 s to 9.000 s" in n for n in person.history)

    def test_nobody_knows(self, tree):
        root, _ = tree
        (root / "stimuli" / "bach.wav").write_bytes(b"no sound at all")
        with pytest.raises(
            ValueError, match=r"how long do these sounds last\?\n  'bach': .*bach.wav cannot be read as"
        ):
            read_bids(root, "01")
        (root / "stimuli" / "bach.wav").unlink()
        (root / "stimuli" / "bach.wav").symlink_to(root / ".git" / "annex" / "nowhere.wav")
        with pytest.raises(ValueError, match=r"'bach': .*bach.wav is a link to a file that is not here.*datalad get"):
            read_bids(root, "01")
        assert read_bids(root, "01", durations={"bach": 10}).stimuli == ("bach", "pop/holst")

    def test_wrong_durations(self, tree):
        root, _ = tree
        notes = FeatureSeries([1.0, 2.0, 1.0], [0.0, 1.0, 1.5], "notes")
        for durations, error, message in (
            ([10.0], TypeError, "durations: expected a dictionary from sound to seconds, got list"),
            ({"bach": -1}, ValueError, r"durations\['bach'\]: expected a finite positive number of seconds"),
            ({"bach": notes}, ValueError, r"durations\['bach'\]: irregular times do not tell"),
        ):
            with pytest.raises(error, match=message):
                read_bids(root, "01", durations=durations)

    def test_a_table_that_contradicts_the_file_is_told(self, tree):
        root, _ = tree
        edit(root, "events", lambda t: t.assign(duration=["10.05", "30.0"]))
        with pytest.warns(UserWarning, match=r"believed: pop/holst 30.00 s \(file 12.00 s\). Are they") as caught:
            person = read_bids(root, "01")
        assert caught[0].filename == __file__
        assert [trial.n_times for trial in person.trials] == [640, 768]
        assert any("pop/holst 30.00 s" in note for note in person.history)

    def test_no_eeg_stands_in_two_trials(self, tree):
        """Events that mark the end of a sound, with its name, look like a second start."""
        root, _ = tree
        edit(
            root,
            "events",
            lambda t: pd.concat([t, t.iloc[:1].assign(onset="12.0", trial_type="end")]).sort_values("onset"),
        )
        with pytest.raises(
            ValueError, match=r"pop/holst starts at 20.000 s, before bach ends \(22.000 s\).*mark ends too"
        ):
            read_bids(root, "01")
        person = read_bids(root, "01", sounds={"end": None, "bach.wav": "bach"})
        assert person.stimuli == ("bach", "pop/holst")

    def test_an_interruption_inside_a_sound(self, tree):
        root, _ = tree
        cuts = lambda t: pd.concat([t, t.iloc[:1].assign(onset="6.0", trial_type="boundary", stim_file="n/a")])  # noqa: E731
        edit(root, "events", cuts)
        with pytest.raises(ValueError, match=r"interrupted at 6.000 s, within bach, which starts at 2.000 s"):
            read_bids(root, "01")

    @pytest.mark.parametrize("kind", ["BAD boundary", "EDGE boundary", "New Segment/"])
    def test_interruptions_by_other_names(self, tree, kind):
        root, _ = tree
        edit(
            root,
            "events",
            lambda t: pd.concat([t, t.iloc[:1].assign(onset="6.0", trial_type=kind, stim_file="n/a", duration="0")]),
        )
        with pytest.raises(ValueError, match=r"interrupted at 6.000 s, within bach, which starts at 2.000 s"):
            read_bids(root, "01")

    @pytest.mark.parametrize("kind", ["New Segment/", "boundary"])
    def test_an_interruption_that_only_the_file_knows(self, tree, kind):
        root, _ = tree
        mark_in_file(root, kind, 6.0)
        with pytest.raises(ValueError, match=r"interrupted at 6.000 s, within bach, which starts at 2.000 s"):
            read_bids(root, "01")
        read_bids(root, "01", sounds={"bach.wav": None})

    @pytest.mark.parametrize("kind", ["BAD_moved", "Comment/BAD_moved", "Comment/bad"])
    def test_a_bad_stretch_in_the_table_of_events(self, tree, kind):
        """Converters of BrainVision files keep the type before the comment."""
        root, _ = tree
        marked = {"onset": "5.0", "trial_type": kind, "stim_file": "n/a", "duration": "1.0"}
        edit(root, "events", lambda t: pd.concat([t, t.iloc[:1].assign(**marked)]))
        person = read_bids(root, "01")
        np.testing.assert_array_equal(np.flatnonzero(~person.trials[0].mask), np.arange(192, 257))
        edit(root, "events", lambda t: t.replace({"duration": {"1.0": "-1.0"}}))
        with pytest.raises(ValueError, match=f"duration: expected 0 seconds or more for '{kind}'"):
            read_bids(root, "01")

    def test_a_bad_stretch_that_only_the_file_knows(self, tree):
        root, _ = tree
        mark_in_file(root, "BAD_moved", 5.0, 1.0)
        person = read_bids(root, "01")
        np.testing.assert_array_equal(np.flatnonzero(~person.trials[0].mask), np.arange(192, 257))
        assert person.trials[1].mask.all()

    def test_a_bad_stretch_that_ends_before_it_starts(self, tree):
        root, _ = tree
        edit(
            root,
            "events",
            lambda t: pd.concat([t, t.iloc[:1].assign(trial_type="BAD_x", stim_file="n/a", duration="-1.5")]),
        )
        message = r"sub-01, line 4 of events.tsv: duration: expected 0 seconds or more for 'BAD_x', got '-1.5'. Give"
        with pytest.raises(ValueError, match=message):
            read_bids(root, "01")


class TestQuirks:
    """Published data sets, in small."""

    def test_notes_between_the_sounds(self, tree):
        """ds005876: rows noteOnset have no stim_file."""
        root, _ = tree
        note = {"trial_type": "noteOnset", "stim_file": "n/a", "duration": "0"}
        edit(root, "events", lambda t: pd.concat([t, t.assign(onset=["3.1", "4.1"], **note)]).iloc[[0, 2, 3, 1]])
        assert read_bids(root, "01").stimuli == ("bach", "pop/holst")

    def test_every_stim_file_empty(self, tmp_path, rng):
        """ds003774: one session per song, and the song is nowhere named."""
        for session in ("02", "01", "10"):
            events = [(1.0, 0.0, "stm", "n/a"), (25.0, 0.0, "fixn", "n/a")]
            write(tmp_path, recording(rng, events), session=session, run="1")
        with pytest.raises(ValueError, match=r"ses-01, run-1: stim_file is always n/a; 2 events: 'stm' \(1\), 'fixn'"):
            read_bids(tmp_path, "01")
        person = read_bids(
            tmp_path,
            "01",
            sounds=lambda event: f"song {event['session']}" if event["trial_type"] == "stm" else None,
            durations={f"song {session}": 20 for session in ("01", "02", "10")},
        )
        assert person.stimuli == ("song 01", "song 02", "song 10")
        assert person.trials[0].n_times == 20 * 64

    def test_no_events_at_all(self, tmp_path, rng):
        """ds004408: each run is one sound, from its first sample."""
        for run in ("01", "02"):
            raw = recording(rng, [], 12.0)
            write(tmp_path, raw, run=run)
            sound(tmp_path / "stimuli" / f"audio{run}.wav")
            (tmp_path / "stimuli" / f"audio{run}.TextGrid").write_text("words")
        for path in tmp_path.glob("sub-01/eeg/*_events.*"):
            path.unlink()
        with pytest.raises(ValueError, match=r"run-01: no events.tsv. If it is one sound .* sounds=\{'01': 'name of"):
            read_bids(tmp_path, "01")
        for sounds in ({"01": "audio01", "02": "audio02"}, {1: "audio01", 2: "audio02"}, lambda e: f"audio{e['run']}"):
            person = read_bids(tmp_path, "01", sounds=sounds)
            assert person.stimuli == ("audio01", "audio02")
            assert [trial.n_times for trial in person.trials] == [640, 640]
        np.testing.assert_allclose(person.trials[1].eeg, raw.get_data("eeg", stop=640).T, atol=1e-11)

    def test_some_listeners_have_runs(self, tmp_path, rng):
        """ds004356: paths below stimuli/, and two recordings for some."""
        events = [(2.0, 0.0, "stim", "click/click000.wav"), (15.0, 0.0, "stim", "acoustic/acoustic000.wav")]
        for run in ("01", "02"):
            write(tmp_path, recording(rng, events), run=run)
        for name in ("click/click000", "acoustic/acoustic000"):
            sound(tmp_path / "stimuli" / f"{name}.wav")
        person = read_bids(tmp_path, "01")
        assert person.stimuli == ("click/click000", "acoustic/acoustic000") * 2
        assert read_bids(tmp_path, "01", run=2).stimuli == ("click/click000", "acoustic/acoustic000")

    def test_a_table_of_another_hand(self, tree):
        """Byte order mark, carriage returns, capitals and spaces around n/a; and a decimal comma, which is refused."""
        root, _ = tree
        path = next(root.glob("sub-01/eeg/*_events.tsv"))
        rows = path.read_text().splitlines()
        path.write_bytes("\r\n".join([*rows, "30.0\tn/a\tsound\t2\t1920\t N/A "]).encode("utf-8-sig"))
        assert read_bids(root, "01").stimuli == ("bach", "pop/holst")
        path.write_text("\n".join([rows[0], rows[1], rows[2].replace("20.0", "20,0")]))
        with pytest.raises(
            ValueError, match=r"line 3 of events.tsv: onset: expected seconds with a decimal point, got '20,0'"
        ):
            read_bids(root, "01")
        path.write_text("\n".join([rows[0], rows[1] + "\tmore"]))
        with pytest.raises(ValueError, match=r"events.tsv, line 2: more cells than columns"):
            read_bids(root, "01")
        path.write_text("onset\tstim_file\n2.0\tbach.wav")
        with pytest.raises(ValueError, match=r"events.tsv: BIDS has columns onset and duration, got onset, stim_file"):
            read_bids(root, "01")
        path.write_text(rows[0])
        with pytest.raises(ValueError, match=r"sub-01: events.tsv has no rows"):
            read_bids(root, "01")
        path.write_bytes(rows[0].encode() + b"\n2.0\tn/a\t\xe9\t1\t1\tbach.wav")
        with pytest.raises(ValueError, match=r"events.tsv: expected UTF-8 text"):
            read_bids(root, "01")


class TestSeveral:
    def runs(self, root, rng, **changes):
        sound(root / "stimuli" / "bach.wav")
        events = [(1.0, 0.0, "stim", "bach.wav")]
        first = recording(rng, events, 12.0, bads=["Pz"])
        second = recording(rng, events, 12.0, **changes)
        write(root, first, run="01")
        write(root, second, run="02")
        return first, second

    def test_other_order_and_bad_channels(self, tmp_path, rng):
        first, second = self.runs(tmp_path, rng, ch_names=["Pz", "EOG1", "Fz", "Cz"], bads=["Cz"])
        person = read_bids(tmp_path, "01")
        assert (person.ch_names, person.bads) == (("Fz", "Cz", "Pz"), ("Cz", "Pz"))
        for trial, raw in zip(person.trials, (first, second), strict=True):
            data = raw.get_data(["Fz", "Cz", "Pz"], start=64, stop=704)
            np.testing.assert_allclose(trial.eeg, data.T, atol=1e-11)
        assert "bad in some recordings, so marked as bad in all: Cz, Pz" in person.history
        assert read_bids(tmp_path, "01", run="02").bads == ("Cz",)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"sfreq": 128.0}, "sub-01, run-02 has 128 Hz, sub-01, run-01 64 Hz. Read them apart"),
            ({"ch_names": ["Fz", "Cz", "Oz", "EOG1"]}, "have different EEG channels: Oz, Pz in one of them only"),
        ],
    )
    def test_another_device(self, tmp_path, rng, changes, message):
        self.runs(tmp_path, rng, **changes)
        with pytest.raises(ValueError, match=message):
            read_bids(tmp_path, "01")
        for run in ("run-01", 2):
            assert len(read_bids(tmp_path, "01", run=run).trials) == 1

    def test_other_positions_are_warned_of_at_the_call(self, tmp_path, rng):
        sound(tmp_path / "stimuli" / "bach.wav")
        for session, montage in (("01", "biosemi64"), ("02", None)):
            write(tmp_path, recording(rng, [(1.0, 0.0, "stim", "bach.wav")], 12.0, montage=montage), session=session)
        message = r"ses-01 and sub-01, ses-02 differ: positions of Fz, Cz, Pz. One model is fitted .* with `session` or"
        with pytest.warns(UserWarning, match=message) as caught:
            assert len(read_bids(tmp_path, "01").trials) == 2
        assert [one.filename for one in caught] == [__file__]
        read_bids(tmp_path, "01", montage="biosemi64")

    def test_a_recording_without_sounds_is_told(self, tmp_path, rng):
        self.runs(tmp_path, rng)
        write(tmp_path, recording(rng, [(1.0, 0.0, "rest", "n/a")], 12.0), run="10")
        person = read_bids(tmp_path, "01")
        assert len(person.trials) == 2
        assert "sub-01_task-listen_run-10_eeg.vhdr: left out, no event starts a sound" in person.history

    def test_sessions_and_tasks(self, tmp_path, rng):
        sound(tmp_path / "stimuli" / "bach.wav")
        for session, task in (("a", "listen"), ("b", "listen"), ("b", "imagine")):
            write(tmp_path, recording(rng, [(1.0, 0.0, "stim", "bach.wav")], 12.0), session=session, task=task)
        with pytest.raises(
            ValueError, match="sub-01: recordings of several tasks. Choose one: task='imagine' or 'listen'"
        ):
            read_bids(tmp_path, "01")
        assert len(read_bids(tmp_path, "01", task="listen").trials) == 2
        assert len(read_bids(tmp_path, "01", task="listen", session="ses-b").trials) == 1
        with pytest.raises(ValueError, match="sub-01: session: expected one of 'a', 'b', got 'c'"):
            read_bids(tmp_path, "01", task="listen", session="c")
        with pytest.raises(ValueError, match="sub-01: run: expected none, the files name none, got '01'"):
            read_bids(tmp_path, "01", task="listen", run=1)

    def test_two_versions_of_a_recording(self, tree):
        root, raw = tree
        write(root, raw, acquisition="raw")
        with pytest.raises(ValueError, match=r"may be versions of one recording, .* Choose with `acquisition`"):
            read_bids(root, "01")
        edit(root, "events", lambda t: t.assign(duration="n/a"))
        assert len(read_bids(root, "01", acquisition="raw").trials) == 2


class TestErrors:
    def test_who_and_where(self, tree):
        root, _ = tree
        (root / "sub-02").mkdir()
        for subject, error, message in (
            ("03", FileNotFoundError, "expected the folder sub-03, got sub-01, sub-02. Is this the root"),
            ("02", FileNotFoundError, r"sub-02: no EEG in it \(\*_eeg.vhdr"),
            (1, ValueError, "subject: expected a label of letters and digits, such as '01', got 1"),
            ("../01", ValueError, "subject: expected a label of letters and digits"),
        ):
            with pytest.raises(error, match=message):
                read_bids(root, subject)
        with pytest.raises(FileNotFoundError, match="expected the folder sub-01, got no folder of a subject"):
            read_bids(root / "sub-01", "01")

    def test_a_file_in_the_wrong_folder(self, tree):
        root, _ = tree
        (root / "sub-01" / "eeg").rename(root / "sub-01" / "x")
        (root / "sub-01" / "ses-1").mkdir()
        (root / "sub-01" / "x").rename(root / "sub-01" / "ses-1" / "eeg")
        with pytest.raises(ValueError, match="its name does not fit its folder; by its name it would be"):
            read_bids(root, "01")

    def test_a_recording_that_was_not_fetched(self, tree):
        root, _ = tree
        header = next(root.glob("sub-01/eeg/*_eeg.vhdr"))
        header.unlink()
        header.symlink_to(root / ".git" / "annex" / "nowhere.vhdr")
        with pytest.raises(FileNotFoundError, match=r"_eeg.vhdr: a link to a file that is not here.*datalad get"):
            read_bids(root, "01")

    def test_a_damaged_recording_is_named(self, tree):
        root, _ = tree
        next(root.glob("sub-01/eeg/*_eeg.vhdr")).write_text("nothing")
        with pytest.raises(ValueError, match=r"sub-01: .*_eeg.vhdr cannot be read: "):
            read_bids(root, "01")

    def test_channels_that_do_not_match(self, tree):
        root, _ = tree
        edit(root, "channels", lambda t: t.replace({"name": {"Pz": "POz"}}))
        with pytest.raises(ValueError, match=r"_eeg.vhdr cannot be read: .*POz"):
            read_bids(root, "01")

    def test_only_what_matters_is_passed_on(self, tree):
        """No participants.tsv, no scans.tsv: nothing to tell. No table of channels: EOG would be taken for EEG."""
        root, _ = tree
        for pattern in ("participants.*", "dataset_description.json", "README", "sub-01/*_scans.tsv", "**/*_eeg.json"):
            for path in root.glob(pattern):
                path.unlink()
        read_bids(root, "01")  # warnings are errors here
        next(root.glob("sub-01/eeg/*_channels.tsv")).unlink()
        with pytest.warns(UserWarning, match=r"sub-01: Did not find any channels.tsv") as caught:
            person = read_bids(root, "01")
        assert [one.filename for one in caught] == [__file__]
        assert person.ch_names == tuple(NAMES)
        assert any("Did not find any channels.tsv" in note for note in person.history)


@pytest.mark.skipif(not TINY.is_dir(), reason="the data set lies beside the repository")
def test_a_real_recording():
    options = {"sounds": {"show_stimulus": "picture"}, "durations": {"picture": 0.5}}
    with pytest.warns(UserWarning, match=r"sub-01: no electrode position .*_electrodes.tsv or .*`montage` gives them"):
        read_bids(TINY, "01", **options)
    person = read_bids(TINY, "01", **options, montage="colin27_1005")
    raw = mne.io.read_raw_brainvision(next(TINY.glob("**/*_eeg.vhdr")), verbose="error")
    assert (len(person.ch_names), person.sfreq, person.bads) == (64, 5000.0, ("PO10",))
    assert person.ch_names[:3] == ("Fp1", "Fp2", "F7")
    np.testing.assert_allclose(person.trials[0].eeg, raw.get_data(list(person.ch_names), 1000, 3500).T, rtol=1e-12)
    positions = np.array([channel["loc"][:3] for channel in person.info["chs"]])
    assert (np.linalg.norm(positions, axis=1) > 0.05).all()


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    baseline, added = music(rng)
    person = listener(rng, baseline, added, bads=["Oz"], name="sub-01")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "y: channels")  # the bad one
        return cortical_tracking(person, baseline, added, **EASY)


class TestDerivative:
    def test_everything_comes_back(self, result, tmp_path):
        path = to_bids_derivative(result, tmp_path, task="listen", session="ses-02")
        assert path == tmp_path.joinpath(
            "derivatives", "eegic", "sub-01", "ses-02", "eeg", "sub-01_ses-02_task-listen_desc-ic_trf.npz"
        )
        again = Tracking.load(path)
        np.testing.assert_array_equal(again.delta_r, result.delta_r)
        np.testing.assert_array_equal(again.null, result.null)
        assert (again.participant, again.settings, again.notes) == (result.participant, result.settings, result.notes)

    @pytest.mark.parametrize(("table", "by"), [("scores", "channel"), ("trials", "trial")])
    def test_tables_can_be_read_without_eegic(self, result, tmp_path, table, by):
        path = to_bids_derivative(result, tmp_path)
        stem = path.name.removesuffix("_trf.npz")
        assert stem == "sub-01_desc-ic"
        text = path.with_name(f"{stem}_{table}.tsv").read_text()
        assert "n/a" in text and "nan" not in text, "bad channels have no score"
        frame = pd.read_csv(path.with_name(f"{stem}_{table}.tsv"), sep="\t", na_values="n/a")
        pd.testing.assert_frame_equal(frame, result.to_frame(by), check_dtype=False, rtol=1e-12)
        sidecar = json.loads(path.with_name(f"{stem}_{table}.json").read_text(encoding="utf-8"))
        for column in frame:
            assert sidecar[column]["Description"].endswith(".")
            assert ("Units" in sidecar[column]) == (frame[column].dtype.kind == "f")
        assert sidecar["Models"] == {"ic": ["ic"]} and sidecar["Baseline"] == ["envelope"]
        assert sidecar["Settings"]["tmax"] == OPTIONS["tmax"] and "numpy" in sidecar["Versions"]

    def test_every_column_is_explained(self, tmp_path):
        """Also those that only repeated sounds bring."""
        rng = np.random.default_rng(1)
        baseline, added = music(rng, "abcde")
        twice = cortical_tracking(listener(rng, baseline, added, "abcde" * 2, name="01"), baseline, added, **EASY)
        path = to_bids_derivative(twice, tmp_path)
        assert path.name == "sub-01_desc-ic_trf.npz"
        sidecar = json.loads(path.with_name("sub-01_desc-ic_scores.json").read_text())
        assert {"ceiling", "share"} <= set(sidecar)

    def test_the_data_set_is_described(self, result, tmp_path):
        source = {"Name": "Songs", "BIDSVersion": "1.8.0", "DatasetDOI": "doi:10.1/2"}
        (tmp_path / "dataset_description.json").write_text(json.dumps(source), encoding="utf-8-sig")
        to_bids_derivative(result, tmp_path)
        path = tmp_path / "derivatives" / "eegic" / "dataset_description.json"
        description = json.loads(path.read_text())
        assert description["DatasetType"] == "derivative" and description["BIDSVersion"] == "1.8.0"
        assert description["SourceDatasets"] == [{"URL": "../..", "DOI": "doi:10.1/2"}]
        (own,) = description["GeneratedBy"]
        assert own == {"Name": "eegic", "Version": result.versions["eegic"]}
        description["GeneratedBy"][0]["Version"] = "0.0.1"
        description["Authors"] = ["somebody"]
        path.write_text(json.dumps(description))
        to_bids_derivative(result, tmp_path, desc="again")
        description = json.loads(path.read_text())
        assert [one["Version"] for one in description["GeneratedBy"]] == ["0.0.1", result.versions["eegic"]]
        assert description["Authors"] == ["somebody"]
        path.write_text("{broken")
        with pytest.raises(ValueError, match="dataset_description.json: cannot be read as JSON"):
            to_bids_derivative(result, tmp_path, desc="third")

    def test_nothing_is_overwritten_unasked(self, result, tmp_path):
        path = to_bids_derivative(result, tmp_path)
        before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        with pytest.raises(
            FileExistsError, match=r"sub-01_desc-ic_trf.npz exists. Pass overwrite=True .* another `desc`"
        ):
            to_bids_derivative(result, tmp_path)
        path.unlink()
        with pytest.raises(FileExistsError, match=r"sub-01_desc-ic_scores.tsv exists"):
            to_bids_derivative(result, tmp_path)
        other = replace(result, r_full=result.r_full + 0.1)
        assert to_bids_derivative(other, tmp_path, overwrite=True) == path
        after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
        assert set(after) == set(before), "drafts were left behind"
        changed = {file.name for file in before if after[file] != before[file]}
        assert {"sub-01_desc-ic_trf.npz", "sub-01_desc-ic_scores.tsv", "sub-01_desc-ic_trials.tsv"} <= changed

    def test_labels(self, result, tmp_path):
        many = replace(result, models={"ic, noise 0.3": ("ic",)}, kernels={"ic, noise 0.3": result.kernels["ic"]})
        assert to_bids_derivative(many, tmp_path).name == "sub-01_desc-icnoise03_trf.npz"
        for changes, message in (
            (
                {"task": "two words"},
                r"task-: BIDS expects a label of letters and digits, got 'two words'. Write `task=",
            ),
            ({"session": "../x"}, "ses-: BIDS expects"),
            ({"desc": "a_b"}, "desc-: BIDS expects a label of letters and digits, got 'a_b'"),
        ):
            with pytest.raises(ValueError, match=message):
                to_bids_derivative(result, tmp_path, **changes)
        with pytest.raises(ValueError, match=r"sub-: BIDS expects .* got 'P_07'. Write `dataclasses.replace"):
            to_bids_derivative(replace(result, participant="P_07"), tmp_path)

    def test_names_that_are_too_long_for_files(self, result, tmp_path):
        name = "surprisal of the melody " * 12
        many = replace(result, models={name: ("ic",)}, kernels={name: result.kernels["ic"]})
        with pytest.raises(
            ValueError, match=r"desc-: the names of the files .* \d{3} characters, of .* `desc='surprisal"
        ):
            to_bids_derivative(many, tmp_path)
        assert to_bids_derivative(many, tmp_path, desc="surprisal").exists()
        with pytest.raises(ValueError, match=r"task-: .* Shorten the label of 240 characters: `task='listening'`"):
            to_bids_derivative(result, tmp_path, task="x" * 240)

    def test_wrong_arguments(self, result, tmp_path):
        with pytest.raises(TypeError, match="result: expected a Tracking, got DataFrame"):
            to_bids_derivative(result.to_frame(), tmp_path)
        with pytest.raises(NotADirectoryError, match="nowhere: expected the folder of a BIDS data set"):
            to_bids_derivative(result, tmp_path / "nowhere")
        assert os.listdir(tmp_path) == []
