"""A participant in a file: nothing is lost, nothing is pickled, and nothing that does not fit is taken."""

import dataclasses
import json
import os
import zipfile

import mne
import numpy as np
import pytest

from eegic import FeatureSeries, Participant, Tracking, preprocess

NAMES = ["Fz", "Cz", "Pz", "Oz"]


@pytest.fixture
def person(rng):
    """Somebody with everything: names from everywhere, gaps, a bad channel, a digitised head, another reference."""
    eeg = [1e-5 * rng.standard_normal((n, 4)) for n in (300, 200, 250)]
    eeg[1][20:25, 0] = np.nan
    eeg[2][:, 2] = np.nan
    masks = [rng.random(len(one)) > 0.1 for one in eeg]
    points = 0.09 * rng.standard_normal((8, 3))
    montage = mne.channels.make_dig_montage(
        dict(zip(NAMES[:3], points, strict=False)), nasion=points[4], lpa=points[5], rpa=points[6], hsp=points[7:]
    )
    options = {"ch_names": NAMES, "montage": montage, "bads": ["Pz"], "on_nan": "mask", "name": "Jörg / '🎵'\n"}
    built = Participant.from_arrays(
        eeg, ["a/b", "ü.npy", "a/b"], 64.1, masks=masks, history=["first\n\0", ""], **options
    )
    info = built.info.copy()
    with info._unlock():
        info.update(custom_ref_applied=1, highpass=0.5, lowpass=8.0)
    return dataclasses.replace(built, info=info)


def assert_equal(a, b):
    """The same in all that a file keeps, to the last bit."""
    assert (a.name, a.stimuli, a.history) == (b.name, b.stimuli, b.history)
    for one, other in zip(a.trials, b.trials, strict=True):
        assert one.eeg.dtype == other.eeg.dtype == np.float64 and one.mask.dtype == other.mask.dtype == bool
        assert one.eeg.shape == other.eeg.shape and one.eeg.tobytes() == other.eeg.tobytes()
        np.testing.assert_array_equal(one.mask, other.mask)
    assert set(a.info) == set(b.info)
    for key in set(a.info) - {"chs", "dig"}:
        assert a.info[key] == b.info[key], key
    for one, other in zip(a.info["chs"], b.info["chs"], strict=True):
        np.testing.assert_array_equal(one["loc"], other["loc"])
        assert {**one, "loc": 0} == {**other, "loc": 0}
    assert a.info["dig"] == b.info["dig"]


def changed(path, person, change=None, **arrays):
    """Write the file of a participant again, with other arrays (None removes one) and another text."""
    person.save(path)
    with np.load(path) as stored:
        content = {name: stored[name] for name in stored.files} | arrays
    if change is not None:
        content["about"] = np.array(json.dumps(change(json.loads(str(content["about"])))))
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return content


def text(**changes):
    """What changes these entries of the text; None removes one."""
    return lambda about: {name: value for name, value in {**about, **changes}.items() if value is not None}


