"""Figures show what they are given."""

import dataclasses
import warnings
from itertools import combinations, pairwise

import mne
import numpy as np
import pytest
from handmade import tracked
from matplotlib.figure import Figure

import eegic as ei
from eegic.history import History, Row
from eegic.viz import plot_information_content, plot_training


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


def chirp(seconds=6.0, sfreq=16000):
    """A tone at 300 Hz, then at 2000 Hz, and a second of silence."""
    time = np.arange(round(seconds * sfreq)) / sfreq
    pitch = np.where(time < seconds / 2, 300, 2000)
    return ei.Audio(0.5 * np.sin(2 * np.pi * pitch * time) * (time < seconds - 1), sfreq, "two tones")


def frames(n_times, n_levels=2, se=None):
    values = np.sin(np.arange(n_times)[:, None] * 0.3 + np.arange(n_levels)) * 40
    values[0] = np.nan
    names = [f"noise {level / 10:g}" for level in range(n_levels)]
    error = None if se is None else np.full(values.shape, se)
    return ei.FeatureSeries(values, np.arange(n_times) * 4096 / 44100, names, se=error)


def test_information_content_stands_below_its_sound():
    series = frames(60, se=2.0)
    figure = plot_information_content(chirp(), series)
    above, below = figure.axes[:2]
    assert above.get_title() == "two tones" and above.get_ylabel() == "Frequency (Hz)"
    assert below.get_xlabel() == "Time (s)" and below.get_ylabel() == "Information content (nats)"
    assert above.get_xlim() == below.get_xlim() == (0, 6)
    assert [text.get_text() for text in below.get_legend().get_texts()] == ["noise 0", "noise 0.1"]
    for k, steps in enumerate(below.patches):
        values, edges, _ = steps.get_data()
        np.testing.assert_array_equal(values, series.values[:, k])
        np.testing.assert_allclose(edges, np.append(series.times, series.times[-1] + 4096 / 44100))
    band = below.collections[0].get_paths()[0].vertices
    within = (band[:, 0] >= series.times[20]) & (band[:, 0] <= series.times[21])
    assert {*np.round(band[within, 1] - series.values[20, 0], 9)} >= {3.92, -3.92}
    assert band[:, 0].min() == series.times[1], "the first value is not known"


def test_the_spectrogram_shows_what_sounds_when():
    image = plot_information_content(chirp(), frames(60)).axes[0].collections[0]
    level = image.get_array()
    corners = image.get_coordinates()
    frequencies, seconds = np.sqrt(corners[:-1, 0, 1] * corners[1:, 0, 1]), corners[0, :-1, 0]
    for between, pitch in (((0.2, 2.8), 300), ((3.2, 4.8), 2000)):
        columns = (seconds > between[0]) & (seconds < between[1])
        loudest = frequencies[level[:, columns].argmax(axis=0)]
        np.testing.assert_allclose(loudest, pitch, rtol=0.03)
        np.testing.assert_allclose(level[:, columns].max(axis=0), 0, atol=1.5)
    assert level[:, (seconds > 5.2)].max() == level.min() == image.get_clim()[0], "silence has the lightest grey"


@pytest.mark.parametrize(("seconds", "n_times"), [(0.01, 3), (0.3, 1), (200.0, 2150)])
def test_short_and_long_sounds_are_drawn(rng, seconds, n_times):
    audio = ei.Audio(rng.uniform(-0.5, 0.5, (round(seconds * 8000), 2)), 8000, "noise")
    figure = plot_information_content(audio, frames(n_times, 3))
    figure.draw_without_rendering()
    above, below = figure.axes[:2]
    assert above.collections[0].get_array().size <= 120 * 1000
    assert np.isfinite(above.collections[0].get_array()).all()
    legend = below.get_legend().get_window_extent()
    assert legend.x0 >= below.get_window_extent().x1 and legend.x1 <= figure.bbox.x1
    bar = above.child_axes[0].get_tightbbox()
    assert bar.x0 >= above.get_window_extent().x1 and bar.x1 <= figure.bbox.x1
    assert above.get_window_extent().width == pytest.approx(below.get_window_extent().width)


