"""Figures over the time of a sound: features, and information content below the spectrogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.audio import Audio
from eegic.series import FeatureSeries
from eegic.viz.look import COLOURS, LINES, finished, own_axes, two_axes, widest, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DEEPEST = -70.0  # decibels below the loudest place of a spectrogram, where grey ends
_ROWS, _COLUMNS = 120, 1000  # of a spectrogram at most: what a page shows
_MEANS = 150  # so many running means side by side, of a long series


def plot_features(
    *series: FeatureSeries, tmin: float = 0.0, tmax: float | None = None, axes: Axes | None = None
) -> Figure:
    """Draw features over time: sampled ones as lines, sparse ones (mostly zeros, or irregular times) as stems.

    Parameters
    ----------
    *series : FeatureSeries
        Every feature gets a row of its own, scaled to its largest value, which stands beside its name; NaN is a gap.
    tmin, tmax : float
        Stretch to show, in seconds; by default all.
    axes : matplotlib Axes, optional

    Returns
    -------
    matplotlib Figure
    """
    _check_series(series)
    axes = own_axes(axes, (8, 1 + 0.8 * sum(one.n_features for one in series)))
    rows = [(name, one.times, one.values[:, f]) for one in series for f, name in enumerate(one.names)]
    end = max(times[-1] for _, times, _ in rows) if tmax is None else tmax
    labels = []
    for row, (name, times, values) in enumerate(rows):
        shown = (times >= tmin) & (times <= end)
        largest = float(np.nanmax(np.abs(values[shown]), initial=0.0))
        level, colour = -1.25 * row, COLOURS[row % len(COLOURS)]
        height = level + values[shown] / (largest or 1.0)
        if _sparse(times, values):
            events = values[shown] != 0
            axes.vlines(times[shown][events], level, height[events], color=colour, linewidth=1.4)
            axes.plot(times[shown][events], height[events], "o", color=colour, markersize=3)
            axes.axhline(level, color="0.8", linewidth=0.8, zorder=0)
        else:
            axes.plot(times[shown], height, color=colour, linewidth=1.1)
            alone = _alone(height)  # a line needs two
            axes.plot(times[shown][alone], height[alone], "o", color=colour, markersize=2)
        labels.append(f"{name}\n(to {largest:.3g})")
    axes.set(xlim=(tmin, end), xlabel="Time (s)", yticks=[-1.25 * row for row in range(len(rows))], yticklabels=labels)
    return finished(axes)


def plot_information_content(
    audio: Audio, series: FeatureSeries, *, unit: str | None = None, axes: Sequence[Axes] | None = None
) -> Figure:
    """Draw information content below the spectrogram of the sound it belongs to.

    Parameters
    ----------
    audio : Audio
        The sound; its channels are averaged. The spectrogram is that of windows of 93 ms, in decibels below its
        loudest place, the frequencies from 40 Hz to 16 kHz (or half the rate) in steps of equal ratio.
    series : FeatureSeries
        One or several information contents of frames, one feature per noise level. A value lasts until the next time,
        the last one for a median step; NaN is left blank. Standard errors are drawn as bands of 1.96 on either side.
        More than 600 values are drawn faint, and their running mean, which the legend names, over them.
    unit : str, optional
        Unit of the values; by default the one that ``series.info`` states, or nats.
    axes : two matplotlib Axes, optional
        For the spectrogram and for the information content.

    Returns
    -------
    matplotlib Figure
    """
    if not isinstance(audio, Audio):
        raise TypeError(f"audio: expected an Audio, got {type(audio).__name__}. `read_audio(path)` reads one.")
    if not isinstance(series, FeatureSeries):
        raise TypeError(f"series: expected a FeatureSeries, got {type(series).__name__}. Stack several: a.stack(b).")
    labels = [wrapped(name, 26) for name in series.names]
    alone = axes is None
    above, below = two_axes(axes, (8 + 0.075 * widest(labels), 4.6), "spectrogram and information content")
    image = _draw_spectrogram(above, audio)
    _draw_steps(below, series, labels)
    if alone:
        above.figure.colorbar(image, cax=above.inset_axes([1.015, 0, 0.015, 1])).set_label("Level (dB)")
    above.set_title(wrapped(audio.name, 80), fontsize="medium")
    end = max(audio.duration, series.times[-1] + (series.step if series.n_times > 1 else 0.0))
    for one in (above, below):
        one.set_xlim(min(0.0, series.times[0]), end)
    above.tick_params(labelbottom=not alone)
    unit = unit or series.info.get("unit", "nats")
    what = "Entropy" if all(name.startswith("entropy") for name in series.names) else "Information content"
    below.set(xlabel="Time (s)", ylabel=f"{what} ({unit})")
    beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if alone else {}
    below.legend(frameon=False, fontsize="small", **beside)
    return finished(below)


def _draw_spectrogram(axes: Axes, audio: Audio) -> Any:
    """Draw the level over time and frequency in grey, dark where it is loud, and return the image."""
    power, seconds, frequencies = _spectrogram(audio)
    loudest = power.max() or 1.0
    level = 10 * np.log10(np.maximum(power / loudest, 10 ** (_DEEPEST / 10)))
    image = axes.pcolormesh(
        seconds, frequencies, level, cmap="Greys", vmin=_DEEPEST, vmax=0, shading="flat", rasterized=True
    )
    ticks = [tick for tick in (50, 100, 200, 500, 1000, 2000, 5000, 10000) if tick < frequencies[-1]]
    axes.set_yscale("log")
    axes.set_yticks(ticks, [f"{tick:g}" if tick < 1000 else f"{tick // 1000}k" for tick in ticks])
    axes.set_yticks([], minor=True)
    axes.set(ylabel="Frequency (Hz)", ylim=(frequencies[0], frequencies[-1]))
    return image


def _draw_steps(axes: Axes, series: FeatureSeries, labels: Sequence[str]) -> None:
    """Draw each feature as steps from one time to the next; of a long series fainter, below its running mean."""
    end = series.times[-1] + (series.step if series.n_times > 1 else 1.0)
    edges = np.append(series.times, end)
    near = -(-series.n_times // _MEANS) if series.n_times > 4 * _MEANS else 1  # steps under a running mean
    width = 1.8 if series.n_times < 200 else 1.0
    for k, label in enumerate(labels):
        values, colour = series.values[:, k], COLOURS[k % len(COLOURS)]
        style = {"color": colour, "linestyle": LINES[k % len(LINES)]}
        if near == 1:
            axes.stairs(values, edges, baseline=None, label=label, linewidth=width, **style)
        else:
            axes.stairs(values, edges, baseline=None, color=colour, linewidth=0.6, alpha=0.35)
            heading = f"{label}\n(mean of {near * series.step:.2g} s)"
            axes.plot(*_running_mean(series.times, values, near), label=heading, linewidth=1.6, **style)
        if series.se is not None:
            error, centre = 1.96 * _repeated_end(series.se[:, k]), _repeated_end(values)
            band = {"color": colour, "alpha": 0.2, "linewidth": 0, "step": "post"}
            axes.fill_between(edges, centre - error, centre + error, **band)


def _running_mean(times: np.ndarray, values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Middle, and mean of the known values, of every `n` steps; NaN where half of them are not known."""
    known = np.isfinite(values)
    box = np.ones(n)
    count = np.convolve(known, box, "valid")
    mean = np.convolve(np.where(known, values, 0.0), box, "valid") / np.maximum(count, 1)
    return np.convolve(times, box / n, "valid") + np.median(np.diff(times)) / 2, np.where(count > n / 2, mean, np.nan)


