"""A feature over time: what is refused, and what each way of resampling conserves."""

import copy
import os
import pickle
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from eegic import FeatureSeries, _files

CODEC_STEP = 4096 / 44100  # seconds


def series(n=7, seed=0):
    """Irregular times, three features."""
    rng = np.random.default_rng(seed)
    return FeatureSeries(rng.standard_normal((n, 3)), np.cumsum(rng.uniform(0.05, 0.4, n)), ("a", "b", "c"))


def noisy(n=7, seed=0):
    """The same, with a standard error of its own for each value, and one value unknown."""
    values, se = series(n, seed).values.copy(), np.random.default_rng(seed + 1).uniform(0.5, 2, (n, 3))
    values[2, 1] = np.nan
    return FeatureSeries(values, series(n, seed).times, ("a", "b", "c"), se=se)


class TestDoor:
    def test_what_goes_in_is_copied_and_frozen(self):
        values, times = np.zeros((3, 2), np.float32), np.array([0.0, 0.5, 2.0])
        s = FeatureSeries(values, times, ["x", "y"])
        values[0, 0], times[0] = 9, -9
        assert s.values[0, 0] == 0 and s.times[0] == 0
        assert s.values.dtype == np.float64
        for array in (s.values, s.times):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
        with pytest.raises(AttributeError, match="cannot assign to field"):
            s.names = ("z", "y")

    def test_one_feature_may_be_a_row_and_a_text(self):
        s = FeatureSeries([1.0, np.nan], [0.0, 0.1], "ic")
        assert s.values.shape == (2, 1)
        assert s.names == ("ic",)
        assert (s.n_times, s.n_features) == (2, 1)
        assert s.step == pytest.approx(0.1)
        assert repr(s) == "FeatureSeries(ic: 2 values, 0.000 to 0.100 s, median step 100.00 ms)"

    def test_a_single_value_has_no_step(self):
        assert np.isnan(FeatureSeries([1.0], [0.0], "ic").step)

    @pytest.mark.parametrize(
        ("times", "error", "message"),
        [
            (
                [0.0, 2.0, 1.0],
                ValueError,
                r"strictly increasing.*2 is followed by 1 \(index 2\). Sort the rows by time",
            ),
            ([0.0, 1.0, 1.0], ValueError, r"1 is followed by 1 \(index 2\).*merge rows that share one"),
            ([0.0, np.nan, 1.0], ValueError, "times: expected finite seconds, got nan at index 1. Drop the rows"),
            ([0.0, 1.0, np.inf], ValueError, "times: expected finite seconds, got inf at index 2"),
            ([0, 1, 2], TypeError, r"times: expected floating-point.*int64.*divide sample numbers by their rate"),
            ([0.0, 1.0], ValueError, r"times: expected one per row of values \(3\), got 2. Crop the longer one"),
            ([[0.0], [1.0], [2.0]], ValueError, r"times: expected an array \(n_times,\), got shape \(3, 1\)"),
            (1.0, ValueError, r"times: expected an array \(n_times,\), got shape \(\)"),
        ],
    )
    def test_wrong_times(self, times, error, message):
        with pytest.raises(error, match=message):
            FeatureSeries([1.0, 2.0, 3.0], times, "ic")

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            (
                [[1.0, 2.0], [np.inf, 1.0]],
                ValueError,
                "got inf at row 1, feature 0. Use NaN for values that are not known",
            ),
            (
                [1, 2],
                TypeError,
                r"values: expected floating-point numbers, got dtype int64. Write `values.astype\(float\)`",
            ),
            (np.array([1, 2], np.int16), TypeError, "divide audio samples by their full scale"),
            ([True, False], TypeError, "got dtype bool"),
            ([1j, 2j], TypeError, "expected real numbers, got dtype complex128.*real part or the magnitude"),
            (np.array([1.0, None]), TypeError, "got dtype object"),
            ([[1.0, 2.0], [1.0]], TypeError, "got a ragged one. Give rows of equal length"),
            (5.0, ValueError, r"expected an array \(n_times, n_features\) or \(n_times,\), got shape \(\)"),
            (np.zeros((2, 1, 1)), ValueError, r"got shape \(2, 1, 1\)"),
            (np.zeros((0, 2)), ValueError, r"at least one time and one feature, got shape \(0, 2\)"),
            (np.zeros((2, 0)), ValueError, r"at least one time and one feature, got shape \(2, 0\)"),
        ],
    )
    def test_wrong_values(self, values, error, message):
        with pytest.raises(error, match=message):
            FeatureSeries(values, [0.0, 1.0], ("a", "b"))

    @pytest.mark.parametrize(
        ("names", "error", "message"),
        [
            ("a", ValueError, r"names: expected one name per feature \(2\), got 1: 'a'"),
            (("a", "b", "c"), ValueError, r"\(2\), got 3: 'a', 'b', 'c'"),
            (("a", "a"), ValueError, "each feature needs its own name, but 'a' stands more than once"),
            ((1, 2), TypeError, r"names: expected strings, got 1 \(int\)"),
            (None, TypeError, "names: expected strings, got None"),
        ],
    )
    def test_wrong_names(self, names, error, message):
        with pytest.raises(error, match=message):
            FeatureSeries(np.zeros((2, 2)), [0.0, 1.0], names)

    def test_a_standard_error_belongs_to_each_known_value(self):
        given = np.array([[0.1, 9.0], [0.0, np.nan], [0.3, 0.4]], np.float32)
        s = FeatureSeries([[1.0, np.nan], [1.0, np.nan], [1.0, 2.0]], [0.0, 0.5, 1.0], ("x", "y"), se=given)
        given[0, 0] = 9
        np.testing.assert_array_equal(s.se, np.float32([[0.1, np.nan], [0.0, np.nan], [0.3, 0.4]]))
        assert s.se.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            s.se[0] = 1
        assert repr(s) == "FeatureSeries(x, y: 3 values, 0.000 to 1.000 s, median step 500.00 ms, SE up to 0.4)"
        assert series().se is None
        np.testing.assert_array_equal(FeatureSeries([1.0, 2.0], [0.0, 1.0], "x", se=[0.1, 0.2]).se, [[0.1], [0.2]])
        assert repr(FeatureSeries([np.nan], [0.0], "x", se=[1.0])).endswith("SE up to nan)")

    @pytest.mark.parametrize(
        ("se", "error", "message"),
        [
            ([[0.1, 0.1], [0.1, -0.1]], ValueError, "0 or more, got -0.1 at row 1, feature 1. Estimate the error of"),
            ([[0.1, np.nan], [0.1, 0.1]], ValueError, "se: expected finite numbers.*got nan at row 0, feature 1"),
            ([[0.1, 0.1], [np.inf, 0.1]], ValueError, "got inf at row 1, feature 0. .* or leave `se` out"),
            ([0.1, 0.1], ValueError, r"se: expected one per value, \(2, 2\), got \(2, 1\). Repeat what values share"),
            (np.zeros((3, 2)), ValueError, r"got \(3, 2\)"),
            (0.1, ValueError, r"se: expected an array \(n_times, n_features\) or \(n_times,\), got shape \(\)"),
            ([[0, 1], [1, 0]], TypeError, r"se: expected floating-point.*int64. Write `se.astype\(float\)`"),
        ],
    )
    def test_wrong_standard_errors(self, se, error, message):
        with pytest.raises(error, match=message):
            FeatureSeries(np.zeros((2, 2)), [0.0, 1.0], ("a", "b"), se=se)


