"""Codecs whose linearity is known in closed form, and a random one that cannot be homogeneous."""

from types import SimpleNamespace

import numpy as np
import pytest

from eegic import Audio
from eegic.codec import Codec, CodecConfig
from eegic.linearity import GAINS, additivity, homogeneity
from eegic.perceptual import multires_stft

ROTATION = np.linalg.qr(np.random.default_rng(5).standard_normal((64, 64)))[0]
SMALL = CodecConfig(8000, 64, 16, channels=(8, 8), attention=(), bottleneck_channels=8, dim=4, embedding=8)

UNTRAINED = pytest.mark.filterwarnings("ignore:.*where decoding clips")  # random weights know no full scale


class Toy:
    """Latents are 64 samples each, rotated, raised to `power` with their signs, and shifted by `offset`.

    Decoding undoes that and multiplies each sample with a random number near 1, so it is linear for one seed only.
    """

    def __init__(self, offset=0.0, power=1.0, loudness=1.0, noise=0.2):
        self.name, self.config = "toy", SimpleNamespace(sfreq=8000.0, overhang=48)
        self.offset = offset * np.random.default_rng(6).standard_normal(64)
        self.power, self.loudness, self.noise, self.seeds = power, loudness, noise, []

    def encode(self, audio):
        n = (len(audio.samples) - 48) // 64
        z = audio.samples[: 64 * n, 0].reshape(n, 64).astype(float) @ ROTATION
        return np.sign(z) * np.abs(z) ** self.power + self.offset

    def decode(self, z, *, rng):
        self.seeds.append(rng)
        linear = np.sign(z - self.offset) * np.abs(z - self.offset) ** (1 / self.power)
        samples = np.append((linear @ ROTATION.T).ravel(), np.zeros(48)) * self.loudness
        samples *= 1 + self.noise * np.random.default_rng(rng).uniform(-1, 1, len(samples))
        return Audio(samples.clip(-1, 1), 8000.0, "decoded")


def noise(seed=0, n=6000, peak=0.4, name=None):
    samples = np.random.default_rng(seed).uniform(-peak, peak, n) * np.linspace(0.2, 1, n)
    return Audio(samples, 8000.0, name or f"noise {seed}")


SOUNDS = [noise(0), noise(1, 7000)]
PAIRS = [(noise(2), noise(3)), (noise(4, 7000), noise(5, 7000, 0.2))]