def test_long_series_have_a_running_mean():
    """Of the known values under it, in the middle of their steps."""
    series = frames(1000, 1)
    values = series.values.copy()
    values[300:400] = np.nan
    below = plot_information_content(chirp(100.0, 2000), dataclasses.replace(series, values=values)).axes[1]
    (line,) = below.lines
    n = 7
    assert below.get_legend().get_texts()[0].get_text() == f"noise 0\n(mean of {n * series.step:.2g} s)"
    where = int(np.argmin(np.abs(line.get_xdata() - (series.times[500] + n / 2 * series.step))))
    assert line.get_xdata()[where] == pytest.approx(series.times[500] + n / 2 * series.step, abs=1e-9)
    assert line.get_ydata()[where] == pytest.approx(values[500 : 500 + n, 0].mean())
    assert np.isnan(
        line.get_ydata()[(line.get_xdata() > series.times[302]) & (line.get_xdata() < series.times[398])]
    ).all()


def test_information_content_in_given_axes():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2)
    assert plot_information_content(chirp(2.0), frames(20, 1), unit="bits", axes=axes[:, 0]) is figure
    assert axes[1, 0].get_ylabel() == "Information content (bits)"
    assert not axes[0, 1].collections and not axes[1, 1].patches


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"audio": "piece.wav"}, TypeError, r"audio: expected an Audio, got str. `read_audio\(path\)` reads one"),
        ({"series": np.zeros(9)}, TypeError, r"series: expected a FeatureSeries, got ndarray. Stack several: a.stack"),
        ({"axes": [None, 3]}, TypeError, "axes: expected a matplotlib Axes, got int"),
        ({"axes": 3}, ValueError, "axes: expected two, for spectrogram and information content, got 1"),
    ],
)
def test_what_is_no_information_content(arguments, error, message):
    with pytest.raises(error, match=message):
        plot_information_content(**{"audio": chirp(1.0), "series": frames(9), **arguments})


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


def test_repeats_without_a_kernel_are_left_out_and_counted(rng):
    repeats = rng.standard_normal((4, 10))
    repeats[1] = np.nan
    axes = ei.plot_trf(np.arange(10) / 64, {"ic": repeats, "envelope": repeats[[0, 2]]}, unit="SD").axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), repeats[[0, 2, 3]].mean(axis=0))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ic (3 of 4)", "envelope"]
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    error = repeats[[0, 2, 3]].std(axis=0, ddof=1) / np.sqrt(3)
    assert band.max() == pytest.approx((repeats[[0, 2, 3]].mean(axis=0) + error).max())


def test_the_legend_stands_beside_the_kernels(rng):
    kernels = {f"surprisal_with_noise_of_level_{level}": rng.standard_normal(10) for level in range(8)}
    figure = ei.plot_trf(np.arange(10) / 64, kernels)
    figure.draw_without_rendering()
    axes, frame = figure.axes[0], figure.bbox
    legend = axes.get_legend().get_window_extent()
    assert legend.x0 >= axes.get_window_extent().x1
    assert legend.x1 <= frame.x1 and legend.y0 >= frame.y0
    assert axes.get_window_extent().width > 0.4 * frame.width


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"kernels": {"a": np.full((2, 10), np.nan)}}, ValueError, r"kernels\['a'\]: expected numbers, got NaN alone"),
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


def test_gains_of_all_models_share_a_scale_and_mark_what_is_significant():
    result = tracked()
    figure = ei.plot_topography(result)
    maps = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert [axes.get_title() for axes in maps] == ["ic", "ic.npy"]
    assert len({axes.images[-1].get_clim() for axes in maps}) == 1
    assert maps[0].images[-1].get_clim()[1] == np.nanmax(np.abs(result.corrected))
    for axes, p in zip(maps, result.p_maxt, strict=True):
        crosses, marked = ([line for line in axes.lines if line.get_marker() == marker][-1] for marker in "xo")
        assert len(crosses.get_xdata()) == 1, "Pz is bad"
        assert len(marked.get_xdata()) == (p < 0.05).sum() > 0
    assert {axes.get_ylabel() for axes in figure.axes} >= {"corrected Δr"}
    assert figure.get_suptitle() == "Jörg\nmarked: p < .05, corrected for channels and models"
    assert len([axes for axes in figure.axes if axes.get_ylabel()]) == 1, "one colour bar for all"
    given = ei.plot_topography(result, limit=0.5, label="gain in r")
    assert given.axes[0].images[-1].get_clim() == (-0.5, 0.5)
    assert [axes.get_ylabel() for axes in given.axes if axes.get_ylabel()] == ["gain in r"]