class TestHold:
    @pytest.mark.parametrize("sfreq", [3.0, 10.0, 64.0, 99.9])
    def test_equals_a_loop(self, sfreq):
        s = series(40)
        held = s.resample(sfreq, duration=9.0, kind="hold")
        for k, row in enumerate(held.values):
            before = [i for i, time in enumerate(s.times) if time <= k / sfreq]
            expected = s.values[before[-1]] if before else np.full(3, np.nan)
            np.testing.assert_array_equal(row, expected)
        assert held.n_times == round(9.0 * sfreq)
        np.testing.assert_array_equal(held.times, np.arange(held.n_times) / sfreq)
        assert held.names == s.names

    def test_codec_frames_last_until_the_next(self):
        """A frame begins at k * 4096/44100 s; at 64 Hz it is held 5 or 6 samples, and none is lost or doubled."""
        n = 215  # frames, about 20 s
        frames = FeatureSeries(np.arange(n, dtype=float), np.arange(n) * CODEC_STEP, "frame")
        held = frames.resample(64.0).values[:, 0]
        assert len(held) == round(n * CODEC_STEP * 64)
        np.testing.assert_array_equal(held, np.floor(np.arange(len(held)) / 64 / CODEC_STEP + 1e-9))
        assert set(np.bincount(held.astype(int))) == {5, 6}

    def test_nan_is_held_like_any_value(self):
        s = FeatureSeries([1.0, np.nan, 3.0], [0.0, 0.5, 1.0], "x")
        np.testing.assert_array_equal(s.resample(4.0).values[:, 0], [1, 1, np.nan, np.nan, 3, 3])

    def test_default_end_is_one_median_step_after_the_last(self):
        s = FeatureSeries([1.0, 2.0, 3.0, 4.0], [0.0, 0.1, 0.2, 0.7], "x")
        assert s.resample(10.0).n_times == 8
        assert s.resample(10.0, duration=0.3).n_times == 3
        assert FeatureSeries([1.0], [0.5], "x").resample(10.0).n_times == 6