class TestRoundTrip:
    def test_what_is_saved_is_loaded(self, person, tmp_path):
        person.save(tmp_path / "Jörg 🎵")
        loaded = Participant.load(tmp_path / "Jörg 🎵")
        assert repr(loaded) == repr(person)
        for array in (loaded.trials[0].eeg, loaded.trials[0].mask):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
        assert_equal(loaded, person)

    def test_little_is_enough(self, rng, tmp_path):
        person = Participant.from_arrays([1e-5 * rng.standard_normal((9, 2))], ["a"], 64)
        person.save(tmp_path / "a.npz")
        assert_equal(Participant.load(tmp_path / "a.npz"), person)

    def test_the_loaded_one_can_be_worked_with(self, rng, tmp_path):
        eeg = [1e-5 * rng.standard_normal((2000, 4)) for _ in range(2)]
        person = Participant.from_arrays(eeg, ["a", "b"], 64, ch_names=NAMES, montage="biosemi64", bads=["Oz"])
        person.save(tmp_path / "a.npz")
        options = {"h_freq": 8.0, "sfreq": 32.0}
        assert_equal(*(preprocess(one, **options) for one in (Participant.load(tmp_path / "a.npz"), person)))

    def test_the_same_participant_gives_the_same_bytes(self, person, tmp_path):
        person.save(tmp_path / "a.npz")
        turned = [dataclasses.replace(trial, eeg=np.asfortranarray(trial.eeg)) for trial in person.trials]
        dataclasses.replace(person, trials=turned, info=person.info.copy()).save(tmp_path / "b.npz")
        Participant.load(tmp_path / "a.npz").save(tmp_path / "c.npz")
        written = {(tmp_path / f"{name}.npz").read_bytes() for name in "abc"}
        assert len(written) == 1
        with zipfile.ZipFile(tmp_path / "a.npz") as archive:
            assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "no time of writing"

    def test_anyone_can_read_it_and_nothing_is_packed_in_vain(self, person, tmp_path):
        person.save(tmp_path / "a.npz")
        with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
            np.testing.assert_array_equal(stored["eeg 1"], person.trials[1].eeg)
            about = json.loads(str(stored["about"]))
        assert (about["stimuli"], about["sfreq"]) == (["a/b", "ü.npy", "a/b"], 64.1)
        with zipfile.ZipFile(tmp_path / "a.npz") as archive:
            assert archive.getinfo("eeg 0.npy").compress_type == zipfile.ZIP_STORED

    def test_who_was_recorded_when_is_not_kept(self, person, tmp_path):
        info = person.info.copy()
        with info._unlock():
            info.update(subject_info={"his_id": "Johann"}, experimenter="Sebastian", description="Leipzig")
        dataclasses.replace(person, info=info).save(tmp_path / "a.npz")
        content = (tmp_path / "a.npz").read_bytes()
        for name in ("Johann", "Sebastian", "Leipzig"):
            assert name.encode("utf-32-le") not in content and name.encode() not in content
        assert "first".encode("utf-32-le") in content, "texts would be found"


