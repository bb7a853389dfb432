"""Figures show what they are given."""

import mne
import numpy as np
import pytest
from matplotlib.figure import Figure

import eegic as ei


@pytest.fixture
def info():
    info = mne.create_info(mne.channels.make_standard_montage("biosemi32").ch_names, 64.0, "eeg")
    return info.set_montage("biosemi32")


def test_features_are_lines_or_stems_with_their_names():
    times = np.arange(64) / 64
    envelope = ei.FeatureSeries(1 + np.sin(times), times, "envelope")
    notes = ei.FeatureSeries([2.0, 0.5, 4.0], [0.0, 0.3, 0.9], "surprisal")
    figure = ei.plot_features(envelope, notes)
    axes = figure.axes[0]
    assert [label.get_text().split("\n")[0] for label in axes.get_yticklabels()] == ["envelope", "surprisal"]
    assert "(to 4)" in axes.get_yticklabels()[1].get_text()
    stems = axes.collections[0].get_segments()
    np.testing.assert_allclose([s[1, 1] - s[0, 1] for s in stems], [0.5, 0.125, 1.0])
    assert axes.get_xlabel() == "Time (s)"


def test_values_alone_between_unknown_ones_are_points():
    values = np.array([1.0, 2.0, np.nan, 3.0, np.nan, np.nan, 4.0, 5.0, np.nan, 6.0])
    axes = ei.plot_features(ei.FeatureSeries(values, np.arange(10) / 10, "loudness")).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(points[0].get_xdata(), [0.3, 0.9])
    np.testing.assert_allclose(points[0].get_ydata(), [0.5, 1.0])


def test_only_series_are_features():
    with pytest.raises(ValueError, match="at least one FeatureSeries"):
        ei.plot_features()
    with pytest.raises(TypeError, match=r"got ndarray. .* of an array make a `FeatureSeries\(values, times, names\)`"):
        ei.plot_features(np.zeros(64))
    with pytest.raises(
        TypeError, match=r"expected FeatureSeries, got list. Unpack a list, `plot_features\(\*series\)`"
    ):
        ei.plot_features([ei.FeatureSeries([1.0], [0.0], "one")])


def test_kernels_are_drawn_in_microvolts_over_milliseconds(rng):
    times = np.arange(10) / 64
    repeats = 1e-6 * rng.standard_normal((5, 10))
    figure = ei.plot_trf(times, {"envelope": repeats}, truth={"envelope": 2e-6 * np.ones(10)})
    axes = figure.axes[0]
    mean, truth = axes.lines[0], axes.lines[1]
    np.testing.assert_allclose(mean.get_xdata(), 1000 * times)
    np.testing.assert_allclose(mean.get_ydata(), 1e6 * repeats.mean(axis=0))
    np.testing.assert_allclose(truth.get_ydata(), 2.0)
    assert "µV" in axes.get_ylabel() and "ms" in axes.get_xlabel()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["envelope", "truth"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"kernels": {"a": np.zeros(9)}},
            ValueError,
            r"kernels\['a'\]: expected one value per lag \(10\), got shape \(9,\)",
        ),
        ({"kernels": {"a": np.zeros((0, 10))}}, ValueError, r"expected one value per lag \(10\), got shape \(0, 10\)"),
        (
            {"kernels": {"a": np.zeros((3, 10, 2))}},
            ValueError,
            r"\(n_lags,\) or \(n_repeats, n_lags\), got shape \(3, 10, 2\)",
        ),
        ({"kernels": {"a": 1.0}}, ValueError, r"kernels\['a'\]: expected an array \(n_lags,\) or .*, got shape \(\)"),
        (
            {"kernels": np.zeros(10)},
            TypeError,
            "kernels: expected a dictionary from feature to kernel, got ndarray. Write",
        ),
        ({"truth": np.zeros(10)}, TypeError, "truth: expected a dictionary from feature to kernel, got ndarray"),
        ({"truth": {"envelope": np.zeros(9)}}, ValueError, r"truth\['envelope'\]: expected one value per lag \(10\)"),
        ({"truth": {"envelope": np.zeros((2, 10))}}, ValueError, r"expected an array \(n_lags,\), got shape \(2, 10\)"),
        ({"truth": {"Envelope": np.zeros(10)}}, ValueError, r"truth: expected one of 'envelope'.* mean 'envelope'"),
        ({"times": []}, ValueError, "times: expected at least one lag in seconds, got none"),
    ],
)
def test_what_is_no_kernel(changes, error, message):
    arguments = {"times": np.arange(10) / 64, "kernels": {"envelope": np.zeros(10)}}
    with pytest.raises(error, match=message):
        ei.plot_trf(**{**arguments, **changes})