class TestLinear:
    @pytest.mark.parametrize("sfreq", [7.0, 20.0, 64.0])
    def test_equals_numpy_between_the_first_and_the_last_time(self, sfreq):
        s = series(40)
        line = s.resample(sfreq, kind="linear")
        inside = (line.times >= s.times[0]) & (line.times <= s.times[-1])
        assert inside.sum() > 30
        for column in range(3):
            expected = np.interp(line.times[inside], s.times, s.values[:, column])
            np.testing.assert_allclose(line.values[inside, column], expected, rtol=0, atol=1e-12)
        assert np.isnan(line.values[line.times < s.times[0]]).all()

    def test_the_last_value_lasts_one_step_and_no_longer(self):
        s = FeatureSeries([0.0, 1.0, 2.0], [0.0, 0.5, 1.0], "x")
        line = s.resample(4.0, duration=2.0, kind="linear").values[:, 0]
        np.testing.assert_array_equal(line, [0, 0.5, 1, 1.5, 2, 2, np.nan, np.nan])

    @pytest.mark.parametrize("n", range(2, 40))
    def test_the_last_step_ends_in_time_whatever_the_last_bit(self, n):
        line = FeatureSeries(np.ones(n), np.arange(n) * 0.1, "x").resample(10.0, duration=5.0, kind="linear").values
        assert np.isfinite(line).sum() == n

    def test_nan_is_never_interpolated_across(self):
        s = FeatureSeries([[0.0, 0.0], [1.0, np.nan], [2.0, 2.0], [3.0, 3.0]], [0.0, 0.5, 1.0, 1.5], ("x", "y"))
        line = s.resample(4.0, kind="linear").values
        np.testing.assert_array_equal(line[:, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3, 3])
        np.testing.assert_array_equal(line[:, 1], [0, np.nan, np.nan, np.nan, 2, 2.5, 3, 3])

    @pytest.mark.parametrize("offset", [1e-12, -1e-12, 5e-10, -5e-10])
    def test_a_value_stands_although_its_neighbour_is_unknown(self, offset):
        """Times within the tolerance are the same time, however narrow the step."""
        times = np.arange(6) * 0.001 + offset * (np.arange(6) > 0)
        s = FeatureSeries([0.0, 1.0, np.nan, 3.0, np.nan, 5.0], times, "x")
        np.testing.assert_allclose(s.resample(1000.0, kind="linear").values[:, 0], s.values[:, 0], atol=1e-5)

    def test_a_single_value_lasts_one_sample(self):
        line = FeatureSeries([3.0], [0.5], "x").resample(4.0, duration=1.0, kind="linear").values[:, 0]
        np.testing.assert_array_equal(line, [np.nan, np.nan, 3, np.nan])


