"""A result in tables and maps, and in files that lose nothing."""

import dataclasses
import json
import os

import mne
import numpy as np
import pytest
from handmade import CHANNELS, OPTIONS, SFREQ, listener, music, tracked

from eegic import Tracking, cortical_tracking, plot_topography, trf
from eegic.results import MAPS

pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")


@pytest.fixture(scope="module")
def placeless():
    """A result without positions of the channels, bad channels, or a ceiling."""
    rng = np.random.default_rng(0)
    baseline, added = music(rng)
    return cortical_tracking(listener(rng, baseline, added, montage=None), baseline, added, **OPTIONS)


def with_listeners(result):
    rng = np.random.default_rng(0)
    ceiling = trf.listener_ceiling([[rng.standard_normal((200, 6))] for _ in range(4)])
    return dataclasses.replace(result, ceiling=ceiling)


def assert_equal(a, b):
    """The same types and the same values, to the last bit."""
    assert type(a) is type(b)
    if isinstance(a, mne.Info):
        for name in ("ch_names", "bads", "sfreq", "highpass", "lowpass", "custom_ref_applied"):
            assert a[name] == b[name]
        for name in ("loc", "coord_frame", "kind"):
            np.testing.assert_array_equal(*([channel[name] for channel in info["chs"]] for info in (a, b)))
        assert (a["dig"] is None) == (b["dig"] is None)
        for one, other in zip(a["dig"] or [], b["dig"] or [], strict=True):
            assert one == other
            assert_equal(one["r"], other["r"])
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for name in a:
            assert_equal(a[name], b[name])
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    elif dataclasses.is_dataclass(a):
        for field in dataclasses.fields(a):
            assert_equal(getattr(a, field.name), getattr(b, field.name))
    else:
        assert a == b


def with_head_shape(result):
    """The same, digitised: the head is smaller than the default, and the recording was filtered and referenced."""
    rng = np.random.default_rng(0)
    place = {name: 0.9 * channel["loc"][:3] for name, channel in zip(CHANNELS, result.info["chs"], strict=True)}
    shape = rng.standard_normal((60, 3))
    shape *= 0.085 / np.linalg.norm(shape, axis=1, keepdims=True)
    montage = mne.channels.make_dig_montage(
        place, nasion=(0, 0.085, 0), lpa=(-0.085, 0, 0), rpa=(0.085, 0, 0), hsp=shape, hpi=shape[:3]
    )
    info = result.info.copy().set_montage(montage)
    info["chs"][2]["coord_frame"] = 5
    with info._unlock():
        info.update(custom_ref_applied=1, highpass=0.5, lowpass=8.0)
    return dataclasses.replace(result, info=info)


def changed(path, change=None, **arrays):
    """Write the file of a result again, with other arrays (None removes one) and another text."""
    whole = with_listeners(tracked())
    whole.save(path)
    with np.load(path) as stored:
        content = {name: stored[name] for name in stored.files} | arrays
    if change is not None:
        content["about"] = np.array(json.dumps(change(json.loads(str(content["about"])))))
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    return content


def text(**changes):
    """What changes these entries of the text; None removes one."""

    def change(about):
        return {name: value for name, value in {**about, **changes}.items() if value is not None}

    return change


