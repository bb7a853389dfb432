"""The figure of the offset between sound and EEG shows what the profile says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from eegic import Offsets, plot_alignment_qc


def offsets(peak, n_trials=3, seed=0):
    rng = np.random.default_rng(seed)
    lags = np.arange(-32, 33) / 64
    bump = 0.2 * np.exp(-0.5 * ((lags - peak) / 0.05) ** 2)
    profiles = bump + 0.02 * rng.uniform(size=(n_trials, len(lags)))
    null = 0.05 + 0.01 * rng.uniform(size=(50, len(lags)))
    return Offsets("sub-01", ("a", "b", "c")[:n_trials], lags, profiles, null, (0.05, 0.25))


def test_everything_is_drawn_in_milliseconds():
    shown = offsets(0.125)
    axes = plot_alignment_qc(shown).axes[0]
    assert axes.get_xlabel() == "Lag: EEG after sound (ms)"
    assert axes.get_ylabel() == "r, RMS over channels"
    assert axes.get_xlim() == (-500, 500)
    *trials, mean, peak = [line for line in axes.lines if len(line.get_xdata()) != 2]
    assert len(trials) == 3 and all(line.get_alpha() < 0.5 for line in trials)
    np.testing.assert_allclose(mean.get_ydata(), shown.profile)
    np.testing.assert_allclose(mean.get_xdata(), 1000 * shown.lags)
    assert peak.get_xdata()[0] == 1000 * shown.peak == 125
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(shown.band[0].min())
    (range_,) = [patch for patch in axes.patches if patch.get_width() == pytest.approx(200)]
    assert range_.get_x() == pytest.approx(50)


def test_the_legend_explains_and_the_title_judges():
    figure = plot_alignment_qc(offsets(0.375))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == [
        "where a cortical answer peaks",
        "95 % of the null",
        "each trial",
        "mean of trials",
        "its peak",
    ]
    title = figure.axes[0].get_title(loc="left").replace("\n", " ")
    assert title.startswith("sub-01: Strongest 375 ms after the sound (p = 0.02), not within 50 to 250 ms")


def test_axes_of_the_caller_are_used():
    figure, axes = plt.subplots(layout="constrained")
    assert plot_alignment_qc(offsets(0.1), axes=axes) is figure


def test_what_is_no_profile():
    with pytest.raises(
        TypeError, match="plot_alignment_qc: expected Offsets, as `offset_profile` gives them, got dict"
    ):
        plot_alignment_qc({})


def test_axes_must_be_axes():
    for wrong in (plt.subplots(1, 2)[1], "upper"):
        with pytest.raises(TypeError, match="axes: expected a matplotlib Axes, got .*plt.subplots"):
            plot_alignment_qc(offsets(0.125), axes=wrong)