class TestImpulse:
    @pytest.mark.parametrize("sfreq", [2.0, 10.0, 64.0])
    def test_the_sum_is_conserved_even_when_notes_meet(self, sfreq):
        s = series(60)
        impulses = s.resample(sfreq, kind="impulse")
        np.testing.assert_allclose(impulses.values.sum(axis=0), s.values.sum(axis=0), rtol=0, atol=1e-12)
        if sfreq == 2.0:
            assert (impulses.values[:, 0] != 0).sum() < 60, "no notes met, so the test shows nothing"

    def test_each_goes_to_its_nearest_sample(self):
        s = series(60)
        moved = s.resample(64.0, kind="impulse")
        expected = np.zeros_like(moved.values)
        for time, value in zip(s.times, s.values, strict=True):
            expected[np.argmin(np.abs(moved.times - time))] += value
        np.testing.assert_allclose(moved.values, expected, rtol=0, atol=1e-14)

    def test_edges(self):
        """Half a sample before 0 and the very end still belong to the grid; beyond, nothing is lost quietly."""
        s = FeatureSeries([1.0, 2.0, 4.0], [-0.05, 0.95, 1.0], "note")
        values = s.resample(10.0, duration=1.0, kind="impulse").values[:, 0]
        assert values[0] == 1 and values[9] == 6 and values.sum() == 7
        with pytest.raises(
            ValueError, match=r"note: 1 of 3 impulses lie outside 0 to 1 s \(the first at -0.06 s\).*drop them"
        ):
            FeatureSeries([1.0, 2.0, 4.0], [-0.06, 0.95, 1.0], "note").resample(10.0, duration=1.0, kind="impulse")
        with pytest.raises(ValueError, match=r"2 of 3 impulses lie outside 0 to 0.9 s.*Lengthen `duration`"):
            s.resample(10.0, duration=0.9, kind="impulse")

    @pytest.mark.parametrize("last", [0.94, 0.95, 0.96, 1.0])
    def test_the_default_grid_holds_the_last_note(self, last):
        values = FeatureSeries([1.0, 2.0], [0.0, last], "note").resample(10.0, kind="impulse").values
        assert values[-1, 0] == 2
        assert values.sum() == 3

    def test_nan_stays_where_it_falls(self):
        s = FeatureSeries([1.0, np.nan, 2.0], [0.0, 0.5, 0.51], "note")
        values = s.resample(10.0, duration=1.0, kind="impulse").values[:, 0]
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(values)), [5])
        assert np.nansum(values) == 1


class TestAnyKind:
    @pytest.mark.parametrize("kind", ["hold", "linear", "impulse"])
    @pytest.mark.parametrize("step", [0.1, 0.05, 1 / 3, 1 / 64, 1 / 99.9, CODEC_STEP])
    def test_resampling_at_its_own_rate_changes_nothing(self, kind, step, rng):
        """k * 0.1 and k / 10 differ in the last bit; the samples must not."""
        values = rng.standard_normal((500, 2))
        values[3, 1] = np.nan
        for times in (np.arange(500) * step, np.cumsum(np.full(500, step)) - step, np.arange(500) / (1 / step)):
            s = FeatureSeries(values, times, ("x", "y"), se=rng.uniform(0, 1, values.shape))
            same = s.resample(1 / step, kind=kind)
            np.testing.assert_array_equal(same.values, s.values)
            np.testing.assert_array_equal(same.se, s.se)
            np.testing.assert_allclose(same.times, times, rtol=0, atol=1e-9)

    @pytest.mark.parametrize(("kind", "sfreq"), [("hold", 16.0), ("linear", 16.0), ("impulse", 16.0), ("impulse", 3.0)])
    def test_standard_errors_are_the_spread_of_noisy_values(self, kind, sfreq, rng):
        """At 16 Hz there are samples between values, at 3 Hz impulses meet. Five standard errors of a spread."""
        s, n = noisy(20).select("b"), 2000
        draws = FeatureSeries(s.values + s.se * rng.standard_normal((s.n_times, n)), s.times, list(map(str, range(n))))
        expected, drawn = s.resample(sfreq, kind=kind), draws.resample(sfreq, kind=kind).values
        np.testing.assert_array_equal(np.isnan(expected.se), np.isnan(expected.values))
        np.testing.assert_allclose(drawn.std(axis=1, ddof=1), expected.se[:, 0], rtol=5 / np.sqrt(2 * n))
        assert np.isfinite(expected.se).sum() > 10
        if sfreq == 3.0:
            assert np.nanmax(expected.se) > s.se[~np.isnan(s.se)].max(), "no impulses met, so the test shows nothing"

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"sfreq": 0.0}, ValueError, "sfreq: expected a finite positive number of hertz, got 0.0"),
            ({"sfreq": "64"}, TypeError, "sfreq: expected a number of hertz, got '64'"),
            ({"sfreq": 64, "duration": -1.0}, ValueError, "duration: expected a finite positive number of seconds"),
            ({"sfreq": 64, "duration": 0.001}, ValueError, "0.001 s holds no sample at 64 Hz. Give a longer duration"),
            ({"sfreq": 64, "kind": "liner"}, ValueError, r"kind: expected one of .* Did you mean 'linear'\?"),
        ],
    )
    def test_wrong_arguments(self, arguments, error, message):
        with pytest.raises(error, match=message):
            series().resample(**arguments)

    @pytest.mark.parametrize("kind", ["hold", "linear"])
    def test_dropping_most_values_warns(self, kind):
        s = FeatureSeries(np.zeros(1000), np.arange(1000) / 1000, "envelope")
        with pytest.warns(UserWarning, match=f"envelope: {kind} resampling from about 1000 to 64 Hz does not low-pass"):
            s.resample(64.0, kind=kind)

    def test_impulses_lose_nothing_and_so_do_not_warn(self):
        s = FeatureSeries(np.ones(1000), np.arange(1000) / 1000, "spikes")
        assert s.resample(64.0, duration=1.0, kind="impulse").values.sum() == 1000


