"""CND: files as MATLAB writes them, with all their habits, and what eegic writes itself."""

import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from handmade import OPTIONS, listener, music
from scipy.sparse import csc_array

from eegic import FeatureSeries, Participant, cortical_tracking, pair_features
from eegic.eeg import matlab
from eegic.eeg.cnd import Cnd, read_cnd
from eegic.eeg.cnd_writer import write_cnd

REAL = Path(__file__).parents[2] / "shared" / "data" / "cnd"
NAMES = ("Cz", "Fz", "C3", "Oz")
EEGLAB = ((0, 0, 1), (0.7, 0, 0.7), (0, 0.7, 0.7), (-1, 0, 0))

pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")


# ---- MATLAB files made by hand: struct is dict, struct array list, cell array cell(...), char str -------------------


def cell(*values, shape=None):
    cells = np.empty(len(values), dtype=object)
    cells[:] = [value if isinstance(value, (str, dict)) else np.asarray(value) for value in values]
    return cells.reshape(shape or (1, -1))


def row(*numbers):
    return np.array([numbers], dtype=float)


def located(scale=1.0, names=NAMES):
    """Channels as EEGLAB has them: x to the nose, y to the left ear."""
    return [
        {"labels": n, "X": scale * x, "Y": scale * y, "Z": scale * z}
        for n, (x, y, z) in zip(names, EEGLAB, strict=True)
    ]


def version5(path, variables):
    def value(one):
        if isinstance(one, dict):
            return {key: value(field) for key, field in one.items()}
        if isinstance(one, list):
            structs = np.empty((1, len(one)), [(key, object) for key in one[0]])
            structs[0] = [tuple(struct.values()) for struct in one]
            return structs
        return np.vectorize(value, otypes=[object])(one) if isinstance(one, np.ndarray) and one.dtype == object else one

    scipy.io.savemat(path, value(variables))


