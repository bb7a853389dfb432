"""A simulated study on disk is read back as what it is, whatever the format."""

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path

import mne
import numpy as np
import pytest

from eegic import FeatureSeries, pair_features, read_audio, read_bids, read_cnd, read_participant
from eegic.datasets import simulate_study, write_study, written

FORMATS = ["files", "bids", "cnd"]


@pytest.fixture(scope="module")
def study():
    return simulate_study(2, 3, 6, n_channels=4, n_presentations=2, progress=False, rng=0)


@pytest.fixture(scope="module")
def folders(study, tmp_path_factory):
    """Where the study lies in each format."""
    pytest.importorskip("mne_bids")
    pytest.importorskip("pybv")
    root = tmp_path_factory.mktemp("a study, ü")
    return {form: write_study(study, root / "new" / form, format=form) for form in FORMATS}


def read(folder, form, study, number):
    name = f"sub-{number:02d}"
    if form == "bids":
        return read_bids(folder, f"{number:02d}")
    if form == "cnd":
        return read_cnd(folder / "dataCND", number, unit="uV").participant
    raw = folder / "raw"
    return read_participant(raw / f"{name}_eeg.fif", raw / f"{name}_events.tsv", study.audio)


def files(folder):
    """Content by path."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class TestRoundTrip:
    @pytest.mark.parametrize("number", [1, 2])
    @pytest.mark.parametrize("form", FORMATS)
    def test_participants_come_back(self, study, folders, form, number):
        person, found = study.participants[number - 1], read(folders[form], form, study, number)
        assert (found.name, found.stimuli, found.ch_names) == (person.name, person.stimuli, person.ch_names)
        assert found.sfreq == person.sfreq
        tolerance = {"files": {"rtol": 0}, "bids": {"rtol": 1e-6, "atol": 1e-11}, "cnd": {"rtol": 1e-15}}[form]
        for trial, original in zip(found.trials, person.trials, strict=True):
            np.testing.assert_allclose(trial.eeg, original.eeg, **tolerance)
            assert trial.mask.all()
        places = [[channel["loc"][:3] for channel in one.info["chs"]] for one in (found, person)]
        np.testing.assert_allclose(*places, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("form", FORMATS)
    def test_sounds_and_features_come_back(self, study, folders, form):
        for name in study.stimuli:
            sound = read_audio(folders[form] / "stimuli" / f"{name}.wav")
            np.testing.assert_allclose(sound.samples, study.audio[name].samples, rtol=0, atol=2.0**-23)
            notes = np.round(study.melodies[name].onsets * 64)
            bits, ones = (
                FeatureSeries.load(folders[form] / "features" / feature / f"{name}.npz")
                for feature in ("surprisal", "onset")
            )
            assert (bits.names, ones.names) == (("surprisal",), ("onset",))
            np.testing.assert_array_equal(np.flatnonzero(ones.values), notes)
            np.testing.assert_allclose(bits.values[notes.astype(int)], study.melodies[name].surprisal().values)
            assert np.count_nonzero(bits.values) == len(notes)

    def test_features_go_with_the_eeg_as_they_are(self, study, folders):
        person = read(folders["files"], "files", study, 1)
        stored = folders["files"] / "features"
        onsets, surprisal = (
            {name: FeatureSeries.load(stored / kind / f"{name}.npz") for name in study.stimuli}
            for kind in ("onset", "surprisal")
        )
        pairs = pair_features(person, onsets, surprisal)
        truth = pair_features(study.participants[0], study.onsets, study.surprisal)
        for field in ("baseline", "added", "eeg", "masks"):
            for one, other in zip(getattr(pairs, field), getattr(truth, field), strict=True):
                np.testing.assert_array_equal(one, other)

    def test_cnd_holds_the_features_too(self, study, folders):
        found = read_cnd(folders["cnd"] / "dataCND", 1, unit="uV")
        for name in study.stimuli:
            series = found.features[name]
            for feature in (study.envelopes, study.onsets, study.surprisal):
                [label] = feature[name].names
                np.testing.assert_allclose(series.select(label).values, feature[name].values)


class TestRecording:
    def test_a_second_without_steps_lies_around_each_trial(self, study, folders):
        raw = mne.io.read_raw_fif(folders["files"] / "raw" / "sub-01_eeg.fif", verbose="error")
        eeg, person = raw.get_data().T, study.participants[0]
        assert len(eeg) == 64 + 6 * (384 + 64)
        inside = np.abs(np.concatenate([np.diff(one, axis=0) for one in person.eeg])).max()
        for start in range(0, len(eeg), 384 + 64):
            gap = eeg[max(0, start - 1) : start + 65]
            assert np.abs(np.diff(gap, axis=0)).max() <= 1.5 * inside, "a step"
            assert 0.2 < gap.std() / np.concatenate(person.eeg).std() < 2, "silence"

    def test_events_say_what_was_heard(self, study, folders):
        lines = (folders["files"] / "raw" / "sub-02_events.tsv").read_bytes().decode().split("\n")
        onsets = [f"{1 + 7 * i:.1f}\t{name}" for i, name in enumerate(study.participants[1].stimuli)]
        assert lines == ["onset\tstimulus", *onsets, ""]

    def test_masks_are_not_lost(self, study, tmp_path):
        first, *others = study.participants
        mask = np.arange(384) > 9
        trials = (dataclasses.replace(first.trials[0], mask=mask), *first.trials[1:])
        masked = dataclasses.replace(study, participants=(dataclasses.replace(first, trials=trials), *others))
        with pytest.raises(
            ValueError, match="sub-01: parts are masked, which this format has no place for. Use format"
        ):
            write_study(masked, tmp_path / "a")
        assert not any((tmp_path / "a").iterdir())
        found = read(write_study(masked, tmp_path / "b", format="cnd"), "cnd", study, 1)
        np.testing.assert_array_equal(found.masks[0], mask)


class TestFolder:
    @pytest.mark.parametrize("form", FORMATS)
    def test_the_same_study_gives_the_same_bytes(self, study, folders, form, tmp_path):
        again = simulate_study(2, 3, 6, n_channels=4, n_presentations=2, progress=False, rng=0)
        first, second = files(folders[form]), files(write_study(again, tmp_path, format=form))
        assert first.keys() == second.keys()
        header = 116 if form == "cnd" else 0  # of .mat files: the time of writing
        for name in first:
            start = header if name.endswith(".mat") else 0
            assert first[name][start:] == second[name][start:], name

    @pytest.mark.parametrize("form", FORMATS)
    def test_it_says_that_it_is_simulated(self, study, folders, form):
        text = (folders[form] / "README.txt").read_text(encoding="utf-8")
        assert text.startswith("A simulated study: nobody was recorded.\n\n2 participants and 3 melodies of 6 s, each")
        assert "heard 2 times" in text and "seed 0" in text
        for line in text.splitlines():
            place = line.split("  ")[0]
            if "/" in place and " " not in place:
                pattern = place.rstrip("/").replace("NN", "*").replace("NAME", "*").replace("SubN", "Sub*")
                assert list(folders[form].glob(pattern)), f"{place} is nowhere"

    def test_bids_says_so_too(self, folders):
        about = json.loads((folders["bids"] / "dataset_description.json").read_text())
        assert (about["Name"], about["Authors"]) == ("A simulated study: nobody was recorded.", ["eegic"])
        assert [path.name for path in folders["bids"].glob("README*")] == ["README.txt"]
        sidecar = json.loads((folders["bids"] / "sub-01/eeg/sub-01_task-listening_eeg.json").read_text())
        assert sidecar["Manufacturer"] == "none: simulated by eegic"

    def test_overwriting_replaces_the_whole_study_and_nothing_else(self, study, folders, tmp_path):
        folder = tmp_path / "study"
        shutil.copytree(folders["bids"], folder)
        (folder / "results").mkdir()
        (folder / "results" / "mine.txt").write_text("mine")
        with pytest.raises(FileExistsError, match=r"study: holds a simulated study\. .* pass overwrite=True"):
            write_study(study, folder)
        smaller = dataclasses.replace(study, participants=study.participants[:1])
        write_study(smaller, folder, overwrite=True)
        found = files(folder)
        assert found.pop(os.path.join("results", "mine.txt")) == b"mine"
        assert found.keys() == files(folders["files"]).keys() - {f"raw/sub-02_{x}" for x in ("eeg.fif", "events.tsv")}

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_what_is_no_simulated_study_is_never_replaced(self, study, tmp_path, overwrite):
        (tmp_path / "sub-01").mkdir()
        (tmp_path / "README.txt").write_text("Real people were recorded.")
        before = files(tmp_path)
        with pytest.raises(FileExistsError, match="holds no simulated study. Nothing in it is replaced"):
            write_study(study, tmp_path, overwrite=overwrite)
        assert files(tmp_path) == before and (tmp_path / "sub-01").is_dir()

    def test_a_failure_leaves_the_old_study(self, study, folders, tmp_path, monkeypatch):
        folder = tmp_path / "study"
        shutil.copytree(folders["files"], folder)
        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):

            def no_space(*_, **__):
                raise OSError(28, "No space left on device")

            patch.setattr(written, "write_cnd", no_space)
            write_study(study, folder, format="cnd", overwrite=True)
        assert files(folder) == files(folders["files"])

    def test_a_killed_run_does_not_bar_the_next(self, study, tmp_path):
        (tmp_path / ".draft-0123" / "raw").mkdir(parents=True)
        assert write_study(study, str(tmp_path)) == tmp_path


class TestWhatIsRefused:
    def test_arguments(self, study, tmp_path):
        with pytest.raises(TypeError, match=r"study: expected a Study, got Participant\. simulate_study"):
            write_study(study.participants[0], tmp_path)
        with pytest.raises(
            ValueError, match="format: expected one of 'files', 'bids', 'cnd', got 'BIDS'. Did you mean"
        ):
            write_study(study, tmp_path, format="BIDS")
        with pytest.raises(TypeError, match="overwrite: expected True or False, got 'no'"):
            write_study(study, tmp_path, overwrite="no")

    def test_places(self, study, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(NotADirectoryError, match="file: expected a folder to write into, got a file"):
            write_study(study, tmp_path / "file")
        with pytest.raises(NotADirectoryError, match=r"file/study: cannot be written \(Not a directory\). Choose"):
            write_study(study, tmp_path / "file" / "study")

    def test_bids_needs_mne_bids(self, study, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "mne_bids", None)
        with pytest.raises(ImportError, match=r"BIDS needs mne_bids\. Install it with `pip install 'eegic\[io\]'`"):
            write_study(study, tmp_path, format="bids")
        assert not any(Path(tmp_path).iterdir())