def many(names):
    """The result with a model of each name, its gain smaller and smaller."""
    result, n = tracked(), len(names)
    gain = np.stack([(result.r_full - result.r_reduced)[0] * (1 - k / n) for k in range(n)])
    return dataclasses.replace(
        result,
        models=dict.fromkeys(names, ("ic",)),
        r_full=result.r_reduced + gain,
        null=np.stack([result.null[0]] * n),
        kernels=dict.fromkeys(names, result.kernels["ic"]),
    )


NAMES = [f"surprisal of the model of melody, noise level {k}" for k in range(4)]
NAMES += [f"information_content_of_the_melody_level_{k}" for k in range(4)]


@pytest.mark.parametrize("draw", [ei.plot_topography, ei.plot_null])
def test_long_names_of_many_models_stand_free_and_inside(draw):
    figure = draw(many(NAMES))
    figure.draw_without_rendering()
    maps = [axes for axes in figure.axes if axes.get_title()]
    texts = [axes.title for axes in maps] or figure.axes[0].get_yticklabels()
    assert ["".join(text.get_text().split()) for text in texts] == ["".join(name.split()) for name in NAMES]
    assert all(len(line) <= 26 for text in texts for line in text.get_text().split("\n"))
    boxes = [text.get_window_extent() for text in texts]
    boxes += [figure._suptitle.get_window_extent()] if maps else [figure.axes[0].get_legend().get_window_extent()]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    for box in boxes:
        assert box.x0 >= figure.bbox.x0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    room = sum(axes.get_window_extent().width for axes in (maps[:4] or figure.axes[:1]))
    assert room > 0.6 * figure.bbox.width, "names leave room for what they name"
    bars = [axes for axes in figure.axes if axes.get_ylabel()]
    assert len(bars) == (draw is ei.plot_topography)


def test_one_map_has_room_for_its_heading():
    figure = ei.plot_topography(dataclasses.replace(many(["ic"]), participant="sub-of the second recording"))
    figure.draw_without_rendering()
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= figure.bbox.x0 and box.x1 <= figure.bbox.x1
    assert figure.get_suptitle() == "sub-of the second recording\nmarked: p < .05, corrected for channels"


def test_contours_tell_the_sign_without_colour(info):
    """Their levels belong to the scale; negative ones are dashed."""
    import matplotlib.pyplot as plt
    from matplotlib.contour import ContourSet

    _, axes = plt.subplots(1, 3)
    for one, values in zip(axes, (np.linspace(-0.3, 0.3, 32), np.linspace(0, 0.1, 32), np.zeros(32)), strict=True):
        ei.plot_topography(values, info, limit=0.25, axes=one)
    both, small, none = ([found for found in one.collections if isinstance(found, ContourSet)] for one in axes)
    np.testing.assert_allclose(both[0].levels, [-0.2, -0.15, -0.1, -0.05, 0.05, 0.1, 0.15, 0.2])
    dashed = [style[1] is not None for style in both[0].get_linestyles()]
    assert dashed == [True] * 4 + [False] * 4
    np.testing.assert_allclose(small[0].levels, [0.05])
    assert none == []


def test_a_bad_channel_has_no_kernel_to_draw():
    with pytest.raises(ValueError, match="channel: 'Pz' has no kernel, it is bad or missing. Choose another; 'Fz' is"):
        ei.plot_trf(tracked(), channel="Pz")
    lost = dataclasses.replace(tracked(), r_full=np.full_like(tracked().r_full, np.nan))
    with warnings.catch_warnings(), pytest.raises(ValueError, match="model 'ic': no channel has a score"):
        ei.plot_trf(lost)


