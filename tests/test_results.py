"""A result in tables and maps, and in files that lose nothing."""

import dataclasses
import json
import os

import mne
import numpy as np
import pytest
from handmade import CHANNELS, OPTIONS, SFREQ, listener, music, tracked

from eegic import Tracking, cortical_tracking, plot_topography, trf

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
        assert [a[name] for name in ("ch_names", "bads", "sfreq")] == [
            b[name] for name in ("ch_names", "bads", "sfreq")
        ]
        np.testing.assert_array_equal(*([channel["loc"][:3] for channel in info["chs"]] for info in (a, b)))
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


class TestFiles:
    @pytest.mark.parametrize("kind", ["everything", "listeners", "little"])
    def test_what_is_saved_is_loaded(self, tmp_path, placeless, kind):
        result = {"everything": tracked(), "listeners": with_listeners(tracked()), "little": placeless}[kind]
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
            *("participant", "model", "trial", "stimulus", "sound", "start", "stop", "channel"),
            *("r_reduced", "r_full", "delta_r"),
        ]
        assert frame.drop(columns=["r_reduced", "r_full", "delta_r"]).notna().all(axis=None)
        wide = frame.set_index(["model", "trial", "channel"])
        for m, model in enumerate(result.models):
            for trial, stimulus in enumerate(result.stimuli):
                rows = wide.loc[model, trial]
                assert set(rows["stimulus"]) == set(rows["sound"]) == {stimulus}
                assert (rows["stop"] == 300 / SFREQ).all() and (rows["start"] == 0).all()
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

    def test_without_positions(self, placeless):
        np.testing.assert_array_equal(placeless.to_evoked().data[:, 0], placeless.corrected[0])
        with pytest.raises(ValueError, match=r"6 channels have no position.*: Fz, Cz.*set_montage"):
            plot_topography(placeless)