class TestAlgebra:
    def test_shift(self):
        s = series()
        later = s.shift(0.25)
        np.testing.assert_array_equal(later.times, s.times + 0.25)
        np.testing.assert_array_equal(later.values, s.values)
        np.testing.assert_allclose(later.shift(-0.25).times, s.times, rtol=0, atol=1e-15)
        with pytest.raises(ValueError, match="seconds: expected a finite number of seconds, got nan"):
            s.shift(np.nan)

    def test_stack_then_select_gives_the_parts_back(self):
        a = series()
        b = FeatureSeries(a.values[:, 0] ** 2, a.times + 1e-12, "squared")
        both = a.stack(b)
        assert both.names == ("a", "b", "c", "squared")
        np.testing.assert_array_equal(both.select(a.names).values, a.values)
        np.testing.assert_array_equal(both.select("squared").values, b.values)
        np.testing.assert_array_equal(both.select(["c", "a"]).values, a.values[:, [2, 0]])
        np.testing.assert_array_equal(a.stack().values, a.values)

    def test_stack_refuses(self):
        a = series()
        with pytest.raises(
            ValueError, match="have different times .* Resample both with the same `sfreq` and `duration`"
        ):
            a.stack(FeatureSeries(np.zeros(a.n_times), a.times + 0.001, "late"))
        with pytest.raises(ValueError, match="have different times"):
            a.stack(FeatureSeries(np.zeros(2), a.times[:2], "short"))
        with pytest.raises(ValueError, match="'b' stands more than once"):
            a.stack(FeatureSeries(np.zeros(a.n_times), a.times, "b"))
        with pytest.raises(TypeError, match="stack: expected FeatureSeries, got ndarray"):
            a.stack(a.values)

    def test_standard_errors_stay_with_their_values(self):
        a = noisy()
        b = FeatureSeries(a.values[:, 1], a.times, "exact")
        np.testing.assert_array_equal(a.shift(0.25).se, a.se)
        np.testing.assert_array_equal(a.select(["c", "a"]).se, a.se[:, [2, 0]])
        for both in (a.stack(b), b.stack(a)):
            np.testing.assert_array_equal(both.select(a.names).se, a.se)
            np.testing.assert_array_equal(both.select("exact").se, 0 * b.values)  # nan where the value is
        assert b.shift(1.0).se is b.select("exact").se is b.stack().se is b.resample(10.0).se is None

    def test_select_refuses_an_unknown_name(self):
        with pytest.raises(ValueError, match=r"select: expected one of 'a', 'b', 'c', got 'B'"):
            series().select(["a", "B"])