def test_kernels_of_a_result_are_those_of_its_best_channel():
    import matplotlib.pyplot as plt

    result = tracked()
    best = np.nanargmax(result.r_full[0].mean(axis=0))
    axes = ei.plot_trf(result).axes[0]
    for line, kernel in zip(axes.lines, result.kernels["ic"][:, :, best], strict=False):
        np.testing.assert_allclose(line.get_xdata(), 1000 * result.lags)
        np.testing.assert_allclose(line.get_ydata(), 1e6 * kernel)
    assert axes.get_title() == f"Jörg, ic, {result.ch_names[best]}" and axes.get_ylabel() == "Weight (µV per SD)"
    figure, axes = plt.subplots()
    assert ei.plot_trf(result, model="ic.npy", channel="Oz", axes=axes) is figure
    np.testing.assert_allclose(axes.lines[1].get_ydata(), 1e6 * result.kernels["ic.npy"][1, :, 3])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["envelope", "noisy ic", "ic"]


def test_the_null_stands_beside_the_gain():
    import matplotlib.pyplot as plt

    result = tracked()
    axes = ei.plot_null(result).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ic", "ic.npy"]
    assert axes.get_xlabel() == "Δr, mean over channels"
    upright = [line for line in axes.lines if len(line.get_xdata()) == 2 and len(set(line.get_xdata())) == 1][:4]
    for row, (centre, observed) in enumerate(zip(upright[::2], upright[1::2], strict=True)):
        assert centre.get_xdata()[0] == pytest.approx(np.nanmean(result.null[row]))
        assert observed.get_xdata()[0] == pytest.approx(np.nanmean(result.gain[row]))
        assert axes.texts[row].get_text() == f"p = {result.p_mean[row]:.3g}"
        heights = [bar.get_height() for bar in axes.patches[40 * row : 40 * (row + 1)]]
        expected, _ = np.histogram(
            np.nanmean(result.null[row], axis=1), [*(b.get_x() for b in axes.patches[:40]), np.inf]
        )
        np.testing.assert_allclose(heights, 0.8 * expected / expected.max())
    figure = ei.plot_null(result)
    figure.draw_without_rendering()
    (zero,) = (line for line in figure.axes[0].lines if list(line.get_xdata()) == [0, 0] and line.get_color() == "k")
    legend = figure.axes[0].get_legend().get_window_extent()
    assert not legend.overlaps(zero.get_window_extent())
    assert legend.x0 >= figure.bbox.x0 and legend.x1 <= figure.bbox.x1
    figure, axes = plt.subplots(layout="constrained")
    assert ei.plot_null(result, model="ic.npy", axes=axes) is figure
    assert [text.get_text() for text in axes.texts] == [f"p = {result.p_mean[1]:.3g}"]


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda r: ei.plot_null(r.null), TypeError, "plot_null: expected a Tracking, .* got ndarray"),
        (lambda r: ei.plot_null(r, model="IC"), ValueError, "model: expected one of 'ic', 'ic.npy', got 'IC'. Did you"),
        (lambda r: ei.plot_trf(r, model="IC"), ValueError, "model: expected one of 'ic', 'ic.npy', got 'IC'. Did you"),
        (lambda r: ei.plot_trf(r, channel="fz"), ValueError, "channel: expected one of 'Fz',.* Did you mean 'Fz'"),
        (lambda r: ei.plot_trf(r, r.kernels), ValueError, "kernels: a Tracking brings its own"),
        (
            lambda r: ei.plot_trf(r.lags, r.kernels, model="ic"),
            ValueError,
            "model, channel: they choose from a Tracking",
        ),
        (
            lambda r: ei.plot_trf(r, truth={"IC": r.lags}),
            ValueError,
            "truth: expected one of 'envelope', 'ic', got 'IC'",
        ),
        (lambda r: ei.plot_topography(r.corrected[0]), TypeError, "info: expected an mne.Info beside the values"),
        (lambda r: ei.plot_topography(r, limit=0), ValueError, "limit: expected a finite positive number of r, got 0"),
        (lambda r: ei.plot_topography(r, title="ic"), ValueError, "info, mask, title, axes: a Tracking brings its own"),
        (lambda r: ei.plot_topography(r, limit=-1.0), ValueError, "limit: expected a finite positive number"),
    ],
)
def test_what_no_result_has_is_said(draw, error, message):
    with pytest.raises(error, match=message):
        draw(tracked())


# ------------------------------------------------------------------ trainings
def history(n=12, lowest=0.2, metrics=("si_sdr", "multires_stft")):
    """A training of which every fourth row is validated, the first one before any step; losses fall to `lowest`."""
    rows = []
    for k in range(n):
        validated = k % 4 == 0
        known = {name: 3.0 * k + i for i, name in enumerate(metrics)} if validated else {}
        loss = float("nan") if k == 0 else lowest + 2.0**-k
        rows.append(Row(100 * k, loss, 1e-4, 2.0 * k, lowest + 1.5 * 2.0**-k if validated else float("nan"), known))
    return History(tuple(rows))


