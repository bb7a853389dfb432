"""Notes and frames: what is added, what is pooled, and what stays unknown."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from eegic import FeatureSeries
from eegic.surprisal.notes import CHORDS, POOLS, at_notes, note_ic_to_series, rank_correlation


class TestImpulses:
    @pytest.mark.parametrize("chords", CHORDS)
    def test_chords_equal_a_loop(self, rng, chords):
        onsets = np.round(rng.uniform(0, 4, 60), 1)  # many shared, none sorted
        ic = rng.gamma(2, 1.5, (60, 2))
        series = note_ic_to_series(onsets, ic, name=("pitch", "timing"), chords=chords)
        np.testing.assert_array_equal(series.times, np.unique(onsets))
        assert series.names == ("pitch", "timing")
        for time, row in zip(series.times, series.values, strict=True):
            np.testing.assert_allclose(row, getattr(np, chords)(ic[onsets == time], axis=0), rtol=1e-12)

    def test_the_sum_of_bits_reaches_the_clock(self, rng):
        onsets, ic = np.sort(rng.uniform(0, 9, 40)), rng.gamma(2, 1.5, 40)
        impulses = note_ic_to_series(onsets, ic).resample(64, duration=10, kind="impulse")
        assert impulses.values.sum() == pytest.approx(ic.sum(), rel=1e-12)

    def test_onsets_apart_by_rounding_are_one(self):
        series = note_ic_to_series([0.1 + 0.2, 0.3, 0.5], [1.0, 2.0, 4.0])
        np.testing.assert_array_equal(series.values[:, 0], [3, 4])

    @pytest.mark.parametrize("chords", CHORDS)
    def test_what_is_not_known_stays_so(self, chords):
        series = note_ic_to_series([0.0, 0.5, 0.5, 1.0], [1.0, np.nan, 2.0, 3.0], chords=chords)
        np.testing.assert_array_equal(series.values[:, 0], [1, np.nan, 3])

    @pytest.mark.parametrize(
        ("onsets", "ic", "options", "message"),
        [
            ([0.0, 1.0], [1.0], {}, r"ic: expected one row per onset \(2\), got 1"),
            ([0.0, np.nan], [1.0, 2.0], {}, "onsets: expected finite seconds of at least one note, got nan"),
            ([], [], {}, "of at least one note, got none"),
            ([0.0, 1.0], [1.0, np.inf], {}, "Use NaN for values that are not known"),
            ([0.0, 1.0], [1.0, 2.0], {"chords": "add"}, "chords: expected one of 'sum', 'max', 'mean', got 'add'"),
            ([0.0], np.zeros((1, 1, 1)), {}, r"ic: expected an array \(n_notes,\) or \(n_notes, n_features\)"),
        ],
    )
    def test_what_is_refused(self, onsets, ic, options, message):
        with pytest.raises(ValueError, match=message):
            note_ic_to_series(onsets, ic, **options)


def frames(rng, n=80, step=0.0929):
    """Two correlated features of frames with errors of unequal size, a tenth of them unknown."""
    values = rng.gamma(2, 1.5, (n, 1)) + rng.gamma(2, 0.5, (n, 2)) + (0, 10)
    values[rng.random((n, 2)) < 0.1] = np.nan
    return FeatureSeries(values, np.arange(n) * step, ("low", "high"), se=rng.uniform(0.05, 1, (n, 2)))


class TestPooling:
    @pytest.mark.parametrize("how", POOLS)
    @pytest.mark.parametrize("duration", [None, 0.3, "each"])
    def test_equals_a_loop(self, rng, how, duration):
        series = frames(rng)
        onsets = np.sort(rng.choice(np.arange(-1, 81), 25, replace=False)) * 0.0929  # on frames, and a step outside
        onsets[[0, -1]] = -0.0929, 80 * 0.0929
        seconds = rng.uniform(0.05, 0.6, 25) if duration == "each" else np.full(25, duration or np.inf)
        pooled = at_notes(series, onsets, how=how, duration=seconds if duration == "each" else duration)
        np.testing.assert_array_equal(pooled.times, onsets)
        assert pooled.names == series.names
        for note, (start, end) in enumerate(zip(onsets, np.append(onsets[1:], np.inf), strict=True)):
            for feature in range(2):
                inside = (series.times > start - 1e-9) & (series.times < min(end, start + seconds[note]) - 1e-9)
                known = inside & ~np.isnan(series.values[:, feature])
                value, se = series.values[known, feature], series.se[known, feature]
                if not known.any():
                    assert np.isnan([pooled.values[note, feature], pooled.se[note, feature]]).all()
                    continue
                expected = {
                    "max": (value.max(), se[value.argmax()]),
                    "mean": (value.mean(), np.sqrt(np.mean(se**2) / len(se))),
                    "first": (value[0], se[0]),
                    "sum": (value.sum(), np.sqrt(np.sum(se**2))),
                }[how]
                found = (pooled.values[note, feature], pooled.se[note, feature])
                np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert np.isnan(pooled.values).any() and not np.isnan(pooled.values).all()

    @pytest.mark.parametrize("how", POOLS)
    def test_notes_outside_take_nothing_and_it_is_said(self, rng, how):
        """What lies inside is as if the others were not there, although one of them lasts into the series."""
        series = frames(rng).shift(2.0)  # 2 to 9.34 s
        inside = np.array([2.21, 4.0, 9.4])
        onsets = np.concatenate([[0.5, 1.5], inside, [9.5, 30.0, 31.0]])
        with pytest.warns(
            UserWarning, match=r"onsets: 5 of 8 lie outside the series \(2 to 9.3391 s\) .*at 0.5 s"
        ) as said:
            pooled = at_notes(series, onsets, how=how)
        assert "Are onsets in seconds from the start of the sound?" in str(said[0].message)
        assert [warning.filename for warning in said] == [__file__]  # the line to look at is the caller's
        assert np.isnan(pooled.values[[0, 1, 5, 6, 7]]).all() and np.isnan(pooled.se[[0, 1, 5, 6, 7]]).all()
        expected = at_notes(series, inside, how=how)
        np.testing.assert_array_equal(pooled.values[2:5], expected.values)
        np.testing.assert_array_equal(pooled.se[2:5], expected.se)
        assert not np.isnan(pooled.values[2:4]).any()

    def test_onsets_in_milliseconds_are_noticed(self):
        series = FeatureSeries(np.arange(1.0, 9.0), np.arange(8) / 10, "ic")
        with pytest.warns(UserWarning, match="onsets: 2 of 3 lie outside the series .*the first at 100 s"):
            at_notes(series, [0.0, 100.0, 500.0])

    def test_one_step_outside_is_still_inside(self):
        """Frames stamped at their ends begin one step after the sound; the last one lasts a step."""
        series = FeatureSeries([1.0, 7.0, 3.0], [0.1, 0.2, 0.3], "ic")
        np.testing.assert_array_equal(at_notes(series, [0.0, 0.3, 0.4]).values[:, 0], [7, 3, np.nan])
        for onset in (-1e-6, 0.4 + 1e-6):
            with pytest.warns(UserWarning, match="onsets: 1 of 1 lie outside"):
                assert np.isnan(at_notes(series, [onset]).values).all()

    def test_a_single_frame_has_no_step(self):
        series = FeatureSeries([4.0], [0.1], "ic")
        assert at_notes(series, [0.1]).values == 4
        for onset in (0.0, 0.2):
            with pytest.warns(UserWarning, match=r"outside the series \(0.1 to 0.1 s\)"):
                assert np.isnan(at_notes(series, [onset]).values).all()

    def test_how_frames_were_made_stays_known(self):
        info = {"noise": [0.0, 0.3], "stamp": "onset"}
        pooled = at_notes(FeatureSeries([1.0, 2.0], [0.0, 0.1], "ic", info=info), [0.0, 0.1])
        assert dict(pooled.info) == info

    def test_a_frame_belongs_to_one_note(self, rng):
        """Means times numbers of frames give back the sum of all frames from the first onset on."""
        series = FeatureSeries(rng.gamma(2, 1.5, 100), np.arange(100) / 10, "ic")
        onsets = np.array([0.3, 0.6, 1.7, 4.2, 4.3])
        sizes = [3, 11, 25, 1, 57]
        pooled = at_notes(series, onsets, how="mean").values[:, 0]
        np.testing.assert_allclose(pooled @ sizes, series.values[3:].sum(), rtol=1e-12)

    def test_exact_values_stay_exact(self):
        assert at_notes(FeatureSeries([1.0, 2.0], [0.0, 0.1], "ic"), [0.0]).se is None

    def test_the_mean_of_independent_errors_is_as_good_as_stated(self, rng):
        se = rng.uniform(0.1, 2, 6)
        means = []
        for _ in range(4000):
            series = FeatureSeries(3 + se * rng.standard_normal(6), np.arange(6) / 10, "ic", se=se)
            pooled = at_notes(series, [0.0], how="mean")
            means.append(pooled.values[0, 0])
        assert np.std(means) == pytest.approx(pooled.se[0, 0], rel=0.05)

    @pytest.mark.parametrize(
        ("onsets", "options", "error", "message"),
        [
            ([0.0, 0.5, 0.5], {}, ValueError, "onsets: expected strictly increasing seconds. Sort them, and give each"),
            ([0.0], {"how": "median"}, ValueError, "how: expected one of 'max', 'mean', 'first', 'sum', got 'median'"),
            ([0.0], {"duration": 0.0}, ValueError, "duration: expected positive seconds, got 0"),
            ([0.0, 1.0], {"duration": [1.0]}, ValueError, r"or one per note \(2\), got 1"),
            ([0.0], {"duration": "long"}, TypeError, "duration: expected real numbers"),
        ],
    )
    def test_what_is_refused(self, onsets, options, error, message):
        with pytest.raises(error, match=message):
            at_notes(FeatureSeries([1.0], [0.0], "ic"), onsets, **options)
        with pytest.raises(TypeError, match="series: expected a FeatureSeries, got list"):
            at_notes([1.0], [0.0])


class TestRankCorrelation:
    def test_equals_scipy_on_what_is_known(self, rng):
        x = np.round(rng.gamma(2, 1.5, 200), 1)  # with ties
        y = x + rng.gamma(2, 2, 200)
        x[::7], y[::11] = np.nan, np.nan
        pieces = np.repeat(["b", "a", "c"], (90, 70, 40))
        per_piece = rank_correlation(x, y, pieces=pieces.tolist())
        assert list(per_piece) == ["b", "a", "c"]
        for name, found in [(None, rank_correlation(x, y)), *per_piece.items()]:
            kept = ~np.isnan(x + y) & ((pieces == name) | (name is None))
            assert found == pytest.approx(spearmanr(x[kept], y[kept]).statistic, rel=1e-12)

    def test_only_order_counts(self, rng):
        x = rng.standard_normal(50)
        assert rank_correlation(x, np.exp(5 * x)) == pytest.approx(1)
        assert rank_correlation(x, -(x**3)) == pytest.approx(-1)

    def test_nothing_is_said_of_too_little(self):
        assert np.isnan(rank_correlation([1.0, 2.0, np.nan], [1.0, 2.0, 3.0]))
        assert np.isnan(rank_correlation([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]))

    def test_what_is_refused(self):
        with pytest.raises(ValueError, match="x, y: expected as many values of each, got 2 and 3"):
            rank_correlation([1.0, 2.0], [1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match=r"pieces: expected one per note \(2\), got 1"):
            rank_correlation([1.0, 2.0], [1.0, 2.0], pieces=["a"])