def version73(path, variables):
    """Lay HDF5 out as MATLAB does: dimensions turned round, texts as uint16, cells as references, names sorted."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        hidden, numbers = file.create_group("#refs#"), count()

        def refer(values):
            made = [store(hidden, f"r{next(numbers)}", one).ref for one in values]
            return np.array(made, dtype=h5py.ref_dtype)

        def store(group, key, one):
            if isinstance(one, dict):
                item = group.create_group(key)
                for field in sorted(one):
                    store(item, field, one[field])
                return tagged(item, "struct")
            if isinstance(one, list):
                item = group.create_group(key)
                for field in sorted(one[0]):
                    item[field] = refer([struct[field] for struct in one])[:, None]
                return tagged(item, "struct")
            if isinstance(one, str):
                return tagged(group.create_dataset(key, data=np.array([list(map(ord, one))], np.uint16).T), "char")
            if isinstance(one, csc_array):
                item = group.create_group(key)
                item.attrs["MATLAB_sparse"] = np.uint64(one.shape[0])
                item["data"], item["ir"], item["jc"] = one.data, one.indices, one.indptr
                return tagged(item, "double")
            one = np.atleast_2d(one)
            if one.dtype == object:
                return tagged(group.create_dataset(key, data=refer(one.T.ravel()).reshape(one.T.shape)), "cell")
            if not one.size:
                item = group.create_dataset(key, data=np.array(one.shape, np.uint64))
                item.attrs["MATLAB_empty"] = np.uint8(1)
                return tagged(item, "double")
            return tagged(group.create_dataset(key, data=one.T), "double")

        def tagged(item, kind):
            item.attrs["MATLAB_class"] = np.bytes_(kind)
            return item

        for key, one in variables.items():
            store(file, key, one)
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


WRITERS = {"5": version5, "7.3": version73}
EMPTY = np.empty((0, 0))


class Maker:
    """Three trials of two sounds, 4 channels at 128 Hz and two features at 64 Hz; what a test changes is changed."""

    def __init__(self, folder, rng, version="5"):
        self.folder, self.version = folder, version
        self.lengths = (128, 96, 128)
        self.envelopes = [np.abs(rng.standard_normal((n, 1))) for n in self.lengths[:2]]
        self.envelopes.append(self.envelopes[0])
        self.onsets = [(x > 1).astype(float) for x in self.envelopes]
        self.data = [10 * rng.standard_normal((2 * n, 4)) for n in self.lengths]

    def stim(self, **changes):
        return {
            "names": cell("Envelope Vectors", "onsets"),
            "data": cell(*self.envelopes, *self.onsets, shape=(2, 3)),
            "fs": 64.0,
            "stimIdxs": row(1, 2, 1),
            **changes,
        }

    def eeg(self, **changes):
        return {
            "dataType": "EEG",
            "data": cell(*self.data),
            "fs": 128.0,
            "chanlocs": located(),
            "origTrialPosition": row(1, 2, 3),
            **changes,
        }

    def write(self, stim=None, eeg=None, *, sub="dataSub1.mat", stimuli="dataStim.mat", struct="eeg", folder=None):
        folder = self.folder if folder is None else folder
        folder.mkdir(parents=True, exist_ok=True)
        WRITERS[self.version](folder / stimuli, {"stim": self.stim(**(stim or {}))})
        WRITERS[self.version](folder / sub, {struct: self.eeg(**(eeg or {}))})
        return folder


def refuses(message, error=ValueError):
    return pytest.raises(error, match=message)


def without(fields, *keys):
    return {key: value for key, value in fields.items() if key not in keys}


@pytest.fixture
def make(tmp_path, rng):
    return Maker(tmp_path, rng)


@pytest.fixture(params=["5", "7.3"])
def both(request, tmp_path, rng):
    """Files of either version of the format."""
    return Maker(tmp_path, rng, request.param)


# ---- Reading --------------------------------------------------------------------------------------------------------


def test_everything_in_its_place(both):
    cnd = read_cnd(both.write(), 1)
    assert isinstance(cnd, Cnd)
    assert repr(cnd) == (
        "Cnd(Participant(sub-01: 3 trials of 2 sounds, 6 s, 4 channels at 128 Hz); 64 Hz: Envelope Vectors, onsets)"
    )
    assert cnd.participant.stimuli == ("stimulus-01", "stimulus-02", "stimulus-01")
    assert (cnd.participant.ch_names, cnd.participant.sfreq) == (NAMES, 128.0)
    for trial, array in zip(cnd.participant.trials, both.data, strict=True):
        np.testing.assert_allclose(trial.eeg, 1e-6 * array, rtol=1e-15)
        assert trial.mask.all()
    assert list(cnd.features) == ["stimulus-01", "stimulus-02"]
    for i, name in enumerate(cnd.features):
        series = cnd.features[name]
        np.testing.assert_array_equal(series.values, np.hstack([both.envelopes[i], both.onsets[i]]))
        np.testing.assert_array_equal(series.times, np.arange(both.lengths[i]) / 64)
    assert cnd.feature_names == ("Envelope Vectors", "onsets")
    assert (cnd.positions, cnd.numbers, cnd.conditions, cnd.external) == ((0, 1, 2), (0, 1, 2), ("",) * 3, {})
    assert cnd.participant.history == ("read from dataSub1.mat and dataStim.mat (CND) as uV, EEG",)


def test_three_lines_to_the_analysis(both, rng):
    """A listener who answers to surprisal, in files with padding and two rates."""
    baseline, added = music(rng, "abcdef", n_times=400)
    person = listener(rng, baseline, added, list("abcdef"))
    columns = [(baseline[s].values, added[s].values) for s in "abcdef"]
    stim = {"data": cell(*(x for x, _ in columns), *(x for _, x in columns), shape=(2, 6)), "fs": 32.0}
    eeg = [np.pad(1e6 * trial.eeg, ((40, 25), (0, 0)), constant_values=7) for trial in person.trials]
    both.write(
        {**stim, "stimIdxs": EMPTY},
        {"data": cell(*eeg), "fs": 32, "chanlocs": EMPTY, "paddingStartSample": 40.0, "origTrialPosition": EMPTY},
    )
    cnd = read_cnd(both.folder)
    result = cortical_tracking(cnd.participant, cnd.select("Envelope Vectors"), cnd.select("onsets"), **OPTIONS)
    expected = cortical_tracking(person, baseline, added, **OPTIONS)
    np.testing.assert_allclose(result.r_full, expected.r_full, atol=1e-9)
    assert expected.p_mean[0] == 0.05


class TestDoors:
    @pytest.mark.parametrize("door", ["", "dataCND", "dataCND/dataSub1.mat"])
    @pytest.mark.parametrize("subject", [1, np.int64(1), "1", "01", "sub-01", "dataSub1", None])
    def test_root_folder_or_file(self, make, door, subject):
        make.write(folder=make.folder / "dataCND")
        assert read_cnd(make.folder / door, subject).participant.name == "sub-01"

    @pytest.mark.parametrize(
        ("file", "subject"), [("dataSub01.mat", 1), ("dataSub12.mat", "012"), ("dataSubAB.mat", "AB")]
    )
    def test_names_of_files(self, make, file, subject):
        make.write(sub=file)
        assert len(read_cnd(make.folder, subject).participant.trials) == 3

    def test_the_stimuli_of_the_participant_come_first(self, make):
        make.write({"names": cell("of all", "onsets")}, sub="dataSub2.mat")
        make.write({"names": cell("of one", "onsets")}, sub="dataSub1.mat", stimuli="dataStim1.mat")
        assert read_cnd(make.folder, 1).feature_names == ("of one", "onsets")
        assert read_cnd(make.folder, 2).feature_names == ("of all", "onsets")
        assert read_cnd(make.folder, 2, stimuli=make.folder / "dataStim1.mat").feature_names == ("of one", "onsets")

    def test_preprocessed_data_in_a_folder_of_their_own(self, make):
        make.write()
        (make.folder / "1-8Hz").mkdir()
        (make.folder / "dataSub1.mat").rename(make.folder / "1-8Hz" / "pre_dataSub1.mat")
        assert read_cnd(make.folder / "1-8Hz" / "pre_dataSub1.mat").participant.name == "sub-01"

    def test_one_file_for_all(self, make):
        version5(make.folder / "all.mat", {"eeg": make.eeg(), "stim": make.stim()})
        assert read_cnd(make.folder / "all.mat").participant.name == "sub-all"

    @pytest.mark.parametrize(
        ("folder", "subject", "error", "message"),
        [
            ("nowhere", 1, FileNotFoundError, "expected the folder of a CND data set, got nothing"),
            ("", 7, FileNotFoundError, "no dataSub7.mat, but dataSub1.mat, dataSub2.mat. Name"),
            ("", None, FileNotFoundError, "no subject was named, but dataSub1.mat, dataSub2.mat. Name"),
            ("dataSub1.mat", 2, FileNotFoundError, "dataSub1.mat: .* got a file, not that of subject 2"),
            ("empty", 1, FileNotFoundError, "empty: there is no dataSub1.mat, but nothing"),
            ("", True, TypeError, "subject: expected the N of dataSubN.mat, got True"),
            ("", 1.0, TypeError, r"subject: expected the N of dataSubN.mat, got 1.0 \(float\)"),
        ],
    )
    def test_who_is_not_there(self, make, folder, subject, error, message):
        make.write()
        make.write(sub="dataSub2.mat")
        (make.folder / "empty").mkdir()
        with refuses(message, error):
            read_cnd(make.folder / folder, subject)

    def test_no_stimuli(self, make):
        make.write(stimuli="dataStimuli.txt")
        with refuses(r"dataStim1.mat or dataStim.mat beside it, got dataSub1.mat.*stimuli=", FileNotFoundError):
            read_cnd(make.folder, 1)
        with refuses(r"else.mat: cannot be opened \(No such file or directory\)", FileNotFoundError):
            read_cnd(make.folder, 1, stimuli=make.folder / "else.mat")

    def test_names_of_participants(self, make):
        make.write()
        assert read_cnd(make.folder, name="anna").participant.name == "anna"
        make.write(eeg={"participant": "sub-xy"})
        assert read_cnd(make.folder).participant.name == "sub-xy"


class TestDamage:
    @pytest.mark.parametrize(
        "spoil", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"a text " * 99, lambda b: b[:130]]
    )
    @pytest.mark.parametrize("file", ["dataSub1.mat", "dataStim.mat"])
    def test_a_damaged_file_is_named(self, both, spoil, file):
        both.write()
        path = both.folder / file
        path.write_bytes(spoil(path.read_bytes()))
        with refuses(rf"{file}: cannot be read as a .mat file \(.*\). Copy or download it again"):
            read_cnd(both.folder, 1)

    def test_other_variables(self, both):
        both.write(struct="meg")
        with refuses(r"dataSub1.mat: expected a variable eeg or neural or stim, got meg"):
            read_cnd(both.folder, 1)
        both.write(eeg={"fs": EMPTY})
        with refuses(r"dataSub1.mat: fs: expected one sampling rate in hertz, got .*\(0, 0\)"):
            read_cnd(both.folder, 1)
        WRITERS[both.version](both.folder / "dataSub1.mat", {"eeg": {"trials": 3.0}})
        with refuses("dataSub1.mat: expected a struct 'eeg' or 'neural' with .*, got eeg: trials"):
            read_cnd(both.folder, 1)

    def test_without_h5py(self, both, monkeypatch):
        both.write()
        monkeypatch.setitem(sys.modules, "h5py", None)
        if both.version == "5":
            read_cnd(both.folder, 1)
        else:
            with refuses(r"version 7.3 need h5py: `pip install 'eegic\[io\]'`", ImportError):
                read_cnd(both.folder, 1)


class TestStruct:
    def test_neural_is_the_newer_name(self, both):
        both.write(struct="neural")
        assert len(read_cnd(both.folder).participant.trials) == 3

    def test_the_struct_with_data_counts(self, both):
        both.write()
        WRITERS[both.version](both.folder / "dataSub1.mat", {"eeg": {"note": "see neural"}, "neural": both.eeg()})
        assert len(read_cnd(both.folder).participant.trials) == 3

    def test_one_trial_without_cells(self, both):
        stim = {"data": both.envelopes[0], "stimIdxs": 1.0, "condIdxs": 1.0, "condNames": "Listening"}
        both.write({"names": "envelope", **stim}, {"data": both.data[0], "origTrialPosition": 1.0})
        cnd = read_cnd(both.folder)
        assert (cnd.participant.stimuli, cnd.conditions, cnd.positions) == (("stimulus-01",), ("Listening",), (0,))
        np.testing.assert_allclose(cnd.participant.trials[0].eeg, 1e-6 * both.data[0])
        np.testing.assert_array_equal(cnd.select("envelope")["stimulus-01"].values, both.envelopes[0])

    @pytest.mark.parametrize("kind", ["int16", "float32"])
    def test_numbers_of_other_types(self, both, kind):
        both.write(eeg={"data": cell(*(x.astype(kind) for x in both.data)), "fs": np.uint16(128)})
        eeg = read_cnd(both.folder).participant.trials[1].eeg
        np.testing.assert_allclose(eeg, 1e-6 * both.data[1].astype(kind).astype(float))

    def test_what_was_done_stands_in_the_history(self, both):
        known = {"deviceName": "BioSemi", "reRef": "Mastoids"}
        both.write(eeg={"processingPipeline": cell("LPF", "Downsampling"), **known})
        assert read_cnd(both.folder).participant.history == (
            "LPF",
            "Downsampling",
            "read from dataSub1.mat and dataStim.mat (CND) as uV, EEG, BioSemi, Mastoids",
        )

    @pytest.mark.parametrize(("unit", "volts"), [("uV", 1e-6), ("mV", 1e-3), ("V", 1.0)])
    def test_the_unit_is_for_the_user_to_say(self, make, unit, volts):
        data = cell(*(1e-6 * x / volts for x in make.data))
        cnd = read_cnd(make.write(eeg={"data": data, "extChan": {"data": data}}), unit=unit)
        np.testing.assert_allclose(cnd.participant.trials[0].eeg, 1e-6 * make.data[0])
        np.testing.assert_allclose(cnd.external["external"][0], 1e-6 * make.data[0])

    def test_a_wrong_unit_warns(self, make):
        make.write()
        with pytest.warns(UserWarning, match=r"sub-01: the median magnitude of the EEG is 6.* V.*Name the unit"):
            read_cnd(make.folder, unit="V")
        with refuses("unit: expected one of 'V'"):
            read_cnd(make.folder, unit="volts")

    def test_gaps(self, make):
        make.data[1][[5, 9], 2] = np.nan
        make.write()
        with refuses("sub-01, trial 1: channel C3 has 2 NaN samples.*on_nan='mask'"):
            read_cnd(make.folder)
        mask = read_cnd(make.folder, on_nan="mask").participant.masks[1]
        np.testing.assert_array_equal(np.flatnonzero(~mask), [5, 9])
        make.data[1][:, 2] = np.nan
        make.write()
        assert read_cnd(make.folder, bads=["C3"]).participant.bads == ("C3",)
        assert read_cnd(make.folder, bads="C3").participant.bads == ("C3",)

    def test_a_trial_that_is_no_array(self, make):
        make.write(eeg={"data": cell(make.data[0], "lost", make.data[2])})
        with refuses("dataSub1.mat: trial 1: expected numbers, samples × channels, got 'lost'"):
            read_cnd(make.folder)


class TestTime:
    def test_padding_and_what_follows_is_cut(self, both):
        """The sound starts at sample paddingStartSample + 1, counted from 1, at the rate of the EEG."""
        padded = [np.pad(x, ((50, 30 + i), (0, 0)), constant_values=99) for i, x in enumerate(both.data)]
        both.write(eeg={"data": cell(*padded), "paddingStartSample": 50.0, "extChan": {"data": cell(*padded)}})
        cnd = read_cnd(both.folder)
        for trial, external, array in zip(cnd.participant.trials, cnd.external["external"], both.data, strict=True):
            np.testing.assert_allclose(trial.eeg, 1e-6 * array)
            np.testing.assert_allclose(external, 1e-6 * array)
        assert cnd.participant.history[1:] == tuple(
            f"trial {i} of the file (stimulus-0{s}): 50 samples before the sound left out, {30 + i} samples after the "
            "sound left out"
            for i, s in enumerate((1, 2, 1))
        )

    def test_padding_may_differ_between_trials(self, make):
        padded = [np.pad(x, ((3 * i, 0), (0, 0)), constant_values=99) for i, x in enumerate(make.data)]
        make.write(eeg={"data": cell(*padded), "paddingStartSample": row(0, 3, 6)})
        for trial, array in zip(read_cnd(make.folder).participant.trials, make.data, strict=True):
            np.testing.assert_allclose(trial.eeg, 1e-6 * array)

    @pytest.mark.parametrize("padding", [EMPTY, 0.0])
    def test_no_padding(self, make, padding):
        make.write(eeg={"paddingStartSample": padding})
        assert len(read_cnd(make.folder).participant.history) == 1

    @pytest.mark.parametrize("padding", [-1.0, 2.5, np.nan, "none", row(1, 2)])
    def test_padding_that_is_no_number_of_samples(self, make, padding):
        make.write(eeg={"paddingStartSample": padding})
        with refuses(r"dataSub1.mat: paddingStartSample: expected one whole number, 0 or more, got"):
            read_cnd(make.folder)

    def test_dilibach(self, tmp_path):
        """512 and 64 Hz, one second of padding at either end; features are held until the next."""
        series = np.arange(10172.0)[:, None]
        version5(tmp_path / "dataStim.mat", {"stim": {"data": cell(series), "names": "env", "fs": 64.0}})
        eeg = np.random.default_rng(0).standard_normal((82395, 2))
        version5(
            tmp_path / "dataSub1.mat",
            {"eeg": {"data": cell(eeg), "fs": 512.0, "paddingStartSample": 512.0, "origTrialPosition": EMPTY}},
        )
        cnd = read_cnd(tmp_path)
        np.testing.assert_allclose(cnd.participant.trials[0].eeg, 1e-6 * eeg[512 : 512 + 8 * 10172])
        other = {"stimulus-01": FeatureSeries(series % 7, np.arange(10172) / 64, "other")}
        pairs = pair_features(cnd.participant, cnd.select("env"), other)
        np.testing.assert_array_equal(pairs.baseline[0][:, 0], np.arange(8 * 10172) // 8)
        assert pairs.notes == ()

    def test_eeg_that_ends_early(self, make):
        make.data[1] = make.data[1][:-1]
        make.write()
        cnd = read_cnd(make.folder)
        assert cnd.participant.trials[1].n_times == 191
        assert cnd.participant.history[1] == "trial 1 of the file (stimulus-02): 1 samples short of its sound"
        make.data[1] = make.data[1][:-1]
        make.write()
        with refuses("the EEG ends 0.016 s before it does .*tolerance=0.02"):
            read_cnd(make.folder)
        make.data[1] = make.data[1][:-18]
        make.write()
        message = (
            r"trial 1 of the file \(stimulus-02\): the sound lasts 1.500 s, but the EEG ends 0.156 s before it does "
            r"\(172 samples at 128 Hz, the first 0 of them before the sound\).*pass tolerance=0.16"
        )
        for tolerance in (None, 0.15):
            with refuses(message):
                read_cnd(make.folder, tolerance=tolerance)
        cnd = read_cnd(make.folder, tolerance=0.16)
        assert [trial.n_times for trial in cnd.participant.trials] == [256, 172, 256]
        assert cnd.participant.history[1] == "trial 1 of the file (stimulus-02): 20 samples short of its sound"
        with refuses("tolerance: expected a finite positive number of seconds"):
            read_cnd(make.folder, tolerance=-1)

    @pytest.mark.parametrize("fields", [{"eeg": {"fs": 64.0}}, {"stim": {"fs": 128.0}}])
    def test_eeg_that_goes_on_and_on_makes_the_rates_doubtful(self, make, fields):
        make.write(**fields)
        rates = "64 Hz for the EEG and 64 Hz" if "eeg" in fields else "128 Hz for the EEG and 128 Hz"
        with pytest.warns(UserWarning, match=rf"sub-01: the EEG of every trial .* 100% .*is fs right\?.*{rates}"):
            read_cnd(make.folder)

    def test_one_trial_that_goes_on_is_no_reason_to_doubt(self, make):
        make.data[0] = np.pad(make.data[0], ((0, 500), (0, 0)))
        make.write()
        read_cnd(make.folder)  # warnings are errors here

    def test_nothing_but_padding(self, make):
        make.write(eeg={"paddingStartSample": 300.0})
        with refuses("256 samples at 128 Hz, the first 300 of them before the sound"):
            read_cnd(make.folder, tolerance=10)

    def test_the_order_of_presentation(self, both):
        both.write(
            {"condIdxs": row(1, 2, 3), "condNames": cell("x", "y", "z")},
            {"origTrialPosition": row(2, 3, 1), "extChan": {"data": cell(*both.data)}},
        )
        cnd = read_cnd(both.folder)
        assert (cnd.positions, cnd.numbers, cnd.conditions) == ((0, 1, 2), (2, 0, 1), ("z", "x", "y"))
        assert cnd.participant.stimuli == ("stimulus-01", "stimulus-01", "stimulus-02")
        for k, number in enumerate(cnd.numbers):
            np.testing.assert_allclose(cnd.participant.trials[k].eeg, 1e-6 * both.data[number])
            np.testing.assert_array_equal(cnd.external["external"][k], cnd.participant.trials[k].eeg)

    @pytest.mark.parametrize("order", [EMPTY, row(2, 1), row(1, 1, 2), row(0, 1, 2)])
    def test_no_order_of_presentation(self, both, order):
        both.write(eeg={"origTrialPosition": order})
        cnd = read_cnd(both.folder)
        assert (cnd.positions, cnd.numbers) == (None, (0, 1, 2))
        assert cnd.participant.history[-1] == "no valid origTrialPosition: trials stand in the order of the file"


class TestChannels:
    MNE = 0.095 * np.array([(0, 0, 1), (0, 0.7, 0.7), (-0.7, 0, 0.7), (0, -1, 0)])  # x to the right, y to the front

    def found(self, cnd):
        return np.array([channel["loc"][:3] for channel in cnd.participant.info["chs"]])

    def test_both_layouts(self, both):
        lists = {"labels": cell(*NAMES), **{axis: np.array(EEGLAB)[:, [i]].T for i, axis in enumerate("XYZ")}}
        cells = {"labels": cell(*NAMES), **{axis: cell(*np.array(EEGLAB)[:, i]) for i, axis in enumerate("XYZ")}}
        for chanlocs in (located(), lists, cells):
            cnd = read_cnd(both.write(eeg={"chanlocs": chanlocs}))
            assert cnd.participant.ch_names == NAMES
            typical = np.median(np.linalg.norm(EEGLAB, axis=1))
            np.testing.assert_allclose(self.found(cnd), self.MNE / typical, atol=1e-12)

    @pytest.mark.parametrize(("scale", "metres"), [(0.09, 1), (9, 0.01), (90, 0.001)])
    def test_known_units(self, make, scale, metres):
        cnd = read_cnd(make.write(eeg={"chanlocs": located(scale)}))
        np.testing.assert_allclose(self.found(cnd), self.MNE / 0.095 * scale * metres, rtol=1e-12, atol=1e-15)

    @pytest.mark.parametrize("scale", [1.0, 1e-4, 450.0])
    def test_any_other_scale_becomes_a_head(self, make, scale):
        radius = np.linalg.norm(self.found(read_cnd(make.write(eeg={"chanlocs": located(scale)}))), axis=1)
        assert np.median(radius) == pytest.approx(0.095)

    def test_a_channel_without_a_place(self, both):
        channels = located()
        channels[2].update(X=EMPTY, Y=EMPTY, Z=EMPTY)
        places = self.found(read_cnd(both.write(eeg={"chanlocs": channels})))
        np.testing.assert_array_equal(np.isfinite(places).all(axis=1) & places.any(axis=1), [True, True, False, True])

    @pytest.mark.parametrize("chanlocs", [EMPTY, "none"])
    def test_no_chanlocs(self, both, chanlocs):
        both.write(eeg={"chanlocs": chanlocs})
        assert read_cnd(both.folder).participant.ch_names == ("EEG001", "EEG002", "EEG003", "EEG004")
        both.write()
        WRITERS[both.version](both.folder / "dataSub1.mat", {"eeg": without(both.eeg(), "chanlocs")})
        assert read_cnd(both.folder).participant.ch_names == ("EEG001", "EEG002", "EEG003", "EEG004")
        assert read_cnd(both.folder).participant.info.get_montage() is None

    def test_of_other_channels(self, make):
        make.write(eeg={"chanlocs": located()[:3]})
        with pytest.warns(UserWarning, match="chanlocs has 3 channels, the EEG 4: names and places unknown") as caught:
            cnd = read_cnd(make.folder)
        assert caught[0].filename == __file__
        assert cnd.participant.ch_names[0] == "EEG001"
        assert "chanlocs has 3" in cnd.participant.history[-1]

    def test_a_montage_instead(self, make):
        cnd = read_cnd(make.write(), montage="biosemi64")
        assert cnd.participant.ch_names == NAMES
        assert not np.allclose(self.found(cnd), self.MNE, atol=1e-3)
        make.data = [np.tile(x, 4) for x in make.data]
        cnd = read_cnd(make.write(eeg={"chanlocs": EMPTY}), montage="biosemi16")
        assert cnd.participant.ch_names[:2] == ("Fp1", "Fp2")

    def test_names_with_spaces_and_without(self, make):
        channels = located(names=(" Cz", "E 1 ", "", "E3"))
        assert read_cnd(make.write(eeg={"chanlocs": channels})).participant.ch_names == ("Cz", "E 1", "EEG003", "E3")


class TestExternal:
    def groups(self, make):
        mastoids, other = ([x[:, :k] - 3 for x in make.data] for k in (2, 1))
        return {"description": "Mastoids", "data": cell(*mastoids)}, {"data": cell(*other), "description": "eye lid"}

    def test_struct_cell_or_array(self, both):
        mastoids, other = self.groups(both)
        for given, names in ((mastoids, 1), (cell(mastoids), 1), (cell(mastoids, other), 2), ([mastoids, other], 2)):
            if isinstance(given, list):
                given = [dict(sorted(one.items())) for one in given]
            cnd = read_cnd(both.write(eeg={"extChan": given}))
            assert list(cnd.external) == ["Mastoids", "eye lid"][:names]
            for found, array in zip(cnd.external["Mastoids"], both.data, strict=True):
                np.testing.assert_allclose(found, 1e-6 * (array[:, :2] - 3))
            assert cnd.participant.ch_names == NAMES
        assert "; Mastoids (2 channels); eye lid (1 channels))" in repr(cnd)

    def test_appended(self, make):
        make.write(eeg={"extChan": cell(*self.groups(make))})
        cnd = read_cnd(make.folder, external=["eye lid", "Mastoids"])
        assert cnd.participant.ch_names == (*NAMES, "eye lid 1", "Mastoids 1", "Mastoids 2")
        for trial, array in zip(cnd.participant.trials, make.data, strict=True):
            np.testing.assert_allclose(trial.eeg, 1e-6 * np.hstack([array, array[:, :1] - 3, array[:, :2] - 3]))
        assert read_cnd(make.folder, external="Mastoids").participant.ch_names == (*NAMES, "Mastoids 1", "Mastoids 2")
        with refuses(r"external: expected one of 'Mastoids', 'eye lid', got 'mastoids'. Did you mean"):
            read_cnd(make.folder, external="mastoids")

    @pytest.mark.parametrize("spoil", [lambda x: cell(*x[:2]), lambda x: cell(*(a[1:] for a in x)), lambda x: "gone"])
    def test_that_do_not_fit(self, make, spoil):
        make.write(eeg={"extChan": {"description": "Mastoids", "data": spoil(make.data)}})
        with pytest.warns(UserWarning, match="the external channels 'Mastoids' do not match the EEG: left out"):
            assert read_cnd(make.folder).external == {}


class TestStimuli:
    @pytest.mark.parametrize("numbers", [EMPTY, row(1, 2)])
    def test_without_numbers_content_tells(self, both, numbers):
        both.write({"stimIdxs": numbers})
        cnd = read_cnd(both.folder)
        assert cnd.participant.stimuli == ("stimulus-01", "stimulus-02", "stimulus-01")
        assert "no stimIdxs for each trial" in cnd.participant.history[1]

    def test_each_trial_of_its_own(self, make, rng):
        make.envelopes[2] = rng.standard_normal((128, 1))
        make.write({"stimIdxs": EMPTY})
        assert read_cnd(make.folder).participant.stimuli == ("stimulus-01", "stimulus-02", "stimulus-03")

    def test_a_sound_has_one_name_in_the_files_of_all(self, make):
        """Participants with files of their own, in another order: the first sound of one is the second of the other."""
        make.write({"stimIdxs": EMPTY}, sub="dataSub1.mat", stimuli="dataStim1.mat")
        make.envelopes, make.onsets = make.envelopes[1::-1] * 2, make.onsets[1::-1] * 2
        make.data = [make.data[i] for i in (1, 0, 1)]
        make.envelopes, make.onsets = make.envelopes[:3], make.onsets[:3]
        make.write({"stimIdxs": EMPTY}, sub="dataSub2.mat", stimuli="dataStim2.mat")
        (a, b, _), (c, d, _) = (read_cnd(make.folder, i).participant.stimuli for i in (1, 2))
        assert (a, b) == (d, c) and a != b

    def test_one_number_for_different_features(self, make):
        make.write({"stimIdxs": row(1, 1, 1)})
        with pytest.warns(UserWarning, match="trials of stimulus-01 differ in their features: taken for"):
            cnd = read_cnd(make.folder)
        assert cnd.participant.stimuli == ("stimulus-01", "stimulus-01 (2)", "stimulus-01")
        assert cnd.features["stimulus-01 (2)"].n_times == 96

    def test_one_column_per_stimulus(self, both):
        two = cell(*both.envelopes[:2], *both.onsets[:2], shape=(2, 2))
        cnd = read_cnd(both.write({"data": two}))
        assert cnd.participant.stimuli == ("stimulus-01", "stimulus-02", "stimulus-01")
        np.testing.assert_array_equal(cnd.select("onsets")["stimulus-02"].values, both.onsets[1])
        assert "one column per stimulus" in cnd.participant.history[1]

    @pytest.mark.parametrize("numbers", [EMPTY, row(1, 3, 1), row(0, 1, 0)])
    def test_columns_that_do_not_fit(self, make, numbers):
        make.write({"data": cell(*make.envelopes[:2], *make.onsets[:2], shape=(2, 2)), "stimIdxs": numbers})
        with refuses("expected features of 3 trials, as the EEG has, got 2 columns and .*stimuli="):
            read_cnd(make.folder)

    @pytest.mark.parametrize(
        ("conditions", "expected"),
        [
            (
                {"condIdxs": row(1, 2, 1), "condNames": cell("Listening", "Imagery now")},
                ("Listening", "Imagery now", "Listening"),
            ),
            ({"condIdxs": row(1, 1, 1), "condNames": "Listening"}, ("Listening",) * 3),
            ({"condIdxs": cell("loud", "soft", "loud")}, ("loud", "soft", "loud")),
            ({"condIdxs": row(2, 1, 2)}, ("condition-02", "condition-01", "condition-02")),
            ({"condIdxs": row(0, 1, 0), "condNames": "loud"}, ("condition-00", "loud", "condition-00")),
            ({"condIdxs": row(2, 1)}, ("", "", "")),
            ({"condIdxs": EMPTY, "condNames": EMPTY}, ("", "", "")),
        ],
    )
    def test_conditions(self, both, conditions, expected):
        assert read_cnd(both.write(conditions)).conditions == expected

    def test_trials_of_a_condition(self, make):
        make.write(
            {"condIdxs": row(1, 2, 1), "condNames": cell("Listening", "Imagery")},
            {"extChan": {"data": cell(*make.data)}},
        )
        whole = read_cnd(make.folder)
        assert repr(whole).endswith("; conditions: Listening, Imagery)")
        part = whole.in_condition("Listening")
        assert (part.numbers, part.positions, part.conditions) == ((0, 2), (0, 2), ("Listening",) * 2)
        assert part.participant.trials == (whole.participant.trials[0], whole.participant.trials[2])
        assert len(part.external["external"]) == 2
        assert part.participant.history[-1] == "2 of 3 trials kept: Listening"
        assert len(whole.in_condition(["Imagery", "Listening"]).numbers) == 3
        with refuses("in_condition: expected one of 'Listening', 'Imagery', got 'Imagined'"):
            whole.in_condition("Imagined")
        for cnd, conditions, n in ((whole, [], 2), (read_cnd(make.write()), "Listening", 0)):
            with refuses(f"sub-01: expected conditions to choose from and at least one of them, got {n} and"):
                cnd.in_condition(conditions)

    @pytest.mark.parametrize("what", ["eeg", "stim"])
    def test_an_empty_trial_is_left_out(self, both, what):
        if what == "eeg":
            both.write(eeg={"data": cell(both.data[0], EMPTY, both.data[2])})
        else:
            data = both.stim()["data"]
            data[:, 1] = cell(EMPTY, EMPTY)
            both.write({"data": data})
        missing = "EEG" if what == "eeg" else "features"
        with pytest.warns(UserWarning, match=f"trial 1 of the file has no {missing}: left out"):
            cnd = read_cnd(both.folder)
        assert (cnd.numbers, cnd.positions) == ((0, 2), (0, 2))

    def test_nothing_left(self, make):
        make.write(eeg={"data": cell(EMPTY, EMPTY, EMPTY)})
        with refuses("dataStim.mat: no trial has both EEG and features"):
            read_cnd(make.folder)


class TestFeatures:
    def test_several_columns_are_numbered(self, both, rng):
        bands = [rng.standard_normal((n, 3)) for n in both.lengths[:2]]
        both.write(
            {"data": cell(*both.envelopes, bands[0], bands[1], bands[0], shape=(2, 3)), "names": cell("env", "band s")}
        )
        cnd = read_cnd(both.folder)
        assert cnd.feature_names == ("env", "band s 1", "band s 2", "band s 3")
        assert "64 Hz: env, band s (3 columns))" in repr(cnd)
        np.testing.assert_array_equal(cnd.select("band s")["stimulus-02"].values, bands[1])
        assert cnd.select(["band s 2", "env"])["stimulus-01"].names == ("band s 2", "env")
        with refuses(r"select: expected one of 'env', .* got 'Env'. Did you mean 'env'\?"):
            cnd.select("Env")

    def test_of_other_kinds(self, both):
        """Rows for columns, whole numbers, and the sparse arrays that suit onsets."""
        sparse = [csc_array(x) for x in both.onsets]
        both.write({"data": cell(*(x.T for x in both.envelopes), shape=(1, 3)), "names": "env"})
        row = read_cnd(both.folder).select("env")["stimulus-02"]
        np.testing.assert_array_equal(row.values, both.envelopes[1])
        data = cell(*(x.astype(np.uint8) for x in both.onsets), *[None] * 3, shape=(2, 3))
        data[1] = sparse
        cnd = read_cnd(both.write({"data": data, "names": cell("int", "sparse")}))
        for name in ("int", "sparse"):
            np.testing.assert_array_equal(cnd.select(name)["stimulus-01"].values, both.onsets[0])

    def test_trials_by_features(self, make):
        cnd = read_cnd(make.write({"data": make.stim()["data"].T}))
        np.testing.assert_array_equal(cnd.select("onsets")["stimulus-02"].values, make.onsets[1])
        assert "turned round" in cnd.participant.history[1]

    def test_one_that_ends_early_or_is_missing(self, both):
        data = both.stim()["data"]
        data[1, 0], data[1, 1] = both.onsets[0][:-3], EMPTY
        both.write({"data": data, "stimIdxs": row(1, 2, 3)})
        cnd = read_cnd(both.folder)
        values = cnd.select("onsets")["stimulus-01"].values
        np.testing.assert_array_equal(values[:-3], both.onsets[0][:-3])
        assert np.isnan(values[-3:]).all()
        assert np.isnan(cnd.select("onsets")["stimulus-02"].values).all()
        assert np.isfinite(cnd.select("Envelope Vectors")["stimulus-02"].values).all()
        assert [note.split(": ")[-1] for note in cnd.participant.history[1:]] == [
            "onsets has 125 of 128 samples, NaN after them",
            "onsets has 0 of 96 samples, NaN after them",
        ]

    def test_nan_stays(self, make):
        make.envelopes[1][4:6] = np.nan
        values = read_cnd(make.write()).select("Envelope Vectors")["stimulus-02"].values
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [4, 5])

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            ("words", r"stim.data\{2,2\} \(onsets\): expected finite numbers, samples × dimensions, got 'words'"),
            (np.full((96, 1), np.inf), r"stim.data\{2,2\} \(onsets\): expected finite numbers"),
            (np.ones((96, 2)), r"onsets has \[1, 2\] columns in different trials"),
            (np.ones((12, 1)), r"column 1: .* should be as long, got samples: Envelope Vectors 96, onsets 12"),
        ],
    )
    def test_one_that_is_none(self, both, spoil, message):
        data = both.stim()["data"]
        data[1, 1] = spoil
        both.write({"data": data})
        with refuses(rf"dataStim.mat: .*{message}.*without this one: features="):
            read_cnd(both.folder)
        assert read_cnd(both.folder, features="Envelope Vectors").feature_names == ("Envelope Vectors",)

    def test_chosen_in_order(self, make):
        make.write()
        chosen = ("onsets", "Envelope Vectors")
        assert read_cnd(make.folder, features=chosen).feature_names == chosen
        with refuses(r"features: expected one of .*'onsets', got 'onset'. Did you mean 'onsets'\?"):
            read_cnd(make.folder, features="onset")

    def test_names_that_are_too_few_or_the_same(self, make):
        make.write({"names": cell("env")})
        with pytest.warns(UserWarning, match="dataStim.mat names 1 features and holds 2: check their names"):
            assert read_cnd(make.folder).feature_names == ("env", "feature 2")
        make.write({"names": np.array(["env", "onsets"])})  # rows of one length, filled up with spaces
        assert read_cnd(make.folder).feature_names == ("env", "onsets")
        make.write({"names": cell("env", "env")})
        assert read_cnd(make.folder).feature_names == ("env", "env (row 2)")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"data": np.empty((0, 0), object)}, "stim.data is empty"),
            ({"fs": "64"}, "fs: expected one sampling rate in hertz, got '64'"),
        ],
    )
    def test_no_features(self, make, change, message):
        make.write(change)
        with refuses(f"dataStim.mat: {message}"):
            read_cnd(make.folder)


# ---- Writing --------------------------------------------------------------------------------------------------------


def same(one, other):
    """Participants with the same trials, within rounding."""
    assert (one.name, one.ch_names, one.bads, one.stimuli, one.sfreq) == (
        (other.name, other.ch_names, other.bads, other.stimuli, other.sfreq)
    )
    for a, b in zip(one.trials, other.trials, strict=True):
        np.testing.assert_allclose(a.eeg, b.eeg, rtol=1e-15)
        np.testing.assert_array_equal(a.mask, b.mask)
    for a, b in zip(one.info["chs"], other.info["chs"], strict=True):
        np.testing.assert_allclose(a["loc"][:3], b["loc"][:3], rtol=1e-12, atol=1e-15)


@pytest.fixture
def heard(rng):
    """A listener with repeated sounds of unequal length, a bad channel, masks and positions, and the features."""
    baseline, added = music(rng, "abcdef", n_times=320)
    for k, sounds in enumerate((baseline, added)):
        for name, n in zip("bd", (280, 256), strict=True):
            sounds[name] = FeatureSeries(sounds[name].values[:n], sounds[name].times[:n], ("envelope", "ic")[k])
    order = "fabcdefacb"
    masks = [np.arange(baseline[s].n_times) != 7 for s in order]
    person = listener(
        rng, baseline, added, order, name="sub-03", montage="biosemi64", bads=["Oz"], masks=masks, history=["filtered"]
    )
    return person, baseline, added


def both_features(baseline, added):
    return {name: (baseline[name], added[name]) for name in baseline}


class TestRoundTrip:
    @pytest.mark.filterwarnings("ignore:y. channels")
    @pytest.mark.parametrize("version", ["5", "7.3"])
    def test_participant_features_and_gain(self, heard, tmp_path, version):
        person, baseline, added = heard
        files = write_cnd(tmp_path / "dataCND", person, both_features(baseline, added), version=version)
        assert [path.name for path in files] == ["dataStim.mat", "dataSub3.mat"]
        assert sorted(path.name for path in (tmp_path / "dataCND").iterdir()) == ["dataStim.mat", "dataSub3.mat"]
        cnd = read_cnd(tmp_path, 3)
        same(cnd.participant, person)
        assert cnd.participant.history == ("filtered", "read from dataSub3.mat and dataStim.mat (CND) as uV, EEG")
        for name in baseline:
            for series in (baseline[name], added[name]):
                np.testing.assert_array_equal(cnd.features[name].select(series.names).values, series.values)
                np.testing.assert_allclose(cnd.features[name].times, series.times, rtol=1e-12)
        found = cortical_tracking(cnd.participant, cnd.select("envelope"), cnd.select("ic"), **OPTIONS)
        expected = cortical_tracking(person, baseline, added, **OPTIONS)
        gains = [np.nanmean(result.r_full - result.r_reduced) for result in (found, expected)]
        assert gains[1] > 0.01
        assert gains[0] == pytest.approx(gains[1], abs=1e-3)
        np.testing.assert_allclose(found.delta_r, expected.delta_r, atol=1e-10)

    @pytest.mark.parametrize("version", ["5", "7.3"])
    def test_what_was_read_is_written_whole(self, both, tmp_path, version):
        both.write(
            {"condIdxs": cell("loud", "soft", "µ loud")},
            {
                "origTrialPosition": row(2, 3, 1),
                "extChan": cell({"description": "Mastoids", "data": cell(*(x[:, :2] for x in both.data))}),
            },
        )
        once = read_cnd(both.folder)
        write_cnd(tmp_path / "again", once, once.features, version=version)
        twice = read_cnd(tmp_path / "again")
        same(twice.participant, once.participant)
        assert (twice.conditions, twice.positions) == (once.conditions, once.positions)
        assert twice.participant.history[:-1] == once.participant.history
        for a, b in zip(twice.external["Mastoids"], once.external["Mastoids"], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15)

    @pytest.mark.parametrize("unit", ["V", "nV"])
    def test_other_units(self, heard, tmp_path, unit):
        person, baseline, _ = heard
        write_cnd(tmp_path, person, baseline, unit=unit)
        same(read_cnd(tmp_path, unit=unit).participant, person)

    def test_one_trial(self, rng, tmp_path):
        person = Participant.from_arrays([1e-5 * rng.standard_normal((64, 1))], ["it"], 32.0)
        series = FeatureSeries(rng.standard_normal(64), np.arange(64) / 32, "x")
        write_cnd(tmp_path, person, {"it": series})
        cnd = read_cnd(tmp_path)
        same(cnd.participant, person)
        np.testing.assert_array_equal(cnd.features["it"].values, series.values)


class TestForOthers:
    def test_matlab_finds_the_fields_of_the_format(self, heard, tmp_path):
        """As a script of the workshop reads them: trial i of both files belongs together."""
        person, baseline, added = heard
        write_cnd(tmp_path, person, both_features(baseline, added))
        stim, eeg = (
            scipy.io.loadmat(tmp_path / f, simplify_cells=True)[k]
            for f, k in (("dataStim.mat", "stim"), ("dataSub3.mat", "eeg"))
        )
        assert stim["names"].tolist() == ["envelope", "ic"]
        assert (stim["fs"], eeg["fs"], stim["data"].shape, eeg["data"].shape) == (32, 32, (2, 10), (10,))
        for i in range(10):
            trial = person.trials[int(eeg["origTrialPosition"][i]) - 1]
            name = "abcdef"[int(stim["stimIdxs"][i]) - 1]
            assert trial.stimulus == name
            np.testing.assert_allclose(eeg["data"][i], 1e6 * trial.eeg)
            np.testing.assert_array_equal(stim["data"][1, i], added[name].values[:, 0])
        assert [one["labels"] for one in eeg["chanlocs"]] == list(person.ch_names)

    def test_places_as_eeglab_has_them(self, rng, tmp_path):
        """Of a real file: 0.06389 of the way down at the back is 78.5 degrees of elevation; +90 is the right ear."""
        import mne

        places = {"back": (0, -0.19937, 0.97992), "right": (1, 0, 0), "left": (-1, 0, 0), "nose": (0, 1, 0)}
        montage = mne.channels.make_dig_montage({k: 0.09 * np.array(v) for k, v in places.items()}, coord_frame="head")
        eeg = 1e-5 * rng.standard_normal((64, 4))
        person = Participant.from_arrays([eeg], ["a"], 32.0, ch_names=list(places), montage=montage)
        write_cnd(tmp_path, person, {"a": FeatureSeries(eeg[:, 0], np.arange(64) / 32, "x")})
        located = scipy.io.loadmat(tmp_path / "dataSub1.mat", simplify_cells=True)["eeg"]["chanlocs"]
        assert [abs(one["theta"]) if i == 0 else one["theta"] for i, one in enumerate(located)] == [180, 90, -90, 0]
        np.testing.assert_allclose([one["radius"] for one in located], [0.0638898, 0.5, 0.5, 0.5], atol=1e-5)
        np.testing.assert_allclose(
            [[one[axis] for axis in "XYZ"] for one in located[1:]], [(0, -90, 0), (0, 90, 0), (90, 0, 0)], atol=1e-9
        )

    def test_another_reader_of_version_73(self, heard, tmp_path):
        pymatreader = pytest.importorskip("pymatreader")
        person, baseline, _ = heard
        write_cnd(tmp_path, person, baseline, version="7.3")
        eeg = pymatreader.read_mat(tmp_path / "dataSub3.mat")["eeg"]
        stim = pymatreader.read_mat(tmp_path / "dataStim.mat")["stim"]
        assert eeg["chanlocs"]["labels"] == list(person.ch_names)
        assert (eeg["participant"], stim["names"], eeg["fs"]) == ("sub-03", "envelope", 32)
        for i, (data, mask) in enumerate(zip(eeg["data"], eeg["usableSamples"], strict=True)):
            trial = person.trials[int(eeg["origTrialPosition"][i]) - 1]
            np.testing.assert_allclose(data, 1e6 * trial.eeg)
            np.testing.assert_array_equal(mask, trial.mask)
            np.testing.assert_array_equal(stim["data"][i], baseline[trial.stimulus].values[:, 0])

    def test_what_is_too_large_goes_to_version_73(self, heard, tmp_path, monkeypatch):
        person, baseline, _ = heard
        monkeypatch.setattr(matlab, "_MOST_BYTES", 60_000)
        write_cnd(tmp_path, person, baseline)
        kinds = [(tmp_path / name).read_bytes()[:10] for name in ("dataStim.mat", "dataSub3.mat")]
        assert kinds == [b"MATLAB 5.0", b"MATLAB 7.3"]
        same(read_cnd(tmp_path).participant, person)
        with refuses("dataSub3.mat: too large for a file of version 5, which holds 2 GB"):
            write_cnd(tmp_path, person, baseline, version="5", overwrite=True)


class TestStudies:
    @pytest.fixture
    def study(self, rng):
        baseline, added = music(rng, "abc", n_times=64)
        orders = {"sub-01": "abca", "sub-02": "caba", "sub-03": "ccba"}
        return [listener(rng, baseline, added, order, name=name) for name, order in orders.items()], baseline

    def check(self, folder, people):
        for i, person in enumerate(people, 1):
            same(read_cnd(folder, i).participant, person)

    def test_who_heard_the_same_shares_the_stimuli(self, study, tmp_path):
        people, baseline = study
        files = write_cnd(tmp_path, people[:2], baseline)
        assert [path.name for path in files] == ["dataStim.mat", "dataSub1.mat", "dataSub2.mat"]
        self.check(tmp_path, people[:2])

    def test_so_does_who_heard_it_in_other_order(self, study, tmp_path):
        people, baseline = study[0][:2], study[1]
        conditions = (("loud", "", "", "soft"), ("", "soft", "", "loud"))
        order = (0, 1, 2, 3)
        cnds = [Cnd(p, {}, heard, {}, order, order) for p, heard in zip(people, conditions, strict=True)]
        files = write_cnd(tmp_path, cnds, baseline)
        assert [path.name for path in files] == ["dataStim.mat", "dataSub1.mat", "dataSub2.mat"]
        self.check(tmp_path, people)
        assert [read_cnd(tmp_path, i + 1).conditions for i in range(2)] == list(conditions)

    def test_who_did_not_gets_files_of_their_own(self, study, tmp_path):
        people, baseline = study
        names = [path.name for path in write_cnd(tmp_path, people, baseline)]
        assert names[:3] == ["dataStim1.mat", "dataStim2.mat", "dataStim3.mat"]
        self.check(tmp_path, people)

    def test_one_after_the_other(self, study, tmp_path):
        """Whoever comes later never parts an earlier participant from the stimuli."""
        people, baseline = study
        names = [[path.name for path in write_cnd(tmp_path, person, baseline)] for person in people]
        assert names == [["dataStim.mat", "dataSub1.mat"], ["dataSub2.mat"], ["dataStim3.mat", "dataSub3.mat"]]
        self.check(tmp_path, people)

    def test_other_features_leave_earlier_participants_theirs(self, study, tmp_path):
        people, baseline = study
        other = {name: FeatureSeries(2 * x.values, x.times, "twice") for name, x in baseline.items()}
        write_cnd(tmp_path, people[:2], baseline)
        write_cnd(tmp_path, people[1], other, overwrite=True)
        assert [read_cnd(tmp_path, i).feature_names for i in (1, 2)] == [("envelope",), ("twice",)]
        write_cnd(tmp_path, people[1], baseline, overwrite=True)  # must replace dataStim2.mat, which is read first
        assert read_cnd(tmp_path, 2).feature_names == ("envelope",)
        self.check(tmp_path, people[:2])

    def test_nothing_is_overwritten_unasked(self, study, tmp_path):
        people, baseline = study
        write_cnd(tmp_path, people[:2], baseline)
        before = (tmp_path / "dataSub2.mat").read_bytes()
        with refuses("dataSub2.mat exists. Choose another folder, or pass overwrite=True", FileExistsError):
            write_cnd(tmp_path, people[1:], baseline)
        assert (tmp_path / "dataSub2.mat").read_bytes() == before
        assert not (tmp_path / "dataStim3.mat").exists()

    def test_a_file_is_the_old_one_or_the_new_one(self, study, tmp_path, monkeypatch):
        people, baseline = study
        write_cnd(tmp_path, people[0], baseline)
        before = (tmp_path / "dataSub1.mat").read_bytes()

        def full(path, *rest, **options):
            Path(path).write_bytes(b"MATLAB 5.0 half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(scipy.io, "savemat", full)
        with refuses("No space left", OSError):
            write_cnd(tmp_path, people[0], baseline, overwrite=True)
        assert (tmp_path / "dataSub1.mat").read_bytes() == before
        assert len(list(tmp_path.iterdir())) == 2

    def test_numbers_of_participants(self, study, tmp_path):
        people, baseline = study
        write_cnd(tmp_path, people[0], baseline, subjects=["sub-07"])
        same(read_cnd(tmp_path, 7).participant, people[0])
        nameless = [Participant.from_arrays(p.eeg, p.stimuli, p.sfreq) for p in people[:2]]
        names = [path.name for path in write_cnd(tmp_path / "nameless", nameless, baseline)]
        assert names[1:] == ["dataSub1.mat", "dataSub2.mat"]
        with refuses("subjects: each participant needs its own"):
            write_cnd(tmp_path, people[:2], baseline, subjects=["a", "a"])
        with refuses("letters and digits, got '../x'"):
            write_cnd(tmp_path, people[:2], baseline, subjects=["../x", "b"])

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda b: b["a"], TypeError, "features: expected a dictionary .*, got FeatureSeries"),
            (lambda b: without(b, "c"), ValueError, "sub-01 heard 'c', of which there are none; .* 'a', 'b'"),
            (lambda b: b | {"a": b["a"].values}, TypeError, r"\['a'\]: expected a FeatureSeries .* got ndarray"),
            (lambda b: b | {"a": []}, TypeError, r"\['a'\]: expected a FeatureSeries or several, got list"),
            (lambda b: b | {"b": b["b"].shift(0.01)}, ValueError, r"\['b'\]: .* every 0.03125 s from 0 s on"),
            (lambda b: b | {"b": b["b"].resample(16, kind="linear")}, ValueError, r"every 0.03125 s .*resample\("),
            (lambda b: b | {"b": FeatureSeries([1.0, 2], [0, 1 / 32], "x")}, ValueError, "expected envelope, as"),
        ],
    )
    def test_features_that_cannot_be_written(self, study, tmp_path, change, error, message):
        with refuses(message, error):
            write_cnd(tmp_path / "new", study[0], change(study[1]))
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("people", [3, [3], "me"])
    def test_people_that_cannot_be_written(self, study, tmp_path, people):
        with refuses("participants: expected Participant or Cnd, got", TypeError):
            write_cnd(tmp_path, people, study[1])
        with refuses("participants: expected at least one, got none"):
            write_cnd(tmp_path, [], study[1])
        (tmp_path / "file").touch()
        with refuses("file: expected a folder to write into, got a file", NotADirectoryError):
            write_cnd(tmp_path / "file", *study)

    def test_standard_errors_have_no_place(self, study, tmp_path):
        people, baseline = study
        estimated = {k: FeatureSeries(x.values, x.times, x.names, se=0 * x.values) for k, x in baseline.items()}
        with pytest.warns(UserWarning, match="The standard errors of the features have no place in CND") as caught:
            write_cnd(tmp_path, people[:2], estimated)
        assert caught[0].filename == __file__


@pytest.mark.skipif(not REAL.is_dir(), reason="real files are not here")
class TestRealFiles:
    def test_a_speech_study(self):
        cnd = read_cnd(REAL, 1, external="Mastoids")
        stored = scipy.io.loadmat(REAL / "dataSub1.mat", simplify_cells=True)["eeg"]
        features = scipy.io.loadmat(REAL / "dataStim.mat", simplify_cells=True)["stim"]["data"]
        assert repr(cnd) == (
            "Cnd(Participant(sub-01: 20 trials of 20 sounds, 2 s, 6 channels at 128 Hz); 128 Hz: Speech Envelope "
            "Vectors, Word Onset Vectors, Spectrogram (16 columns), Phonetic Features (19 columns); "
            "Mastoids (2 channels); conditions: Listening)"
        )
        assert cnd.participant.ch_names == ("A1", "A2", "A3", "A4", "Mastoids 1", "Mastoids 2")
        for i, trial in enumerate(cnd.participant.trials):
            np.testing.assert_allclose(trial.eeg, 1e-6 * np.hstack([stored["data"][i], stored["extChan"]["data"][i]]))
            np.testing.assert_array_equal(cnd.select("Spectrogram")[trial.stimulus].values, features[2, i])
        assert cnd.positions == tuple(range(20))
        assert set(cnd.conditions) == {"Listening"}
        places = np.array([channel["loc"][:3] for channel in cnd.participant.info["chs"][:4]])
        assert (np.diff(places[:, 1]) < 0).all()  # A1 is the vertex, A2 to A4 lie behind it
        np.testing.assert_allclose(places[0], (0, 0, 0.095), atol=1e-6)

    def test_written_and_read_again(self, tmp_path):
        once = read_cnd(REAL, 1)
        write_cnd(tmp_path, once, once.features)
        same(read_cnd(tmp_path, 1).participant, once.participant)