class TestLinear:
    """Rounding of the samples to float32 is what remains: 1e-7, or 140 dB."""

    @pytest.mark.parametrize("recentre", [False, True])
    def test_it_is_homogeneous(self, recentre):
        result = homogeneity(Toy(), SOUNDS, recentre=recentre)
        assert result.encoder_error.shape == (2, 4)
        assert result.snr_to_decoded.shape == (2, 4, 3)
        assert result.encoder_error.max() < 1e-6
        assert result.snr_to_decoded.min() > 120
        loss = np.broadcast_to(result.distance_of_reconstruction[:, None], (2, 4, 3))
        np.testing.assert_allclose(result.distance_to_sound, loss, rtol=1e-4)
        assert not result.n_clipped.any()

    @pytest.mark.parametrize("recentre", [False, True])
    def test_it_is_additive(self, recentre):
        result = additivity(Toy(), PAIRS, recentre=recentre)
        assert result.encoder_error.max() < 1e-6
        assert result.distance_to_decoded.max() < 1e-5
        np.testing.assert_allclose(result.distance_to_sound, result.distance_of_reconstruction, rtol=1e-4)

    def test_what_the_codec_loses_is_told_apart(self):
        """The truth is the part of the sound whose decoding does not fade: 48 samples fewer at both ends."""
        codec = Toy()
        result = homogeneity(codec, SOUNDS[0], gains=[0.5], n_draws=2, rng=7)
        n = 64 * ((6000 - 48) // 64)
        for draw in (0, 1):
            decoded = codec.decode(codec.encode(SOUNDS[0]), rng=7 + draw).samples[48:n, 0]
            expected = multires_stft(SOUNDS[0].samples[48:n, 0], decoded)
            assert result.distance_of_reconstruction[0, draw] == pytest.approx(expected, rel=1e-6)
        assert 0.05 < result.distance_of_reconstruction.min()
        assert homogeneity(Toy(noise=0), SOUNDS).distance_to_sound.max() < 1e-5

    def test_a_latent_that_means_a_softer_sound_is_found_by_the_truth(self):
        """Homogeneous and additive, but of half the loudness: 1/2 + ln 2 from the sound."""
        result = additivity(Toy(loudness=0.5, noise=0), PAIRS)
        assert result.distance_to_decoded.max() < 1e-5
        np.testing.assert_allclose(result.distance_to_sound, 0.5 + np.log(2), rtol=0.01)


class TestAffine:
    """The encoder adds o to each latent, the decoder subtracts it."""

    codec = Toy(offset=0.1, noise=0)

    def test_gains(self):
        """Raw: both sides are off by (1 - a) o, encoded or decoded. From the latent of silence on: not at all."""
        raw = homogeneity(self.codec, SOUNDS)
        for i, sound in enumerate(SOUNDS):
            z = self.codec.encode(sound)
            n = len(z)
            x = sound.samples[48 : 64 * n, 0]
            off = (np.tile(self.codec.offset, (n, 1)) @ ROTATION.T).ravel()[48:]
            for j, a in enumerate(GAINS):
                error = abs(1 - a) * np.linalg.norm(self.codec.offset) * n**0.5 / (a * np.linalg.norm(z))
                assert raw.encoder_error[i, j] == pytest.approx(error, rel=1e-5)
                snr = 20 * np.log10(a * np.linalg.norm(x) / (abs(1 - a) * np.linalg.norm(off)))
                np.testing.assert_allclose(raw.snr_to_decoded[i, j], snr, atol=1e-3)
        centred = homogeneity(self.codec, SOUNDS, recentre=True)
        assert centred.encoder_error.max() < 1e-6
        assert centred.snr_to_decoded.min() > 120
        assert (raw.recentred, centred.recentred) == (False, True)

    def test_mixtures(self):
        raw, centred = (additivity(self.codec, PAIRS, recentre=r) for r in (False, True))
        for i, (u, v) in enumerate(PAIRS):
            z_sum = self.codec.encode(u) + self.codec.encode(v)
            error = np.linalg.norm(self.codec.offset) * len(z_sum) ** 0.5 / np.linalg.norm(z_sum)
            assert raw.encoder_error[i] == pytest.approx(error, rel=1e-5)
        assert centred.encoder_error.max() < 1e-6
        assert centred.distance_to_decoded.max() < 1e-5 < 0.1 < raw.distance_to_decoded.min()
        assert centred.distance_to_sound.max() < 1e-5 < 0.1 < raw.distance_to_sound.min()


class TestOfDegreeTwo:
    """Latents are squares: the encoder turns a into a**2, the decoder into its root."""

    def test_gains(self):
        result = homogeneity(Toy(power=2), SOUNDS)
        a = np.array(GAINS)
        np.testing.assert_allclose(result.encoder_error, np.broadcast_to(abs(a - 1), (2, 4)), rtol=1e-4)
        snr = -20 * np.log10(abs(1 - 1 / np.sqrt(a)))
        np.testing.assert_allclose(result.snr_to_decoded, np.broadcast_to(snr[:, None], (2, 4, 3)), atol=1e-2)

    def test_mixtures(self):
        codec = Toy(power=2)
        result = additivity(codec, PAIRS)
        for i, (u, v) in enumerate(PAIRS):
            zu, zv = codec.encode(u), codec.encode(v)
            whole = codec.encode(Audio(u.samples + v.samples, 8000.0))
            error = np.linalg.norm(whole - zu - zv) / np.linalg.norm(zu + zv)
            assert result.encoder_error[i] == pytest.approx(error, rel=1e-5)
        assert result.encoder_error.min() > 0.3
        assert result.distance_to_decoded.min() > 0.1

    def test_the_reconstruction_is_that_of_the_mixture(self):
        """Without noise nothing is lost in it, so that the decoded mixture and the true one are the same."""
        result = additivity(Toy(power=2, noise=0), PAIRS)
        assert result.distance_of_reconstruction.max() < 1e-5
        np.testing.assert_allclose(result.distance_to_sound, result.distance_to_decoded, rtol=1e-3)
        assert result.distance_to_decoded.min() > 0.1


class TestChance:
    def test_both_sides_hear_the_same_noise(self):
        """One seed per draw, for every sound, gain and side."""
        codec = Toy()
        result = homogeneity(codec, SOUNDS, n_draws=2, rng=11)
        assert result.seeds == (11, 12)
        assert codec.seeds == 2 * (5 * [11] + 5 * [12])
        codec.seeds.clear()
        additivity(codec, PAIRS, n_draws=2, rng=11)
        assert codec.seeds == 2 * [11, 11, 12, 12]

    @UNTRAINED
    def test_the_seed_of_a_draw_repeats_it(self):
        codec = Codec.untrained(SMALL)
        three, second = (additivity(codec, PAIRS[:1], n_draws=n, rng=rng) for n, rng in ((3, 4), (1, 5)))
        np.testing.assert_array_equal(three.distance_to_sound[:, 1:2], second.distance_to_sound)
        assert np.ptp(three.distance_to_sound) > 0

    def test_a_generator_chooses_the_first_seed(self):
        first, again = (homogeneity(Toy(), SOUNDS[0], rng=np.random.default_rng(3)) for _ in range(2))
        assert first.seeds == again.seeds == tuple(first.seeds[0] + k for k in range(3))
        assert homogeneity(Toy(), SOUNDS[0], rng=None).seeds[0] > 2**32


@UNTRAINED
class TestUntrained:
    codec = Codec.untrained(SMALL, rng=1)

    @pytest.mark.parametrize("recentre", [False, True])
    def test_gains_against_a_loop(self, recentre):
        gains = (0.5, 1.0)
        result = homogeneity(self.codec, SOUNDS[:1], gains=gains, recentre=recentre, n_draws=1, rng=3)
        x = SOUNDS[0].samples.astype(float)
        z0 = self.codec.encode(Audio(0 * x, 8000)).astype(float) if recentre else 0.0
        z = self.codec.encode(SOUNDS[0]).astype(float) - z0
        whole = self.codec.decode(z0 + z, rng=3).samples[48:-48, 0].astype(float)
        for j, a in enumerate(gains):
            error = np.linalg.norm(self.codec.encode(Audio(a * x, 8000)) - z0 - a * z) / np.linalg.norm(a * z)
            assert result.encoder_error[0, j] == pytest.approx(error, rel=1e-6, abs=1e-9)
            scaled = self.codec.decode(z0 + a * z, rng=3).samples[48:-48, 0].astype(float)
            if a == 1:
                assert result.snr_to_decoded[0, j, 0] == np.inf
            else:
                snr = 10 * np.log10(np.sum((a * whole) ** 2) / np.sum((scaled - a * whole) ** 2))
                assert result.snr_to_decoded[0, j, 0] == pytest.approx(snr, abs=1e-6)
            distance = multires_stft(a * x[48:, 0][: len(scaled)], scaled)
            assert result.distance_to_sound[0, j, 0] == pytest.approx(distance, rel=1e-9)

    def test_a_bottleneck_that_normalises_cannot_be_homogeneous(self):
        """Latents keep their size, so they miss a z by at least |1 - a| / a (their sizes agree to 5 %)."""
        result = homogeneity(self.codec, SOUNDS, n_draws=1)
        a = np.array(GAINS)
        assert (result.encoder_error > (abs(1 - a) - 0.05) / a).all()

    def test_nothing_is_undefined(self):
        for frame in (homogeneity(self.codec, SOUNDS).to_frame(), additivity(self.codec, PAIRS).to_frame()):
            assert not frame.isna().any().any()


class TestTables:
    def test_gains(self):
        result = homogeneity(Toy(offset=0.1), SOUNDS, gains=(0.5, 0.9), n_draws=2, rng=8)
        frame = result.to_frame()
        assert len(frame) == 8
        row = frame[(frame.sound == "noise 1") & (frame.gain == 0.9) & (frame.seed == 9)].squeeze()
        assert (row.codec, row.recentred, row.n_clipped) == ("toy", False, 0)
        assert row.encoder_error == result.encoder_error[1, 1]
        assert row.snr_to_decoded == result.snr_to_decoded[1, 1, 1]
        assert row.distance_to_sound == result.distance_to_sound[1, 1, 1]
        assert row.distance_of_reconstruction == result.distance_of_reconstruction[1, 1]

    def test_mixtures(self):
        result = additivity(Toy(offset=0.1), PAIRS, recentre=True, n_draws=2, rng=8)
        frame = result.to_frame()
        assert len(frame) == 4
        row = frame[(frame["first"] == "noise 4") & (frame.seed == 9)].squeeze()
        assert (row.second, row.recentred, row.encoder_error) == ("noise 5", True, result.encoder_error[1])
        for name in ("distance_to_decoded", "distance_to_sound", "distance_of_reconstruction", "n_clipped"):
            assert row[name] == getattr(result, name)[1, 1]

    def test_what_they_say_of_themselves(self):
        result = homogeneity(Toy(power=2, noise=0), SOUNDS, gains=(0.36, 0.64), recentre=True)
        assert repr(result) == (
            "Homogeneity(toy, recentred, 2 sounds at gains 0.36, 0.64, 3 draws: encoder error 0.36 to 0.64; "
            "decoder 3.52 to 12 dB)"
        )
        assert repr(additivity(Toy(), PAIRS, n_draws=1)).startswith("Additivity(toy, 2 pairs, 1 draw: encoder error ")


class TestSounds:
    def test_channels_are_averaged_and_rates_adapted(self):
        """In stereo at 16 kHz as in mono at 8 kHz, but for the edge of the band."""
        t = np.arange(16_000) / 16_000
        tones = np.stack([np.sin(2 * np.pi * f * t) for f in (300, 700)], 1) * [0.5, 0.1]
        codec = Toy(offset=0.1)
        stereo = homogeneity(codec, Audio(tones, 16_000), gains=[0.5])
        mono = homogeneity(codec, Audio(tones[::2].mean(1), 8000), gains=[0.5])
        np.testing.assert_allclose(stereo.encoder_error, mono.encoder_error, rtol=1e-3)
        np.testing.assert_allclose(stereo.snr_to_decoded, mono.snr_to_decoded, atol=0.01)

    def test_clipping_is_counted_and_told(self):
        loud = Toy(loudness=3.0, noise=0)
        with pytest.warns(UserWarning, match=r"noise 0: up to \d+ decoded samples .* in 1 of 2 cases. .* softer"):
            result = homogeneity(loud, [SOUNDS[0], noise(1, peak=0.2)], gains=[0.5, 1.1], n_draws=1)
        x = 3 * SOUNDS[0].samples[: 64 * 93, 0].astype(float)
        expected = [np.sum(abs(x) >= 1) + np.sum(abs(a * x) >= 1) for a in (0.5, 1.1)]
        np.testing.assert_allclose(result.n_clipped[0, :, 0], expected, atol=2)
        assert not result.n_clipped[1].any()
        with pytest.warns(UserWarning, match=r"noise 2 \+ noise 3: up to"):
            result = additivity(loud, PAIRS[:1])
        mixture = 3 * sum(sound.samples[: 64 * 93].astype(float) for sound in PAIRS[0])
        np.testing.assert_allclose(result.n_clipped, 2 * np.sum(abs(mixture) >= 1), atol=2)

    @pytest.mark.parametrize(
        ("sounds", "options", "error", "message"),
        [
            (
                SOUNDS[0].samples,
                {},
                ValueError,
                r"sounds: expected a list of at least one, such as \[audio, ...\], got nd",
            ),
            ([], {}, ValueError, "sounds: expected a list of at least one.*got an empty one"),
            ([SOUNDS[0], "x"], {}, TypeError, r"sounds\[1\]: expected an Audio, got str"),
            ([noise(peak=0)], {}, ValueError, r"sounds\[0\]: noise 0 is silent"),
            ([noise(peak=0.99)], {}, ValueError, r"noise 0: .* at most 1, full scale, got 1.0\d* at the gain 1.1: dec"),
            ([noise(n=2100)], {}, ValueError, r"noise 0: 0.263 s leave 2000 decoded samples .* takes 2048. Give more"),
            (SOUNDS, {"gains": []}, ValueError, "gains: expected at least one number, got none"),
            (SOUNDS, {"gains": [0.5, 0]}, ValueError, "gains: expected a finite positive number of times the sound"),
            (SOUNDS, {"gains": 0.5}, ValueError, r"gains: expected an array \(n_gains,\), got shape \(\)"),
            (SOUNDS, {"n_draws": 0}, ValueError, "n_draws: expected at least 1, got 0"),
            (SOUNDS, {"recentre": 1}, TypeError, "recentre: expected True or False, got 1"),
        ],
    )
    def test_sounds_that_are_refused(self, sounds, options, error, message):
        with pytest.raises(error, match=message):
            homogeneity(Toy(), sounds, **options)

    @pytest.mark.parametrize(
        ("pairs", "error", "message"),
        [
            ([], ValueError, r"pairs: expected a list of at least one, such as \[\(u, v\), ...\], got an empty one"),
            (tuple(SOUNDS), TypeError, r"pairs\[0\]: expected two sounds, \(u, v\), got Audio. Write pairs=\[\(u, v\)"),
            ([tuple(SOUNDS)], ValueError, "noise 0 has 6000 samples at 8000 Hz and noise 1 7000. Cut the longer one"),
            (
                [(noise(0, peak=0.9), noise(0, peak=0.9))],
                ValueError,
                r"noise 0 \+ noise 0: expected a peak of at most 1",
            ),
            ([(noise(0), Audio(-noise(0).samples, 8000))], ValueError, r"pairs\[0\]: .* is silent, the sounds cancel"),
            ([(noise(0), noise(1, peak=0))], ValueError, r"pairs\[0\]\[1\]: noise 1 is silent"),
        ],
    )
    def test_pairs_that_are_refused(self, pairs, error, message):
        with pytest.raises(error, match=message):
            additivity(Toy(), pairs)

    def test_a_codec_that_is_none_or_gives_silence(self):
        with pytest.raises(TypeError, match=r"codec: expected a Codec, got str. load_codec\(name_or_path\) loads one"):
            homogeneity("mini", SOUNDS)
        with pytest.raises(ValueError, match="noise 0 is decoded as silence: there is nothing to compare with"):
            homogeneity(Toy(loudness=0), SOUNDS)
        ends = Audio(np.append(0.5, np.zeros(5999)), 8000, "click")
        with pytest.raises(ValueError, match="click is silent but for its ends, which fade"):
            homogeneity(Toy(), ends)
