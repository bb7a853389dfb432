"""Acoustic features: the right size, at the right time."""

import numpy as np
import pytest
from scipy.signal import gammatone, hilbert

from eegic import Audio, envelope
from eegic.audio import resampled
from eegic.features import envelope_derivative, gammatone_spectrogram, onset_strength


def modulated(sfreq, seconds=6.0, carrier=1000.0, rate=4.0, depth=0.6):
    """A carrier whose amplitude is known: 0.5 * (1 + depth * sin(2 pi rate t))."""
    time = np.arange(round(seconds * sfreq)) / sfreq
    return Audio(0.5 * (1 + depth * np.sin(2 * np.pi * rate * time)) * np.sin(2 * np.pi * carrier * time), sfreq, "am")


@pytest.mark.parametrize("audio_rate", [8000, 22050, 44100])
@pytest.mark.parametrize("sfreq", [50.0, 64.0, 99.9, 128.0])
def test_recovers_a_known_amplitude(audio_rate, sfreq):
    found = envelope(modulated(audio_rate), sfreq)
    inside = (found.times > 1) & (found.times < 5)  # the low-pass rings where the sound begins and stops
    expected = 0.5 * (1 + 0.6 * np.sin(2 * np.pi * 4 * found.times[inside]))
    np.testing.assert_allclose(found.values[inside, 0], expected, rtol=0, atol=1e-3)
    assert found.names == ("envelope",)


@pytest.mark.parametrize("onset", [0.5, 1.0, 1.3137])
def test_a_burst_stays_where_the_sound_has_it(onset):
    """The centre of mass of the envelope is that of the burst, within a millisecond."""
    time = np.arange(3 * 22050) / 22050
    burst = 0.8 * np.exp(-0.5 * ((time - onset) / 0.05) ** 2) * np.sin(2 * np.pi * 880 * time)
    found = envelope(Audio(burst, 22050), 64)
    assert np.sum(found.times * found.values[:, 0]) / found.values.sum() == pytest.approx(onset, abs=0.001)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.21])
@pytest.mark.parametrize("sfreq", [64.0, 100.0])
def test_covers_the_sound_to_within_a_sample(rng, seconds, sfreq):
    found = envelope(Audio(rng.uniform(-1, 1, round(seconds * 16000)), 16000), sfreq)
    assert abs(found.n_times / sfreq - seconds) <= 1 / sfreq
    np.testing.assert_array_equal(found.times, np.arange(found.n_times) / sfreq)


def test_is_never_negative(rng):
    """Filters ring beside a sharp onset; an amplitude cannot."""
    clicks = np.zeros(32000)
    clicks[::4000] = 1
    assert envelope(Audio(clicks, 16000), 64).values.min() >= 0
    assert envelope(Audio(rng.uniform(-1, 1, 16000) * (np.arange(16000) > 8000), 16000), 64).values.min() >= 0


def test_silence_is_zero():
    assert not envelope(Audio(np.zeros(16000), 16000), 64).values.any()


def test_scales_with_the_sound():
    loud, soft = modulated(8000), Audio(0.25 * modulated(8000).samples, 8000)
    np.testing.assert_allclose(envelope(soft).values, 0.25 * envelope(loud).values, rtol=0, atol=1e-6)


def test_channels_are_averaged(rng):
    stereo = rng.uniform(-1, 1, (16000, 2))
    mean = envelope(Audio(stereo.mean(axis=1), 16000), 64)
    np.testing.assert_allclose(envelope(Audio(stereo, 16000), 64).values, mean.values, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("sfreq", "error", "message"),
    [
        (4001.0, ValueError, r"sfreq: 4001 Hz is more than half the rate of the sound \(8000 Hz\). Lower it"),
        (0.0, ValueError, "sfreq: expected a finite positive number of hertz"),
        (None, TypeError, "sfreq: expected a number of hertz, got None"),
    ],
)
def test_wrong_rates(sfreq, error, message):
    with pytest.raises(error, match=message):
        envelope(modulated(8000), sfreq)