def test_topography_is_symmetric_and_marks_what_is_missing(info, rng):
    values = rng.standard_normal(32)
    values[[3, 8]] = np.nan
    figure = ei.plot_topography(values, info, label="Δr", mask=values > 1)
    image = figure.axes[0].images[-1]
    low, high = image.get_clim()
    assert low == -high == -np.nanmax(np.abs(values))
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert len(crosses) == 1 and len(crosses[0].get_xdata()) == 2
    marked = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert len(marked[-1].get_xdata()) == (values > 1).sum()
    assert figure.axes[1].get_ylabel() == "Δr"


def test_bad_channels_are_missing_whatever_their_value(info, rng):
    values = rng.standard_normal(32)
    values[[4, 9]] = 50.0, np.nan
    info["bads"] = [info["ch_names"][4]]
    axes = ei.plot_topography(values, info, mask=np.ones(32, bool)).axes[0]
    assert axes.images[-1].get_clim()[1] == np.delete(np.abs(values), [4, 9]).max()
    crosses, marked = ([line for line in axes.lines if line.get_marker() == marker][-1] for marker in "xo")
    assert (len(crosses.get_xdata()), len(marked.get_xdata())) == (2, 30)
    assert values[4] == 50, "the caller's array was changed"
    info["bads"] = info["ch_names"][:29]
    with pytest.raises(ValueError, match=r"at least 4 good channels with a value, got 3. NaN and .*info\['bads'\]"):
        ei.plot_topography(np.ones(32), info)


@pytest.mark.parametrize("mask", [np.ones(31, bool), [3, 8], np.ones(32), np.ones((1, 32), bool)])
def test_a_mask_is_one_boolean_per_channel(info, mask):
    with pytest.raises(ValueError, match=r"mask: expected 32 booleans, one per channel, got .*np.isin"):
        ei.plot_topography(np.zeros(32), info, mask=mask)


def test_topographies_can_share_a_scale_and_axes(info):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2)
    for one, values in zip(axes, (np.linspace(0, 0.1, 32), np.linspace(0, 0.3, 32)), strict=True):
        assert ei.plot_topography(values, info, limit=0.3, axes=one) is figure
        assert one.images[-1].get_clim() == (-0.3, 0.3)


def test_a_map_of_zeros_can_be_drawn(info):
    assert isinstance(ei.plot_topography(np.zeros(32), info), Figure)


def test_what_cannot_be_drawn_is_said(info):
    with pytest.raises(ValueError, match=r"one per channel \(32\), got 3"):
        ei.plot_topography(np.zeros(3), info)
    with pytest.raises(ValueError, match="at least 4 good channels"):
        ei.plot_topography(np.full(32, np.nan), info)
    with pytest.raises(ValueError, match=r"32 channels have no position.*A1.*set_montage"):
        ei.plot_topography(np.zeros(32), mne.create_info([f"A{i}" for i in range(1, 33)], 64.0, "eeg"))
    info["chs"][1]["loc"][:3] = info["chs"][0]["loc"][:3]
    with pytest.raises(ValueError, match="share one position"):
        ei.plot_topography(np.zeros(32), info)