def _repeated_end(values: np.ndarray) -> np.ndarray:
    return np.append(values, values[-1])


def _spectrogram(audio: Audio) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Power over time and frequency, small enough to be drawn however long the sound.

    Returns
    -------
    power : ndarray of shape (n_rows, n_columns)
        Mean of the short-time spectra in a column; the largest value in a row.
    seconds : ndarray of shape (n_columns + 1,)
        Edges of the columns.
    frequencies : ndarray of shape (n_rows + 1,)
        Edges of the rows, in hertz.
    """
    from scipy.fft import next_fast_len, rfft

    mono = audio.mono()
    n = max(16, round(0.093 * audio.sfreq))
    n_padded, hop = next_fast_len(2 * n, real=True), max(1, n // 4)
    n_columns = min(_COLUMNS, -(-len(mono) // hop))
    seconds = np.linspace(0, audio.duration, n_columns + 1)
    top = min(16000.0, audio.sfreq / 2)
    frequencies = np.geomspace(min(40.0, top / 16), top, _ROWS + 1)
    centres = np.sqrt(frequencies[:-1] * frequencies[1:])
    padded, window = np.pad(mono, (n // 2, n)), np.hanning(n + 2)[1:-1]
    power = np.empty((_ROWS, n_columns))
    for column in range(n_columns):
        first, last = (round(float(edge) * audio.sfreq) for edge in seconds[column : column + 2])
        # windows centred in the column; in a very long sound, 16 of them
        at = np.unique(np.linspace(first, last, min(16, max(1, (last - first) // hop)), endpoint=False).astype(int))
        at += min(hop, last - first) // 2
        spectra = np.abs(rfft(padded[at[:, None] + np.arange(n)] * window, n_padded)) ** 2
        power[:, column] = _in_rows(spectra.mean(axis=0), frequencies, centres, audio.sfreq / n_padded)
    return power, seconds, frequencies


def _in_rows(spectrum: np.ndarray, edges: np.ndarray, centres: np.ndarray, spacing: float) -> np.ndarray:
    """Largest value of the spectrum between `edges`, so that a partial is as dark in a wide row as in a narrow one."""
    bins = np.minimum(np.ceil(edges / spacing).astype(int), len(spectrum))
    largest = np.maximum.reduceat(np.append(spectrum, 0.0), bins)[:-1]
    at_centre = np.interp(centres, spacing * np.arange(len(spectrum)), spectrum)
    return np.where(np.diff(bins) > 0, np.maximum(largest, at_centre), at_centre)


def _check_series(series: Sequence[object]) -> None:
    if not series:
        raise ValueError("plot_features: expected at least one FeatureSeries, got none.")
    for one in series:
        if not isinstance(one, FeatureSeries):
            raise TypeError(
                f"plot_features: expected FeatureSeries, got {type(one).__name__}. "
                "Unpack a list, `plot_features(*series)`; of an array make a `FeatureSeries(values, times, names)`."
            )


def _alone(values: np.ndarray) -> np.ndarray:
    """Mark known values between unknown ones, shape (n_times,)."""
    known = np.pad(np.isfinite(values), 1)
    return np.asarray(known[1:-1] & ~known[:-2] & ~known[2:])


def _sparse(times: np.ndarray, values: np.ndarray) -> bool:
    steps = np.diff(times)
    return bool(np.mean(values == 0) > 0.5 or (len(steps) > 1 and np.ptp(steps) > 0.01 * np.median(steps)))