class TestInfo:
    """How values were made goes where they go."""

    INFO = MappingProxyType({"model": "µ", "noise": [0.0, 0.3], "seed": 7, "codec": {"name": None, "fitted": True}})

    def informed(self):
        a = noisy()
        return FeatureSeries(a.values, a.times, a.names, se=a.se, info=self.INFO)

    def test_none_is_empty(self):
        assert dict(series().info) == {} == dict(FeatureSeries([1.0], [0.0], "x", info={}).info)

    def test_it_goes_through_everything(self):
        s = self.informed()
        assert s.info == self.INFO
        assert s.shift(0.1).info == s.select(["c", "a"]).info == self.INFO
        for kind in ("hold", "linear", "impulse"):
            assert s.resample(10.0, kind=kind).info == self.INFO

    def test_parts_of_a_stack_keep_theirs_under_their_names(self):
        s = self.informed()
        plain = FeatureSeries(s.values[:, 0], s.times, "plain")
        other = FeatureSeries(s.values[:, 0], s.times, "other", info={"seed": 8})
        assert s.stack(plain, other).info == {"a, b, c": self.INFO, "other": {"seed": 8}}
        assert plain.stack(s).info == {"a, b, c": self.INFO}
        assert s.stack(plain).stack(other).info == {"a, b, c, plain": {"a, b, c": self.INFO}, "other": {"seed": 8}}
        assert plain.stack().info == {}

    def test_it_is_a_copy_and_cannot_be_changed(self):
        given = {"noise": [0.3]}
        s = FeatureSeries([1.0], [0.0], "x", info=given)
        given["noise"].append(0.6)
        given["more"] = 1
        assert s.info == {"noise": [0.3]}
        with pytest.raises(TypeError, match="does not support item assignment"):
            s.info["noise"] = []
        with pytest.raises(AttributeError, match="cannot assign to field"):
            s.info = {}

    def test_it_is_what_a_file_would_give_back(self, tmp_path):
        s = FeatureSeries([1.0], [0.0], "x", info={"pair": (1, 2), 3: "three"})
        assert s.info == {"pair": [1, 2], "3": "three"}
        for one in (s, self.informed()):
            one.save(tmp_path / "a.npz")
            back = FeatureSeries.load(tmp_path / "a.npz")
            assert back.info == one.info
            with pytest.raises(TypeError, match="does not support item assignment"):
                back.info["more"] = 1

    @pytest.mark.parametrize(
        "info",
        [
            {"array": np.zeros(2)},
            {"number": np.int64(3)},
            {"unknown": float("nan")},
            {"set": {1}},
            {("a", "b"): 1},
            {"path": Path("x")},
            5,
            "text",
        ],
    )
    def test_what_json_cannot_hold(self, info):
        with pytest.raises(TypeError, match="info: expected what JSON can hold .*Write numbers, strings, lists"):
            FeatureSeries([1.0], [0.0], "x", info=info)

    def test_a_file_from_before_info_is_read(self, tmp_path):
        schema = np.array("eegic.FeatureSeries/1")
        np.savez(tmp_path / "a.npz", values=np.ones((2, 1)), times=np.arange(2.0), names=np.array(["x"]), schema=schema)
        assert FeatureSeries.load(tmp_path / "a.npz").info == {}

    @pytest.mark.parametrize(
        ("stored", "error", "message"),
        [
            ("{half", ValueError, "a.npz: its info cannot be read as JSON .*Make the series again"),
            ("[1, 2]", TypeError, "info: expected what JSON can hold"),
            ("NaN", TypeError, "info: expected what JSON can hold"),
        ],
    )
    def test_a_damaged_one_is_refused(self, tmp_path, stored, error, message):
        arrays = {"values": np.zeros(2), "times": np.arange(2.0), "names": np.array(["x"]), "info": np.array(stored)}
        _files.write_npz(tmp_path / "a.npz", {**arrays, "schema": np.array("eegic.FeatureSeries/1")})
        with pytest.raises(error, match=message):
            FeatureSeries.load(tmp_path / "a.npz")


