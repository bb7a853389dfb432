"""One lag convention: windows, signs, padding."""

import numpy as np
import pytest
from oracle import design

from eegic import trf
from eegic.trf import lags


@pytest.mark.parametrize("sfreq", [50, 64, 100, 128, 500])
def test_windows_on_the_grid_have_exactly_their_lags(sfreq):
    for last in range(sfreq):
        assert trf.lag_range(0.0, last / sfreq, sfreq) == range(last + 1)
        assert trf.lag_range(-last / sfreq, 0.0, sfreq) == range(-last, 1)


def test_window_between_samples_widens_to_whole_lags():
    assert trf.lag_range(-0.101, 0.399, 10) == range(-2, 5)


@pytest.mark.parametrize(("tmin", "tmax"), [(0.3, 0.1), (np.nan, 0.1), (0.0, np.inf)])
def test_impossible_windows_are_refused(tmin, tmax):
    with pytest.raises(ValueError, match="tm(in|ax)"):
        trf.lag_range(tmin, tmax, 64)


def test_positive_lag_means_the_eeg_follows_the_sound(rng):
    sound = rng.standard_normal((600, 1))
    eeg = np.concatenate([np.zeros((10, 1)), sound[:-10]])  # 100 ms later at 100 Hz
    model = trf.fit(sound, eeg, 100.0, tmin=-0.2, tmax=0.2, alpha=1e-6)
    assert model.times[np.argmax(model.weights[0, :, 0])] == pytest.approx(0.1)
    backward = trf.fit(sound, eeg, 100.0, tmin=-0.2, tmax=0.2, alpha=1e-6, backward=True)
    assert backward.times[np.argmax(backward.weights[0, :, 0])] == pytest.approx(-0.1)
    assert backward.score(sound, eeg)[0, 0] > 0.98  # the last 10 samples of sound never reach the EEG


@pytest.mark.parametrize("window", [(-3, 4), (2, 6), (-7, -2), (0, 0)])
def test_lagged_rows_are_the_explicit_design(rng, window):
    x = rng.standard_normal((50, 3))
    span = range(window[0], window[1] + 1)
    padded, start = lags.pad(x, span, np.zeros(3), np)
    rows = lags.lagged_rows(padded, start, len(span), 5, 41, np)
    np.testing.assert_array_equal(rows.T, design(x, span)[5:41])


def test_bspline_basis_reproduces_smooth_kernels_and_refuses_too_many_splines():
    basis = trf.bspline_basis(-0.1, 0.4, 100.0, spacing=0.05)
    t = np.asarray(trf.lag_range(-0.1, 0.4, 100.0)) / 100
    smooth = np.exp(-0.5 * ((t - 0.12) / 0.06) ** 2)
    fitted = basis @ np.linalg.lstsq(basis, smooth, rcond=None)[0]
    np.testing.assert_allclose(fitted, smooth, atol=5e-3)
    with pytest.raises(ValueError, match="Widen it"):
        trf.bspline_basis(0.0, 0.1, 100.0, spacing=0.01)