@pytest.mark.parametrize("audio", ["piece.wav", np.zeros(16000)])
def test_what_is_no_audio(audio):
    message = (
        rf"audio: expected an Audio, got {type(audio).__name__}. read_audio\(path\) reads one; Audio\(samples, sfreq\)"
    )
    with pytest.raises(TypeError, match=message):
        envelope(audio)


def test_too_little_sound():
    with pytest.raises(ValueError, match="click: 0.0013 s hold no sample at 64 Hz. Give more sound"):
        envelope(Audio(np.ones(10), 8000, "click"), 64)


def low(audio, sfreq=64.0):
    """Each feature, of bands that 8000 Hz can hold."""
    return {
        "hilbert": envelope(audio, sfreq),
        "derivative": envelope_derivative(audio, sfreq),
        "gammatone": gammatone_spectrogram(audio, sfreq, n_bands=8, fmax=3000),
        "linear": gammatone_spectrogram(audio, sfreq, n_bands=8, fmax=3000, compression=1),
        "onset": onset_strength(audio, sfreq, n_bands=8, fmax=3000),
    }


def music(sfreq, seconds=4.0, seed=1):
    """Notes with partials up to 6 kHz, of unequal loudness and length; at every rate the same."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * sfreq)) / sfreq
    sound = np.zeros(len(time))
    for start in np.cumsum(rng.uniform(0.1, 0.5, 7)):
        after = np.clip(time - start, 0, None)
        shape = rng.uniform(0.05, 0.2) * (after / 0.01) ** 2 / (1 + (after / 0.01) ** 2) * np.exp(-after / 0.3)
        pitch = 220 * 2 ** (rng.integers(0, 24) / 12)
        for k in range(1, min(int(6000 / pitch), 12)):
            sound += shape / k * np.sin(2 * np.pi * k * pitch * after + k)
    return sound


def middle(found, seconds=0.5):
    """Rows that are not near an end."""
    return found.values[(found.times > seconds) & (found.times < found.times[-1] - seconds)]


class TestTime:
    @pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
    @pytest.mark.parametrize("sfreq", [64.0, 100.0, 128.5])
    def test_a_click_stays_within_half_a_sample(self, rate, sfreq):
        """Odd places: 0.1 ms are the delay that the filters leave of an onset."""
        for place in (0.61237, 0.9083):
            clicks = np.zeros(round(1.5 * rate))
            clicks[int(place * rate)] = 0.9
            found = low(Audio(clicks, rate), sfreq)
            for kind in ("hilbert", "gammatone", "linear", "onset"):
                peaks = found[kind].times[found[kind].values.argmax(axis=0)]
                assert np.abs(peaks - int(place * rate) / rate).max() < 0.5 / sfreq + 2e-4, kind

    def test_a_step_is_an_onset_where_it_begins(self):
        """Steps of tones to twice the loudness, at a place that no grid knows."""
        time = np.arange(24000) / 8000
        for begins in (1.1113, 1.4141, 1.9007):
            tone = Audio(np.where(time < begins, 0.2, 0.4) * np.sin(2 * np.pi * 500 * time), 8000)
            onset = onset_strength(tone, 64, fmax=3000)
            middle = (onset.times > 0.5) & (onset.times < 2.5)
            assert abs(onset.times[middle][onset.values[middle, 0].argmax()] - begins) < 0.75 / 64
            rising = envelope_derivative(tone, 64)
            assert abs(rising.times[middle][rising.values[middle, 0].argmax()] - begins) < 0.75 / 64

    @pytest.mark.parametrize("rate", [8000, 44100])
    def test_onsets_are_late_by_the_rise_of_the_filters_alone(self, rate):
        late = []
        for place in np.linspace(0.5, 0.53, 23):
            clicks = np.zeros(rate)
            clicks[int(place * rate)] = 0.9
            found = onset_strength(Audio(clicks, rate), 64, n_bands=8, fmax=3000)
            late.append(np.average(found.times, weights=found.values[:, 0]) - int(place * rate) / rate)
        assert 0 < np.mean(late) < 0.002 and np.ptp(late) < 0.003

    def test_no_onset_is_seen_more_than_a_sample_before_it_sounds(self):
        time = np.arange(8000) / 8000
        beep = np.concatenate([np.zeros(8000), np.exp(-5 * time) * np.sin(2 * np.pi * 900 * time)])
        found = onset_strength(Audio(beep, 8000), 64, fmax=3000)
        assert found.values[found.times <= 63 / 64].max() < 0.01 * found.values.max()
        assert found.values[found.times > 1.1].max() < 0.02 * found.values.max(), "what decays does not begin"

    @pytest.mark.parametrize("sfreq", [0.7, 32.0, 64.0, 99.9, 4000.0])
    def test_all_features_of_a_sound_stack(self, rng, sfreq):
        audio = Audio(rng.uniform(-1, 1, 20011), 8000)
        series = list(low(audio, sfreq).values())
        assert series[0].n_times == round(20011 / 8000 * sfreq)
        for one in series:
            np.testing.assert_array_equal(one.times, np.arange(one.n_times) / sfreq)
            assert one.values.min() >= 0 and np.isfinite(one.values).all()

    def test_long_sounds_are_filtered_without_seams(self, rng):
        """Every second of a sound that repeats itself is like every other, also where blocks meet."""
        second = rng.uniform(-1, 1, 8000) * np.repeat([0.0, 1.0, 0.01, 0.5], 2000) + 0.03
        audio = Audio(np.tile(second, 43), 8000)
        for kind, found in {**low(audio), "high": gammatone_spectrogram(audio, n_bands=4, fmax=3900)}.items():
            seconds = found.values.reshape(43, 64, -1)[3:-3]
            assert np.abs(seconds - seconds[7]).max() < 1e-3 * seconds.max(), kind


class TestSize:
    def test_known_amplitudes_come_back_from_the_band_of_the_carrier(self):
        found = gammatone_spectrogram(modulated(22050), 64, n_bands=2, fmin=1000, fmax=3000, compression=1)
        inside = (found.times > 1) & (found.times < 5)
        # the sidebands lie 4 Hz from the centre of a band of 135 Hz: 0.2 % down
        expected = 0.5 * (1 + 0.6 * np.sin(2 * np.pi * 4 * found.times[inside]))
        np.testing.assert_allclose(found.values[inside, 0], expected, rtol=0, atol=2e-3)

    def test_the_derivative_is_that_of_a_known_amplitude(self):
        found = envelope_derivative(modulated(22050), 256)
        inside = (found.times > 1) & (found.times < 5)
        slope = 0.5 * 0.6 * 2 * np.pi * 4 * np.cos(2 * np.pi * 4 * found.times[inside])
        np.testing.assert_allclose(found.values[inside, 0], np.maximum(slope, 0), rtol=0, atol=0.02 * slope.max())

    def test_a_tone_is_loudest_in_the_band_of_its_frequency(self):
        centres = [float(name.split()[1]) for name in gammatone_spectrogram(modulated(16000), n_bands=12).names]
        assert (centres[0], centres[-1]) == (50, 5000)
        steps = np.diff(21.4 * np.log10(1 + 0.00437 * np.array(centres)))
        np.testing.assert_allclose(steps, steps.mean(), rtol=2e-3)  # names are rounded
        time = np.arange(16000) / 16000
        for band, centre in enumerate(centres):
            tone = Audio(0.3 * np.sin(2 * np.pi * centre * time), 16000)
            level = middle(gammatone_spectrogram(tone, n_bands=12, compression=1), 0.4).mean(axis=0)
            assert level.argmax() == band
            assert level[band] == pytest.approx(0.3, rel=0.01)

    @pytest.mark.parametrize("centre", [120.0, 700.0, 2500.0])
    def test_bands_have_the_response_of_gammatone_filters(self, centre):
        """Of those in scipy, which are causal."""
        taps, _ = gammatone(centre, "fir", numtaps=8000, fs=16000)
        time = np.arange(32000) / 16000
        for ratio in (0.6, 0.85, 0.95, 1.0, 1.1, 1.3):
            tone = Audio(0.5 * np.sin(2 * np.pi * ratio * centre * time), 16000)
            bands = gammatone_spectrogram(tone, n_bands=2, fmin=centre, fmax=4000, compression=1)
            expected = abs(np.sum(taps * np.exp(-2j * np.pi * ratio * centre * np.arange(8000) / 16000)))
            assert middle(bands)[:, 0].mean() / 0.5 == pytest.approx(expected, abs=0.01)

    def test_a_band_is_a_convolution(self, rng):
        """With the kernel whose spectrum is (1 + u**2)**-2, written out in time."""
        noise, time = rng.standard_normal(32000) * 0.1 + 0.02, np.arange(-1600, 1601) / 16000
        decay = 2 * np.pi * 1.019 * (24.7 + 1000 / 9.265)
        kernel = decay / 2 * (1 + decay * np.abs(time)) * np.exp(-decay * np.abs(time) + 2j * np.pi * 1000 * time)
        magnitude = np.abs(np.convolve(noise, kernel / 16000, "same")) ** 0.6
        expected = resampled(magnitude, 16000, 64, "noise")
        found = gammatone_spectrogram(Audio(noise, 16000), 64, n_bands=2, fmin=1000, fmax=3000).values[:, 0]
        error = (found - expected)[16:-16]
        assert np.sqrt(np.mean(error**2)) < 0.002 * expected.std()

    def test_the_broadband_envelope_is_that_of_the_analytic_signal(self):
        sound = music(16000)
        expected = resampled(np.abs(hilbert(sound, 2 * len(sound))), 16000, 64, "music")[:256]
        found = envelope(Audio(sound, 16000)).values[:, 0]
        np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=0, atol=2e-4)

    def test_twice_as_loud(self):
        sound = music(8000)
        soft, loud = low(Audio(sound / 2, 8000)), low(Audio(sound, 8000))
        for kind, factor in {"hilbert": 2, "derivative": 2, "gammatone": 2**0.6, "linear": 2, "onset": 1}.items():
            expected = factor * soft[kind].values
            np.testing.assert_allclose(loud[kind].values, expected, rtol=1e-4, atol=1e-5 * expected.max(), err_msg=kind)

    def test_the_gammatone_envelope_is_the_sum_of_its_bands(self):
        audio = Audio(music(22050, 2.0), 22050)
        total, slope = envelope(audio, 100, kind="gammatone"), envelope_derivative(audio, 100, kind="gammatone")
        np.testing.assert_allclose(total.values[:, 0], gammatone_spectrogram(audio, 100).values.sum(axis=1), rtol=1e-12)
        assert (total.names, slope.names) == (("gammatone envelope",), ("gammatone envelope derivative",))
        difference = 50 * (total.values[2:, 0] - total.values[:-2, 0])
        np.testing.assert_allclose(slope.values[1:-1, 0], np.maximum(difference, 0), rtol=1e-12)

    def test_onsets_are_decibels_per_second(self):
        """A tone gets 20 dB louder, then softer, then 6 dB louder: the sum over time is 26 dB."""
        time = np.arange(40000) / 8000
        level = np.select([time < 2, time < 3, time < 4], [-30, -10, -16], -10)
        louder = Audio(10 ** (level / 20) * np.sin(2 * np.pi * 500 * time), 8000)
        found = onset_strength(louder, 64, n_bands=2, fmin=480, fmax=520)
        between = (found.times > 1) & (found.times < 4.5)
        assert found.values[between].sum() / 64 == pytest.approx(20 + 6, rel=0.02)

    def test_silence_gives_zeros(self):
        for kind, found in low(Audio(np.zeros(16000), 8000)).items():
            assert not found.values.any(), kind

    def test_beside_sound_silence_is_finite_and_small(self):
        sound = music(8000)
        sound[8000:24000] = 0
        for kind, found in low(Audio(sound, 8000)).items():
            quiet = found.values[(found.times > 1.5) & (found.times < 2.5)]
            assert 0 <= quiet.max() < 2e-3 * found.values.max(), kind

    @pytest.mark.parametrize("offset", [0.1, -0.3])
    def test_a_constant_is_no_sound(self, offset):
        plain, shifted = low(Audio(music(8000), 8000)), low(Audio(music(8000) + offset, 8000))
        for kind in plain:
            one, other = middle(plain[kind], 1.0), middle(shifted[kind], 1.0)
            np.testing.assert_allclose(other, one, rtol=0, atol=2e-3 * one.max(), err_msg=kind)

    def test_stereo_at_48_khz_is_mono_at_44_1_khz(self):
        left = music(48000, seed=2)
        stereo = Audio(np.stack([left, 2 * music(48000, seed=3) - left], axis=1), 48000)
        mono = Audio(music(44100, seed=3), 44100)
        for compute in (envelope, envelope_derivative, gammatone_spectrogram, onset_strength):
            one, other = compute(stereo, 64).values, compute(mono, 64).values
            tolerance = 0.02 if compute is onset_strength else 5e-4  # onsets: hops of other lengths
            assert np.sqrt(np.mean((one - other) ** 2)) < tolerance * one.std(), compute.__name__


class TestWrongInput:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            (
                {"fmin": 3000, "fmax": 200},
                ValueError,
                "fmin, fmax: expected 20 Hz or more, and fmin below fmax, got 30",
            ),
            ({"fmin": 440, "fmax": 440}, ValueError, "fmin below fmax, got 440 and 440 Hz"),
            ({"fmin": 5}, ValueError, "expected 20 Hz or more, and fmin below fmax, got 5 and 5000 Hz"),
            (
                {"fmax": 8000},
                ValueError,
                r"fmax: 8000 Hz is not below half the rate of am \(8000 Hz\).* Give a lower fmax",
            ),
            ({"fmin": "low"}, TypeError, "fmin: expected a number of hertz, got 'low'"),
            ({"n_bands": 1}, ValueError, "n_bands: expected at least 2, got 1"),
            ({"n_bands": 2.5}, TypeError, "n_bands: expected a whole number, got 2.5"),
            ({"sfreq": 8001.0}, ValueError, r"sfreq: 8001 Hz is more than half the rate of the sound \(16000 Hz\)"),
        ],
    )
    @pytest.mark.parametrize("compute", [gammatone_spectrogram, onset_strength])
    def test_wrong_bands(self, compute, options, error, message):
        with pytest.raises(error, match=message):
            compute(modulated(16000), **options)

    @pytest.mark.parametrize("power", [0, -0.6, 1.5])
    def test_wrong_compression(self, power):
        with pytest.raises(ValueError, match=f"compression: expected a power above 0 and at most 1, got {power:g}"):
            gammatone_spectrogram(modulated(16000), compression=power)

    def test_wrong_kinds(self):
        for compute in (envelope, envelope_derivative):
            with pytest.raises(
                ValueError, match="kind: expected one of 'hilbert', 'gammatone', got 'gamatone'. Did you"
            ):
                compute(modulated(8000), kind="gamatone")
        with pytest.raises(ValueError, match=r"am \(4000 Hz\).* sum the bands of `gammatone_spectrogram"):
            envelope(modulated(8000), kind="gammatone")

    @pytest.mark.parametrize("compute", [envelope, envelope_derivative, gammatone_spectrogram, onset_strength])
    def test_all_doors(self, compute):
        with pytest.raises(TypeError, match="audio: expected an Audio, got str"):
            compute("piece.wav")
        with pytest.warns(UserWarning, match="duo: the channels cancel") as warned:
            compute(Audio(np.stack([music(16000, 1.0), -music(16000, 1.0)], axis=1), 16000, "duo"))
        assert len(warned) == 1
        with pytest.raises(ValueError, match="click: 0.00063 s hold no sample at 64 Hz. Give more sound"):
            compute(Audio(np.ones(10), 16000, "click"))

    @pytest.mark.parametrize("n_samples", [130, 300, 1000])
    def test_very_short_sounds_have_features(self, rng, n_samples):
        for found in low(Audio(rng.uniform(-1, 1, n_samples), 8000)).values():
            assert found.n_times == int(n_samples / 8000 * 64 + 0.5) and np.isfinite(found.values).all()