def test_losses_and_metrics_of_a_training_stand_over_its_steps():
    one = history()
    figure = plot_training(one)
    losses, *metrics = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["step"] * 3
    assert losses.get_ylabel() == "loss"
    labels = ["SI-SDR (dB), validation", "multi-resolution STFT\ndistance, validation"]
    assert [axes.get_ylabel() for axes in metrics] == labels
    training, validation = losses.lines
    assert [text.get_text() for text in losses.get_legend().get_texts()] == [
        "training",
        "validation (averaged weights)",
    ]
    np.testing.assert_array_equal(training.get_xdata(), one.column("step")[1:])
    np.testing.assert_array_equal(training.get_ydata(), one.column("loss")[1:])
    np.testing.assert_array_equal(validation.get_xdata(), [0, 400, 800])
    np.testing.assert_array_equal(validation.get_ydata(), one.column("validation")[::4])
    for axes, name in zip(metrics, one.metrics, strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0, 400, 800])
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), one.column(name)[::4])


@pytest.mark.parametrize(("lowest", "scale"), [(0.2, "log"), (0.0, "log"), (-0.3, "linear")])
def test_losses_have_a_logarithmic_axis_if_all_are_positive(lowest, scale):
    assert plot_training(history(lowest=lowest)).axes[0].get_yscale() == scale


def test_one_loss_that_is_not_positive_is_enough_for_a_linear_axis():
    rows = history().rows
    for changed in ({"loss": 0.0}, {"validation": -1.0}):
        wrong = History((*rows[:4], dataclasses.replace(rows[4], **changed), *rows[5:]))
        assert plot_training(wrong).axes[0].get_yscale() == "linear"


def test_metrics_without_a_name_of_their_own_keep_theirs():
    figure = plot_training(history(metrics=("level 0.3",)))
    assert figure.axes[1].get_ylabel() == "level 0.3, validation"


def test_what_was_not_noted_leaves_no_mark():
    """Rows before the first step, without validation, with a metric that is not finite or came later."""
    before = plot_training(History(history().rows[:1]))
    before.draw_without_rendering()
    assert [len(line.get_xdata()) for line in before.axes[0].lines] == [0, 1]
    without = plot_training(History(history().rows[1:4]))
    without.draw_without_rendering()
    assert len(without.axes) == 1 and [len(line.get_xdata()) for line in without.axes[0].lines] == [3, 0]
    assert without.axes[0].get_yscale() == "log"
    nothing = plot_training(History((Row(0, np.nan, np.nan, 0.0), Row(5, np.nan, 1e-4, 1.0))))
    nothing.draw_without_rendering()
    later = plot_training(
        History(
            tuple(Row(k, 1.0, 1e-4, k, 1.0, {"si_sdr": value}) for k, value in enumerate([np.nan, 5.0, -np.inf, 6.0]))
        )
    )
    later.draw_without_rendering()
    np.testing.assert_array_equal(later.axes[1].lines[0].get_xdata(), [1, 3])


def test_a_training_is_drawn_from_its_table(tmp_path):
    history().write(tmp_path / "history.csv")
    drawn, read = plot_training(history()), plot_training(History.read(tmp_path / "history.csv"))
    for axes, other in zip(drawn.axes, read.axes, strict=True):
        for line, same in zip(axes.lines, other.lines, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), same.get_xydata())


def test_labels_of_a_training_do_not_overlap():
    figure = plot_training(history())
    figure.draw_without_rendering()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))
    assert boxes[0].x0 >= 0 and boxes[-1].x1 <= figure.bbox.x1
    assert min(box.y0 for box in boxes) >= 0 and max(box.y1 for box in boxes) <= figure.bbox.y1


def test_what_is_no_training():
    with pytest.raises(ValueError, match="the history is empty: nothing was noted yet. Draw it after the first step"):
        plot_training(History())
    with pytest.raises(TypeError, match=r"expected a History, got str. History.read\(path\) reads a history.csv"):
        plot_training("history.csv")