class TestFile:
    def test_round_trip_is_exact(self, tmp_path):
        rng = np.random.default_rng(1)
        values = rng.standard_normal((9, 2))
        values[2, 1] = np.nan
        s = FeatureSeries(values, np.arange(9) * CODEC_STEP, ("ic 0.3", "µ"))
        s.save(tmp_path / "a.npz")
        back = FeatureSeries.load(tmp_path / "a.npz")
        np.testing.assert_array_equal(back.values, s.values)
        np.testing.assert_array_equal(back.times, s.times)
        assert back.names == s.names
        assert not back.values.flags.writeable

    def test_round_trip_with_standard_errors_is_exact(self, tmp_path):
        noisy().save(tmp_path / "a.npz")
        back = FeatureSeries.load(tmp_path / "a.npz")
        np.testing.assert_array_equal(back.values, noisy().values)
        np.testing.assert_array_equal(back.se, noisy().se)

    def test_a_file_from_before_standard_errors_is_read(self, tmp_path):
        schema = np.array("eegic.FeatureSeries/1")
        np.savez(tmp_path / "a.npz", values=np.ones((2, 1)), times=np.arange(2.0), names=np.array(["x"]), schema=schema)
        assert FeatureSeries.load(tmp_path / "a.npz").se is None

    def test_no_damage_makes_estimates_exact(self, tmp_path):
        """A flipped bit in the name of an optional array must not pass for its absence."""
        path = tmp_path / "a.npz"
        noisy().save(path)
        whole = path.read_bytes()
        for i in range(whole.index(b"PK\x01\x02"), len(whole)):  # the table of contents
            path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
            try:
                np.testing.assert_array_equal(FeatureSeries.load(path).se, noisy().se)
            except ValueError as error:
                assert "a.npz" in str(error)

    def test_it_can_be_read_without_eegic(self, tmp_path):
        series().save(tmp_path / "a.npz")
        with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
            assert set(stored.files) == {"values", "times", "names", "schema"}
            assert stored["names"].tolist() == ["a", "b", "c"]

    def test_a_failed_save_leaves_the_old_file(self, tmp_path, monkeypatch):
        series().save(tmp_path / "a.npz")

        def interrupted(*args, **kwargs):
            args[0].write(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr(np, "savez_compressed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            series(9).save(tmp_path / "a.npz")
        assert FeatureSeries.load(tmp_path / "a.npz").n_times == 7
        assert os.listdir(tmp_path) == ["a.npz"]

    def test_foreign_files(self, tmp_path):
        path = tmp_path / "other.npz"
        _files.write_npz(path, {"schema": np.array("eegic.Tracking/1"), "x": np.zeros(2)})
        with pytest.raises(
            ValueError, match=r"other.npz: expected a file of schema 'eegic.FeatureSeries/1', got 'eegic.Tr"
        ):
            FeatureSeries.load(path)
        np.savez(path, values=np.zeros(2))
        with pytest.raises(ValueError, match="got 'none' without times, names"):
            FeatureSeries.load(path)
        with pytest.raises(FileNotFoundError, match="no such file"):
            FeatureSeries.load(tmp_path / "missing.npz")

    @pytest.mark.parametrize("names", ["x", ["x"]])
    def test_one_name_may_stand_without_an_axis(self, tmp_path, names):
        schema = np.array("eegic.FeatureSeries/1")
        np.savez(tmp_path / "a.npz", values=np.zeros(2), times=np.arange(2.0), names=np.array(names), schema=schema)
        assert FeatureSeries.load(tmp_path / "a.npz").names == ("x",)

    def test_names_that_are_no_strings_are_refused(self, tmp_path):
        schema = np.array("eegic.FeatureSeries/1")
        np.savez(tmp_path / "a.npz", values=np.zeros(2), times=np.arange(2.0), names=np.array(3), schema=schema)
        with pytest.raises(TypeError, match=r"names: expected strings, got 3 \(int\)"):
            FeatureSeries.load(tmp_path / "a.npz")

    def test_a_stored_lie_is_refused(self, tmp_path):
        """A file of the right schema is checked like any input."""
        arrays = {"values": np.zeros(2), "times": np.array([1.0, 0.0]), "names": np.array(["x"])}
        _files.write_npz(tmp_path / "a.npz", {**arrays, "schema": np.array("eegic.FeatureSeries/1")})
        with pytest.raises(ValueError, match="strictly increasing"):
            FeatureSeries.load(tmp_path / "a.npz")
        honest = {**arrays, "times": np.arange(2.0), "schema": np.array("eegic.FeatureSeries/1")}
        _files.write_npz(tmp_path / "a.npz", {**honest, "se": np.array([1.0, -1.0])})
        with pytest.raises(ValueError, match=r"se: .* got -1\.0 at row 1"):
            FeatureSeries.load(tmp_path / "a.npz")


def test_series_travel_to_other_processes():
    series = FeatureSeries([1.0, np.nan], [0.0, 0.5], "ic 0.3", se=[0.1, 0.1], info={"noise": [0.3]})
    for back in (pickle.loads(pickle.dumps(series)), copy.deepcopy(series)):
        np.testing.assert_array_equal(back.values, series.values)
        np.testing.assert_array_equal(back.se, series.se)
        assert (back.names, dict(back.info)) == (series.names, {"noise": [0.3]})
        assert not back.values.flags.writeable


def test_centred_takes_means_or_what_it_is_given(rng):
    series = FeatureSeries(rng.normal(20, 1, (50, 2)), np.arange(50) / 10, ["a", "b"], se=np.ones((50, 2)))
    np.testing.assert_allclose(series.centred().values.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(series.centred([20.0, 1.0]).values, series.values - [20.0, 1.0])
    np.testing.assert_array_equal(series.centred().se, series.se)
    with pytest.raises(ValueError, match=r"at: expected a finite number per feature \(2\), got \[1.0\]"):
        series.centred([1.0])