class TestFiles:
    @pytest.mark.parametrize("kind", ["everything", "listeners", "head shape", "little"])
    def test_what_is_saved_is_loaded(self, tmp_path, placeless, kind):
        result = {
            "everything": tracked(),
            "listeners": with_listeners(tracked()),
            "head shape": with_head_shape(tracked()),
            "little": placeless,
        }[kind]
        result.save(tmp_path / "Jörg 🎵")
        loaded = Tracking.load(tmp_path / "Jörg 🎵")
        assert_equal(result, loaded)
        for name in ("p", "p_maxt", "p_mean", "gain"):
            assert_equal(getattr(result, name), getattr(loaded, name))
        assert repr(result) == repr(loaded)
        assert (result.ceiling is None) == (kind == "little")

    def test_a_loaded_result_can_be_drawn(self, tmp_path):
        tracked().save(tmp_path / "a.npz")
        a, b = (plot_topography(result) for result in (tracked(), Tracking.load(tmp_path / "a.npz")))
        for one, other in zip(a.axes, b.axes, strict=True):
            for image, same in zip(one.images, other.images, strict=True):
                np.testing.assert_array_equal(image.get_array(), same.get_array())

    def test_maps_are_drawn_on_the_same_head(self, tmp_path):
        result = with_head_shape(tracked())
        result.save(tmp_path / "a.npz")
        drawn = []
        for one in (result, Tracking.load(tmp_path / "a.npz"), tracked()):
            axes = one.to_evoked().plot_topomap(times=0, scalings=1, units="Δr", show=False).axes[0]
            drawn.append([axes.images[0].get_array(), *(line.get_xydata() for line in axes.lines)])
        for before, after, default in zip(*drawn, strict=True):
            np.testing.assert_array_equal(before, after)
            assert not np.array_equal(before, default), "the digitised head differs from the default"

    def test_nothing_is_pickled_and_anyone_can_read_it(self, tmp_path):
        result = tracked()
        result.save(tmp_path / "a.npz")
        stored = np.load(tmp_path / "a.npz", allow_pickle=False)
        found = {name: stored[name] for name in stored.files}
        assert {array.dtype.kind for array in found.values()} == {"f", "i", "U"}
        np.testing.assert_array_equal(found["null"], result.null)
        np.testing.assert_array_equal(found["kernels 1"], result.kernels["ic.npy"])
        about = json.loads(str(found["about"]))
        assert about["models"] == {"ic": ["ic"], "ic.npy": ["noisy ic", "ic"]}
        assert about["stimuli"] == ["a/b", "..", "ü", "🎵", "e.npy", "ü", "🎵"]
        assert about["versions"]["numpy"] == np.__version__

    def test_a_full_disk_leaves_the_old_file(self, tmp_path, placeless, monkeypatch):
        placeless.save(tmp_path / "a.npz")

        def no_space(handle):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
            patch.setattr(os, "fsync", no_space)
            tracked().save(tmp_path / "a.npz")
        assert_equal(Tracking.load(tmp_path / "a.npz"), placeless)
        assert os.listdir(tmp_path) == ["a.npz"]

    def test_foreign_files_are_named(self, tmp_path):
        baseline, _ = music(np.random.default_rng(0), "a")
        baseline["a"].save(tmp_path / "series.npz")
        with pytest.raises(
            ValueError, match=r"series\.npz: expected a file of schema 'eegic.Tracking/1', got 'eegic.Fea"
        ):
            Tracking.load(tmp_path / "series.npz")
        with pytest.raises(FileNotFoundError, match=r"none\.npz: no such file"):
            Tracking.load(tmp_path / "none.npz")
        with pytest.raises(IsADirectoryError, match="expected an .npz file, got a folder. Name a file in it"):
            Tracking.load(tmp_path)
        (tmp_path / "scores.tsv").write_text("participant")
        with pytest.raises(
            ValueError, match=r"scores\.tsv: expected an .npz file, got a file that begins with b'partic"
        ):
            Tracking.load(tmp_path / "scores.tsv")

    def test_a_part_that_is_missing_is_named(self, tmp_path):
        path = tmp_path / "a.npz"
        content = changed(path)
        about = json.loads(str(content["about"]))
        for name in set(about) - {"ceiling"}:
            changed(path, text(**{name: None}))
            with pytest.raises(
                ValueError,
                match=rf"a\.npz: damaged, or .* \(about, '{name}': expected .*, but it is missing\)\. Save it again",
            ):
                Tracking.load(path)
        for name in set(content) - {"about", "schema"}:
            changed(path, **{name: None})
            with pytest.raises(ValueError, match=rf"a\.npz: damaged, or changed by hand \(array '{name}' is missing\)"):
                Tracking.load(path)
        changed(path, text(ceiling=None))
        with pytest.raises(ValueError, match="array 'ceiling explainable' belongs to nothing"):
            Tracking.load(path)

    def test_arrays_that_do_not_fit_each_other_are_refused(self, tmp_path):
        """Whatever axis of whatever array is cut; but surrogates and folds may be as many as they like."""
        path, refused = tmp_path / "a.npz", 0
        content = changed(path)
        for name in set(content) - {"about", "schema"}:
            for axis in range(content[name].ndim):
                changed(path, **{name: np.delete(content[name], -1, axis)})
                if (name, axis) in (("null", 1), ("alpha", 1)):
                    repr(Tracking.load(path))
                    continue
                with pytest.raises(
                    ValueError, match=r"a\.npz: damaged, or .* \(array '.*': expected shape \(.*\), got \("
                ):
                    Tracking.load(path)
                refused += 1
            changed(path, **{name: content[name].astype(str)})
            with pytest.raises(ValueError, match=rf"array '{name}': expected (real|whole) numbers, got <U"):
                Tracking.load(path)
        assert refused > 30

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (text(participant=3), r"about, 'participant': expected a text, got 3\)"),
            (text(stimuli="abc"), "about, 'stimuli': expected texts, got \"abc\""),
            (text(sounds=["a"]), r"about: expected a sound per stimulus \(7\), got 1"),
            (text(ch_names=["Fz"] * 6), "about, 'ch_names': expected distinct names"),
            (
                text(ch_names=["Fz", "Cz", "Pz"]),
                r"array 'r_reduced': expected shape \(n_segments = 7, n_channels = 3\)",
            ),
            (text(bads=["Xz"]), "about, 'bads': 'Xz' is no channel"),
            (text(sfreq=0), "about, 'sfreq': expected a positive number, got 0"),
            (text(sfreq=True), "about, 'sfreq': expected a positive number, got true"),
            (text(sfreq=64.0), "array 'lags': expected steps of one sample at 64 Hz"),
            (text(baseline=["envelope", "onsets"]), "array 'reduced kernels': expected shape .n_baseline = 2"),
            (text(models=["ic"]), "about, 'models': expected names of features for every model"),
            (text(models={"ic": ["ic"], "b": []}), "about, 'models': expected names of features for every model"),
            (text(models={"ic": ["ic"]}), "array 'kernels 1' belongs to nothing"),
            (text(exact="yes"), "about, 'exact': expected true or false, got \"yes\""),
            (text(settings=[]), r"about, 'settings': expected an object, got \[\]"),
            (text(versions={"numpy": 2}), "about, 'versions': expected a text for every package"),
            (
                text(ceiling={"kind": "repeats"}),
                "about, 'ceiling': expected null, or n_sounds, n_repeats, n_boot and kind",
            ),
            (lambda about: [about], "about: expected an object of JSON, got list"),
        ],
    )
    def test_a_text_changed_by_hand_is_refused(self, tmp_path, change, message):
        changed(tmp_path / "a.npz", change)
        with pytest.raises(ValueError, match=rf"a\.npz: damaged, or changed by hand \({message}"):
            Tracking.load(tmp_path / "a.npz")

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"about": np.array('{"participant": ')}, r"about: expected JSON, but Expecting value: line 1 column 17"),
            ({"about": np.array("[" * 100_000)}, "about: expected JSON, but maximum recursion depth"),
            ({"about": np.zeros(3)}, r"about: expected one text, got float64 of shape \(3,\)"),
            ({"segments": np.array([[7, 0, 300]] * 7)}, r"array 'segments': expected trial \(of 7\), first and stop"),
            ({"n_samples": np.array([301] * 7)}, r"array 'n_samples': expected no more samples than the segments have"),
            ({"segments": np.array([[0, 300, 300]] * 7)}, r"array 'segments': expected trial \(of 7\), first and stop"),
            ({"lags": np.array([0, 1, 2, 3, np.nan]) / SFREQ}, "array 'lags': expected steps of one sample at 32 Hz"),
            ({"null": np.zeros((2, 0, 6))}, r"array 'null': expected shape .*n_null = 0.* got \(2, 0, 6\)"),
            ({"mine": np.zeros(3)}, "array 'mine' belongs to nothing"),
        ],
    )
    def test_an_array_changed_by_hand_is_refused(self, tmp_path, arrays, message):
        changed(tmp_path / "a.npz", **arrays)
        with pytest.raises(ValueError, match=rf"a\.npz: damaged, or changed by hand \({message}"):
            Tracking.load(tmp_path / "a.npz")

    def test_what_could_not_be_loaded_is_not_written(self, tmp_path):
        tracked().save(tmp_path / "a.npz")
        shorter = dataclasses.replace(tracked(), r_full=tracked().r_full[:1])
        with pytest.raises(
            ValueError, match=r"a\.npz: not written, since .* \(array 'r_full': expected shape \(n_models = 2"
        ):
            shorter.save(tmp_path / "a.npz")
        assert_equal(Tracking.load(tmp_path / "a.npz"), tracked())

    def test_a_loaded_result_was_one_file_at_one_time(self, tmp_path, placeless, monkeypatch):
        """Also where another process replaces the file while it is read."""
        tracked().save(tmp_path / "a.npz")
        loads, load = [], np.load

        def replaced(stream, **options):
            loads.append(stream)
            if len(loads) == 1:
                placeless.save(tmp_path / "a.npz")
            return load(stream, **options)

        monkeypatch.setattr(np, "load", replaced)
        assert_equal(Tracking.load(tmp_path / "a.npz"), tracked())

    @pytest.mark.parametrize("options", [{"per_channel": True}, {"gap": 0.2, "alphas": [1, 10], "n_folds": 3}])
    def test_results_of_every_kind_are_saved(self, tmp_path, rng, options):
        baseline, added = music(rng)
        result = cortical_tracking(
            listener(rng, baseline, added, bads=["Oz"]), baseline, added, **{**OPTIONS, **options}
        )
        result.save(tmp_path / "a.npz")
        assert_equal(result, Tracking.load(tmp_path / "a.npz"))

    def test_no_damage_goes_unnoticed(self, tmp_path, rng):
        path = tmp_path / "a.npz"
        result = with_listeners(tracked())
        result.save(path)
        whole = path.read_bytes()
        flipped = [bytearray(whole) for _ in range(60)]
        for damaged in flipped[:30]:
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        for damaged in flipped[30:]:  # in the table of contents
            damaged[-rng.integers(1, 1500)] ^= 1 << rng.integers(8)
        refused = 0
        for damaged in [*flipped, *(whole[:n] for n in range(0, len(whole), len(whole) // 20))]:
            path.write_bytes(damaged)
            try:
                loaded = Tracking.load(path)
            except ValueError as error:
                assert "a.npz" in str(error)
                refused += 1
            else:
                assert_equal(loaded, result)
        assert refused > 40


class TestFrames:
    def test_a_row_per_model_trial_and_channel(self):
        result = tracked()
        frame = result.to_frame()
        assert list(frame) == [
            *("participant", "model", "trial", "stimulus", "sound", "start", "stop", "used", "channel"),
            *("r_reduced", "r_full", "delta_r"),
        ]
        assert frame.drop(columns=["r_reduced", "r_full", "delta_r"]).notna().all(axis=None)
        wide = frame.set_index(["model", "trial", "channel"])
        for m, model in enumerate(result.models):
            for trial, stimulus in enumerate(result.stimuli):
                rows = wide.loc[model, trial]
                assert set(rows["stimulus"]) == set(rows["sound"]) == {stimulus}
                assert (rows["stop"] == 300 / SFREQ).all() and (rows["start"] == 0).all()
                assert (rows["used"] == result.n_samples[trial] / SFREQ).all()
                for c, channel in enumerate(CHANNELS):
                    row = rows.loc[channel]
                    found = [row["r_reduced"], row["r_full"], row["delta_r"]]
                    expected = [result.r_reduced[trial, c], result.r_full[m, trial, c], result.delta_r[m, trial, c]]
                    np.testing.assert_array_equal(found, np.array(expected))
        assert len(frame) == 2 * 7 * 6 and set(frame["participant"]) == {"Jörg"}

    def test_a_row_per_model_and_channel(self):
        result = tracked()
        frame = result.to_frame("channel").set_index(["model", "channel"])
        assert len(frame) == 2 * 6
        means = result.to_frame().groupby(["model", "channel"], sort=False)[["r_reduced", "r_full", "delta_r"]].mean()
        for name in means:
            np.testing.assert_allclose(frame[name], means[name], atol=1e-12)
        for name in ("corrected", "corrected_se", "p", "p_maxt"):
            np.testing.assert_array_equal(frame[name], getattr(result, name).ravel())
        np.testing.assert_allclose(frame["delta_r"] - frame["null_mean"], frame["corrected"], atol=1e-15)
        ceiling = np.sqrt(result.ceiling.explainable[0])
        assert frame.loc["ic.npy", "Fz"]["ceiling"] == pytest.approx(ceiling)
        assert frame.loc["ic.npy", "Fz"]["share"] == pytest.approx(result.corrected[1, 0] / ceiling)
        assert frame["share"].isna().groupby("channel").all()["Pz"]

    def test_without_a_ceiling_there_is_no_share(self, placeless):
        assert not {"ceiling", "share"} & set(placeless.to_frame("channel"))
        with pytest.raises(ValueError, match="by: expected one of 'trial', 'channel', got 'channels'. Did you mean"):
            placeless.to_frame("channels")


class TestEvoked:
    def test_maps(self):
        result = tracked()
        for what, expected in (
            ("corrected", result.corrected[0]),
            ("delta_r", result.gain[0]),
            ("r_reduced", result.r_reduced.mean(axis=0)),
            ("r_full", result.r_full[0].mean(axis=0)),
            ("p_maxt", result.p_maxt[0]),
            ("p", result.p[0]),
        ):
            evoked = result.to_evoked(what)
            assert evoked.data.shape == (6, 1) and evoked.times.tolist() == [0.0]
            np.testing.assert_allclose(evoked.data[:, 0], expected, atol=1e-15)
        np.testing.assert_array_equal(result.to_evoked(model="ic.npy").data[:, 0], result.corrected[1])
        assert (evoked.ch_names, evoked.info["bads"], evoked.nave) == (list(CHANNELS), ["Pz"], 7)

    def test_kernels(self):
        result = tracked()
        for what, model, expected in (
            ("envelope", None, result.kernels["ic"][0]),
            ("noisy ic", None, result.kernels["ic.npy"][1]),
            ("ic", None, result.kernels["ic"][1]),
            ("ic", "ic.npy", result.kernels["ic.npy"][2]),
        ):
            evoked = result.to_evoked(what, model)
            np.testing.assert_allclose(evoked.times, result.lags, atol=1e-12)
            np.testing.assert_array_equal(evoked.data, expected.T)

    def test_before_the_sound(self, rng):
        baseline, added = music(rng)
        options = {**OPTIONS, "tmin": -3 / SFREQ}
        result = cortical_tracking(listener(rng, baseline, added), baseline, added, **options)
        np.testing.assert_allclose(result.to_evoked("ic").times, np.arange(-3, 5) / SFREQ, atol=1e-12)

    def test_what_is_not_there(self):
        with pytest.raises(ValueError, match="what: expected one of 'r_reduced',.* got 'IC'. Did you mean 'ic'"):
            tracked().to_evoked("IC")
        with pytest.raises(ValueError, match="model: expected one of 'ic', 'ic.npy', got 'best'"):
            tracked().to_evoked("corrected", "best")
        with pytest.raises(ValueError, match="what: model 'ic' has envelope, ic, but no 'noisy ic'"):
            tracked().to_evoked("noisy ic", "ic")

    def test_a_feature_named_like_a_map_is_not_mistaken_for_it(self, tmp_path):
        names = {"ic": "p", "noisy ic": "noise"}
        models = {model: tuple(names[name] for name in own) for model, own in tracked().models.items()}
        result = dataclasses.replace(tracked(), models=models)
        with pytest.raises(
            ValueError, match="what: 'p' is the name of a map, and here of a feature too. Give the feature"
        ):
            result.to_evoked("p")
        assert result.to_evoked("noise").data.shape == (6, 5) and result.to_evoked("corrected").data.shape == (6, 1)
        assert MAPS == ("r_reduced", "r_full", "delta_r", "corrected", "p", "p_maxt")

    def test_without_positions(self, placeless):
        np.testing.assert_array_equal(placeless.to_evoked().data[:, 0], placeless.corrected[0])
        with pytest.raises(ValueError, match=r"6 channels have no position.*: Fz, Cz.*set_montage"):
            plot_topography(placeless)