class TestWhatIsRefused:
    def test_a_part_that_is_missing_is_named(self, person, tmp_path):
        path = tmp_path / "a.npz"
        content = changed(path, person)
        for name in json.loads(str(content["about"])):
            changed(path, person, text(**{name: None}))
            with pytest.raises(
                ValueError, match=rf"a\.npz: damaged, or changed .*'{name}': expected .*, but it is missing\)\. Save"
            ):
                Participant.load(path)
        for name in set(content) - {"about", "schema"}:
            changed(path, person, **{name: None})
            with pytest.raises(ValueError, match=rf"a\.npz: damaged, or changed by hand \(array '{name}' is missing\)"):
                Participant.load(path)

    def test_arrays_that_do_not_fit_each_other(self, person, tmp_path):
        path = tmp_path / "a.npz"
        content = changed(path, person)
        for name in set(content) - {"about", "schema"}:
            for axis in range(content[name].ndim):
                changed(path, person, **{name: np.delete(content[name], -1, axis)})
                with pytest.raises(
                    ValueError, match=r"a\.npz: damaged, or .*array '.*': expected shape \(.*\), got \("
                ):
                    Participant.load(path)
            changed(path, person, **{name: content[name].astype(str)})
            kind = r"real numbers|whole numbers|truth values"
            with pytest.raises(ValueError, match=rf"array '{name}': expected ({kind}), got <U"):
                Participant.load(path)

    @pytest.mark.parametrize(
        ("change", "arrays", "message"),
        [
            (text(stimuli=["a", "b"]), {}, "array 'eeg 2' belongs to nothing"),
            (text(stimuli=["a", "b", ""]), {}, "about, 'stimuli': expected the name of a sound per trial, got "),
            (text(stimuli=[]), {}, r"about, 'stimuli': expected the name of a sound per trial, got \[\]"),
            (text(name=3), {}, "about, 'name': expected a text, got 3"),
            (text(history="filtered"), {}, "about, 'history': expected texts, got \"filtered\""),
            (text(bads=["Xz"]), {}, "about, 'bads': 'Xz' is no channel"),
            (
                text(bads=[]),
                {},
                "array 'eeg 2': expected numbers where the mask says so, got NaN or infinity at sample",
            ),
            (text(ch_names=NAMES[:3]), {}, r"array 'eeg 0': expected shape \(n_times 0 = 300, n_channels = 3\), got"),
            (text(sfreq=-1), {}, "about, 'sfreq': expected a positive number, got -1"),
            (text(), {"eeg 0": np.zeros((300, 4), np.float32)}, "array 'eeg 0': expected float64, got float32"),
            (text(), {"mask 1": np.ones(200, bool)}, "array 'eeg 1': expected numbers .* at sample 20"),
            (text(), {"mask 1": np.ones(200, int)}, "array 'mask 1': expected truth values, got int64"),
            (text(), {"eeg 0": np.zeros((0, 4)), "mask 0": np.zeros(0, bool)}, "array 'eeg 0': expected shape"),
            (text(), {"mine": np.zeros(3)}, "array 'mine' belongs to nothing"),
            (lambda about: 3, {}, "about: expected an object of JSON, got int"),
        ],
    )
    def test_what_was_changed_by_hand(self, person, tmp_path, change, arrays, message):
        changed(tmp_path / "a.npz", person, change, **arrays)
        with pytest.raises(ValueError, match=rf"a\.npz: damaged, or changed by hand \({message}"):
            Participant.load(tmp_path / "a.npz")

    def test_no_damage_goes_unnoticed(self, person, tmp_path, rng):
        """Also in EEG that is not compressed: any byte may flip, any tail may be lost."""
        path = tmp_path / "a.npz"
        person.save(path)
        whole = path.read_bytes()
        flipped = [bytearray(whole) for _ in range(150)]
        for damaged in flipped:
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        refused = 0
        for damaged in [*flipped, *(whole[:n] for n in range(0, len(whole), len(whole) // 20))]:
            path.write_bytes(damaged)
            try:
                loaded = Participant.load(path)
            except ValueError as error:
                assert "a.npz" in str(error)
                refused += 1
            else:
                assert_equal(loaded, person)
        assert refused > 100

    def test_files_of_others(self, person, tmp_path):
        person.save(tmp_path / "a.npz")
        with pytest.raises(
            ValueError, match=r"expected .* 'eegic.Tracking/1', got 'eegic.Participant/1'\. `Participant.load`"
        ):
            Tracking.load(tmp_path / "a.npz")
        FeatureSeries([1.0, 2.0], [0.0, 1.0], "ic").save(tmp_path / "b.npz")
        with pytest.raises(
            ValueError, match=r"b\.npz: expected a file of schema 'eegic.Participant/1', got 'eegic.Fea"
        ):
            Participant.load(tmp_path / "b.npz")
        with pytest.raises(FileNotFoundError, match=r"none\.npz: no such file"):
            Participant.load(tmp_path / "none.npz")

    def test_objects_are_not_unpickled(self, person, tmp_path):
        changed(tmp_path / "a.npz", person, **{"eeg 0": np.array([print], dtype=object)})
        with pytest.raises(ValueError, match="Python objects, which are not unpickled: that could run code"):
            Participant.load(tmp_path / "a.npz")


class TestWriting:
    def test_what_could_not_be_loaded_is_not_written(self, person, tmp_path):
        person.save(tmp_path / "a.npz")
        trial = person.trials[0]
        for wrong, message in (
            ({"mask": trial.mask[1:]}, r"array 'mask 0': expected shape \(n_times 0 = 300\), got \(299,\)"),
            ({"eeg": trial.eeg[:, :3]}, r"array 'eeg 0': expected shape \(n_times 0 = 300, n_channels = 4\)"),
            ({"eeg": np.full((300, 4), np.inf)}, "array 'eeg 0': expected numbers where the mask says so"),
        ):
            trials = (dataclasses.replace(trial, **wrong), *person.trials[1:])
            with pytest.raises(ValueError, match=rf"a\.npz: not written, since .* \({message}.* Correct it first"):
                dataclasses.replace(person, trials=trials).save(tmp_path / "a.npz")
        assert_equal(Participant.load(tmp_path / "a.npz"), person)

    def test_a_full_disk_leaves_the_old_file(self, person, tmp_path, monkeypatch):
        person.save(tmp_path / "a.npz")

        def no_space(handle):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(os, "fsync", no_space)
            dataclasses.replace(person, name="another").save(tmp_path / "a.npz")
        assert_equal(Participant.load(tmp_path / "a.npz"), person)
        assert os.listdir(tmp_path) == ["a.npz"]
