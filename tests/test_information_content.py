"""Information content of sound: each value at its place in time, the same however it is asked for."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from eegic import Audio, Codec, CodecConfig, FeatureSeries, FlowConfig, SurprisalModel, read_audio, sounding
from eegic.datasets import MelodyGrammar, synthesise
from eegic.surprisal import encode_sound, entropy, information_content

SFREQ = 16000
SIZES = {"attention": (), "bottleneck_channels": 32, "bottleneck_blocks": 1, "dim": 8, "embedding": 16}
SHORT = CodecConfig(SFREQ, 512, 128, channels=(16, 16, 16), **SIZES)  # 256 samples per latent, overhang 384
LONG = CodecConfig(SFREQ, 384, 192, channels=(8, 8, 8, 8, 8, 8), **SIZES)  # 3072 and 192: six hops of `sounding`
SLOW = CodecConfig(500, 64, 16, channels=(8, 8), frequency_only=0, **SIZES)  # a minute of sound is 30000 samples
QUICK = {"steps": 4, "progress": False}


@pytest.fixture(scope="module")
def codec():
    return Codec.untrained(SHORT)


@pytest.fixture(scope="module")
def model():
    return SurprisalModel.untrained(FlowConfig(data=8, width=32, depth=1, heads=1, blocks=2))


def click(begin, n_samples, n_after, sfreq=SFREQ, name="click"):
    """Silence, from sample `begin` a burst in which every sample is as loud as any other, and silence."""
    burst = 0.1 * np.random.default_rng(begin).choice([-1.0, 1.0], n_samples)
    return Audio(np.concatenate([np.zeros(begin), burst, np.zeros(n_after)]), sfreq, name)


@cache
def tune(duration=1.0, sfreq=SFREQ, seed=0, name="tune"):
    melody = MelodyGrammar().sample(duration=max(duration, 1.6), rng=seed)
    return synthesise(melody, sfreq=sfreq, name=name).crop(stop=duration)


def heard(begin, n_samples, n):
    """First and last sample of the click by hand: windows of 2048 samples around every 512th, those that touch it."""
    start = 512 * max(0, math.floor((begin - 1024) / 512) + 1)
    last = min((begin + n_samples - 1 + 1024) // 512, n // 512)
    return start, min(512 * (last + 1), n)


def known(series):
    return ~np.isnan(series.values[:, 0])


@pytest.fixture(scope="module", params=[SHORT, LONG], ids=["256 samples", "3072 samples"])
def clock_codec(request):
    return Codec.untrained(request.param)


@pytest.fixture(scope="module")
def sounds():
    return [tune(0.8, seed=1, name="a"), click(3001, 6000, 900, name="b"), tune(1.3, 22050, seed=2, name="c")]


@pytest.fixture(scope="module")
def alone(sounds, codec, model):
    return {sound.name: information_content(sound, model, (0.2, 0.5), codec=codec, **QUICK) for sound in sounds}


class TestTime:
    """By hand, from the sample at which a click begins; latents 0 to T - 1 begin at start + hop * j."""

    CLICKS = (  # samples before, of and after the click
        (12345, 9001, 7777),
        (1023, 20011, 0),
        (1025, 7013, 1),
        (0, 16001, 4095),
        (5 * 3072 + 1024, 10240, 3 * 3072),
        (4999, 12289, 20483),
    )

    @pytest.mark.parametrize("case", CLICKS)
    def test_stamps_are_where_latents_begin_and_end(self, clock_codec, model, case):
        sound, n = click(*case), sum(case)
        hop = clock_codec.config.samples_per_latent
        start, stop = heard(*case[:2], n)
        n_latents = (stop - start - clock_codec.config.overhang) // hop
        onsets = (start + hop * np.arange(1, n_latents)) / SFREQ
        series = information_content(sound, model, codec=clock_codec, **QUICK)
        np.testing.assert_array_equal(series.times[known(series)], onsets)
        np.testing.assert_array_equal(np.diff(np.flatnonzero(known(series))), 1)
        assert np.isnan(series.values[series.times < onsets[0]]).all()
        assert np.isnan(series.values[series.times > onsets[-1]]).all()
        assert 0 <= series.times[0] < hop / SFREQ
        assert series.times[-1] < n / SFREQ <= series.times[-1] + hop / SFREQ
        np.testing.assert_allclose(np.diff(series.times), hop / SFREQ, rtol=0, atol=1e-12)
        assert series.info["sounding"] == [start / SFREQ, stop / SFREQ]
        ends = information_content(sound, model, codec=clock_codec, stamp="end", **QUICK)
        np.testing.assert_allclose(ends.times, series.times + hop / SFREQ, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(ends.values, series.values)
        np.testing.assert_array_equal(ends.se, series.se)

    @pytest.mark.parametrize("case", CLICKS)
    def test_stamps_of_the_published_program(self, clock_codec, model, case):
        """Row floor(s / hop) + j - 1 holds latent j, at floor(s / hop) + j periods."""
        n, hop = sum(case), clock_codec.config.samples_per_latent
        start, stop = heard(*case[:2], n)
        n_latents = (stop - start - clock_codec.config.overhang) // hop
        n_rows = start // hop + (n_latents - 1) + math.ceil((n - stop) / hop)
        series = information_content(click(*case), model, codec=clock_codec, stamp="reference", **QUICK)
        assert series.n_times == n_rows
        np.testing.assert_allclose(series.times, np.arange(1, n_rows + 1) * hop / SFREQ, rtol=1e-15)
        np.testing.assert_array_equal(np.flatnonzero(known(series)), start // hop + np.arange(n_latents - 1))
        own = information_content(click(*case), model, codec=clock_codec, **QUICK)
        np.testing.assert_array_equal(series.values[known(series)], own.values[known(own)])
        early = own.times[known(own)] - series.times[known(series)]
        np.testing.assert_allclose(early, start % hop / SFREQ, rtol=0, atol=1e-12)

    def test_these_clicks_show_fractions_of_a_latent(self):
        starts = [heard(*case[:2], sum(case))[0] % 3072 for case in self.CLICKS]
        assert len(set(starts)) >= 4 and 0 in starts

    def test_pauses_inside_have_values(self, codec, model):
        sound = Audio(np.concatenate([click(3001, 4000, 9000).samples, click(0, 4000, 5000).samples]), SFREQ)
        series = information_content(sound, model, codec=codec, **QUICK)
        np.testing.assert_array_equal(np.diff(np.flatnonzero(known(series))), 1)
        pause = (series.times > 9000 / SFREQ) & (series.times < 14000 / SFREQ)
        assert pause.sum() > 10 and known(series)[pause].all()

    @pytest.mark.parametrize("sfreq", [8000, 22050, 44100, 48000])
    def test_at_another_rate_the_clock_is_that_of_the_sound(self, codec, model, sfreq):
        begin = round(0.7654 * sfreq)
        sound = click(begin, sfreq, round(0.4 * sfreq), sfreq)
        series = information_content(sound, model, codec=codec, **QUICK)
        first, last = series.times[known(series)][[0, -1]]
        frame = 256 / SFREQ
        assert begin / sfreq - 1536 / SFREQ < first - frame <= begin / sfreq - 512 / SFREQ  # windows that hear it
        assert begin / sfreq + 1 < last + 512 / SFREQ + 2 * frame < begin / sfreq + 1 + 2048 / SFREQ
        assert series.times[-1] < sound.duration + 1 / SFREQ
        assert sound.duration <= series.times[-1] + frame + 1 / SFREQ

    def test_on_the_clock_of_eeg_unknown_stays_unknown(self, codec, model):
        """At 64 Hz, as a tracking analysis asks for it: by a loop over samples."""
        sound = click(12345, 9001, 7777)
        series = information_content(sound, model, (0.0, 0.3), codec=codec, **QUICK)
        held = series.resample(64, duration=sound.duration, kind="hold")
        assert held.n_times == round(64 * sound.duration)
        for time, value, error in zip(held.times, held.values, held.se, strict=True):
            before = np.flatnonzero(series.times <= time + 1e-9)
            np.testing.assert_array_equal(value, series.values[before[-1]] if len(before) else np.nan)
            np.testing.assert_array_equal(error, series.se[before[-1]] if len(before) else np.nan)
        assert 10 < np.isnan(held.values[:, 0]).sum() < held.n_times - 10
        np.testing.assert_array_equal(np.isnan(held.se), np.isnan(held.values))
        assert held.info == series.info


class TestValues:
    SETTINGS = (
        {"mode": "exact"},
        {"mode": "exact", "at": "ode"},
        {"mode": "fast", "probes": 4, "steps": 6},
        {"mode": "fast", "at": "ode"},
        {"mode": "reference", "steps": 10},
    )

    @pytest.mark.parametrize("settings", SETTINGS)
    def test_are_those_of_the_model_on_the_latents_of_what_sounds(self, codec, model, settings):
        sound = click(12345, 9001, 7777)
        start, stop = sounding(sound)
        z = codec.encode(Audio(sound.samples[start:stop], SFREQ))
        series = information_content(sound, model, (0.0, 0.4), codec=codec, rng=3, **settings)
        expected = model.estimate(z, (0.0, 0.4), rng=3, key=series.info["sound sha256"], **settings)
        np.testing.assert_allclose(series.values[known(series)], expected.nats[:, 1:].T, rtol=0, atol=1e-5)
        np.testing.assert_allclose(series.se[known(series)], expected.se[:, 1:].T, rtol=0, atol=1e-5)
        assert np.isnan(expected.nats[:, 0]).all() and series.names == ("ic 0", "ic 0.4")

    def test_what_is_encoded_can_be_had(self, codec):
        sound = click(12345, 9001, 7777, name="here")
        encoded = encode_sound(sound, codec)
        assert (encoded.name, encoded.n_samples, encoded.hop, encoded.sfreq) == ("here", 29123, 256, SFREQ)
        assert (encoded.start, encoded.stop) == heard(12345, 9001, 29123)
        cropped = Audio(sound.samples[encoded.start : encoded.stop], SFREQ)
        np.testing.assert_array_equal(encoded.latents, codec.encode(cropped))

    @pytest.mark.parametrize("mode", ["fast", "exact", "reference"])
    @pytest.mark.parametrize("at", ["expectation", "ode"])
    def test_levels_together_are_those_one_by_one(self, codec, model, mode, at):
        """On one trajectory (at the ode, with probes) the solver steps from level to level: 0.02 nats and errors."""
        steps = {} if mode == "exact" else {"steps": 60}
        options = {"codec": codec, "mode": mode, "at": at, "progress": False, **steps}
        levels = (0.6, 0.0, 0.3)
        together = information_content(tune(0.5), model, levels, **options)
        assert together.names == ("ic 0.6", "ic 0", "ic 0.3")
        for i, level in enumerate(levels):
            alone = information_content(tune(0.5), model, level, **options)
            difference = np.abs(together.values[known(together), i] - alone.values[known(alone), 0])
            if at == "expectation":
                assert difference.max() < (1e-4 if mode != "exact" else 0.02)
            else:
                error = np.hypot(together.se[known(together), i], alone.se[known(alone), 0])
                assert (difference < 0.02 + 4 * error).mean() > 0.97

    def test_bits(self, codec, model):
        nats = information_content(tune(), model, (0.0, 0.3), codec=codec, **QUICK)
        bits = information_content(tune(), model, (0.0, 0.3), codec=codec, unit="bits", **QUICK)
        np.testing.assert_allclose(bits.values * math.log(2), nats.values, rtol=1e-14)
        np.testing.assert_allclose(bits.se * math.log(2), nats.se, rtol=1e-14)
        assert (nats.info["unit"], bits.info["unit"]) == ("nats", "bits")

    def test_long_sounds_are_encoded_as_asked(self):
        """Above a minute chunks part; before, both ways are the same, and beyond they are not."""
        codec = Codec.untrained(SLOW)
        model = SurprisalModel.untrained(FlowConfig(data=8, width=16, depth=1, heads=1, blocks=1))
        rng = np.random.default_rng(0)
        for seconds, same in ((59, True), (75, False)):
            sound = Audio(0.1 * rng.standard_normal(seconds * 500), 500)
            for chunk in ("reference", "overlap"):
                series = information_content(sound, model, codec=codec, mode="fast", chunk=chunk, **QUICK)
                z = codec.encode(sound, chunk=chunk)
                expected = model.estimate(z, 0.3, steps=4, key=series.info["sound sha256"]).nats[0, 1:]
                np.testing.assert_allclose(series.values[known(series), 0], expected, rtol=0, atol=1e-4)
                assert series.info["chunk"] == chunk
            other = information_content(sound, model, codec=codec, chunk="reference", **QUICK)
            difference = np.nanmax(np.abs(other.values - series.values))
            assert difference < 0.01 if same else difference > 0.1


class TestSounds:
    @staticmethod
    def assert_same(found, alone):
        assert list(found) == list(alone)
        for name, series in found.items():
            np.testing.assert_array_equal(series.times, alone[name].times)
            np.testing.assert_allclose(series.values, alone[name].values, rtol=0, atol=1e-4)
            np.testing.assert_allclose(series.se, alone[name].se, rtol=0, atol=1e-4)
            assert series.info == alone[name].info

    def test_together_are_those_one_by_one(self, sounds, alone, codec, model):
        assert len({series.n_times for series in alone.values()}) == 3
        self.assert_same(information_content(sounds, model, (0.2, 0.5), codec=codec, **QUICK), alone)
        self.assert_same(information_content(iter(sounds), model, (0.2, 0.5), codec=codec, **QUICK), alone)

    def test_a_mapping_names_them(self, sounds, alone, codec, model):
        named = dict(zip("xyz", sounds, strict=True))
        found = information_content(named, model, (0.2, 0.5), codec=codec, **QUICK)
        assert list(found) == ["x", "y", "z"]
        self.assert_same(dict(zip("abc", found.values(), strict=True)), alone)

    @pytest.mark.parametrize("kind", [str, Path])
    def test_paths_are_read(self, sounds, codec, model, kind, tmp_path):
        for sound in sounds:
            sound.write(tmp_path / f"{sound.name}.wav")
        paths = [kind(tmp_path / f"{name}.wav") for name in "abc"]
        found = information_content(paths, model, (0.2, 0.5), codec=codec, **QUICK)
        read = {
            n: information_content(read_audio(tmp_path / f"{n}.wav"), model, (0.2, 0.5), codec=codec, **QUICK)
            for n in "abc"
        }
        self.assert_same(found, read)
        alone = information_content(paths[1], model, (0.2, 0.5), codec=codec, **QUICK)
        assert isinstance(alone, FeatureSeries)
        self.assert_same({"b": alone}, {"b": read["b"]})

    def test_a_list_of_one_is_a_list(self, sounds, codec, model):
        assert list(information_content(sounds[:1], model, codec=codec, **QUICK)) == ["a"]

    @pytest.mark.parametrize(("mode", "batch"), [("fast", 1), ("fast", 37), ("reference", 64), ("exact", 37)])
    def test_any_batch(self, codec, model, mode, batch):
        sounds = [tune(0.4, name="a"), tune(0.2, seed=1, name="b")]
        usual = information_content(sounds, model, (0.0, 0.5), codec=codec, mode=mode)
        other = information_content(sounds, model, (0.0, 0.5), codec=codec, mode=mode, batch=batch)
        for name, series in usual.items():
            np.testing.assert_allclose(other[name].values, series.values, rtol=0, atol=1e-3)

    def test_the_same_sound_under_other_names_is_the_same(self, codec, model):
        found = information_content({"a": tune(), "b": tune()}, model, codec=codec, **QUICK)
        np.testing.assert_allclose(found["a"].values, found["b"].values, rtol=0, atol=1e-4)
        assert found["a"].info["sound sha256"] == found["b"].info["sound sha256"]

    def test_names_that_stand_twice(self, codec, model, tmp_path):
        with pytest.raises(ValueError, match="audio: each sound needs its own name, but 'tune' stands more than once"):
            information_content([tune(), tune(seed=1)], model, codec=codec)
        paths = [tmp_path / folder / "piece.wav" for folder in "ab"]
        for path in paths:
            path.parent.mkdir()
            tune().write(path)
        with pytest.raises(ValueError, match="'piece' stands more than once"):
            information_content(paths, model, codec=codec)


class TestChance:
    def test_the_same_seed_gives_the_same_numbers(self, codec, model):
        once, again = (information_content(tune(), model, (0.0, 0.3), codec=codec, rng=5) for _ in range(2))
        np.testing.assert_array_equal(once.values, again.values)
        np.testing.assert_array_equal(once.se, again.se)
        generators = [np.random.default_rng(5) for _ in range(2)]
        once, again = (information_content(tune(), model, codec=codec, rng=generator) for generator in generators)
        np.testing.assert_array_equal(once.values, again.values)
        assert once.info["seed"] == again.info["seed"]

    def test_another_seed_differs_by_its_errors(self, codec, model):
        """Differences over their standard errors have a root mean square of about 1.

        At 4 steps. At the 16 of the usual mode, probes go round all 8 dimensions, errors cancel, and it is less.
        """
        sound = tune(2.0)
        exact = information_content(sound, model, codec=codec, mode="exact", tolerance=0.002)
        for steps, least in ((4, 0.7), (None, 0.02)):
            a, b = (information_content(sound, model, codec=codec, steps=steps, rng=rng) for rng in (0, 1))
            assert np.abs(a.values - b.values)[known(a)].max() > 1e-3
            for z in ((a.values - b.values) / np.hypot(a.se, b.se), (a.values - exact.values) / a.se):
                assert least < np.sqrt(np.nanmean(z**2)) < 1.4

    def test_exact_numbers_have_no_chance(self, codec, model):
        a, b = (information_content(tune(), model, codec=codec, mode="exact", rng=rng) for rng in (0, 1))
        np.testing.assert_array_equal(a.values, b.values)

    def test_a_sound_has_the_probes_of_its_samples_not_of_its_name(self, codec, model):
        a = information_content(tune(name="a"), model, codec=codec)
        b = information_content({"other": tune(name="b")}, model, codec=codec)["other"]
        np.testing.assert_allclose(a.values, b.values, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("mode", ["fast", "reference"])
    def test_one_probe_has_no_standard_error(self, codec, model, mode):
        series = information_content(tune(), model, codec=codec, mode=mode, probes=1, **QUICK)
        assert series.se is None and known(series).sum() > 50

    def test_exact_values_know_their_numerical_error(self, codec, model):
        """That of the path and that of the divergence may each be as large as the tolerance."""
        rough, fine = (
            information_content(tune(), model, codec=codec, mode="exact", tolerance=tolerance)
            for tolerance in (0.05, 0.002)
        )
        assert np.nanmax(rough.se) <= 0.1 and np.nanmax(fine.se) <= 0.004
        assert np.nanmax(np.abs(rough.values - fine.values)) < 0.1
        assert np.nanmean(fine.se) < np.nanmean(rough.se)


class TestTwoRates:
    @pytest.mark.parametrize("timbre", ["piano", "strings"])
    def test_a_recording_at_48_khz_in_stereo_and_at_44_in_mono(self, codec, model, timbre, rng):
        """The middle is the same music, the sides cancel; medians and maxima relative to the SD over time."""
        melody = MelodyGrammar().sample(duration=3, rng=0)
        middle = synthesise(melody, sfreq=48000, timbre=timbre, second_voice=True, name="music")
        side = 0.02 * rng.standard_normal(middle.samples.shape)
        stereo = Audio(np.hstack([middle.samples + side, middle.samples - side]), 48000, "music")
        a, b = (
            information_content(sound, model, (0.0, 0.3), codec=codec, mode="exact")
            for sound in (stereo, middle.resample(44100))
        )
        np.testing.assert_array_equal(a.times, b.times)
        spread = np.nanstd(a.values, axis=0)
        difference = np.abs(a.values - b.values)[known(a)] / spread
        assert (np.median(difference, axis=0) < 5e-4).all() and difference.max() < 0.01
        assert (spread > 0.3).all()

    def test_integers_are_floats(self, codec, model):
        floats = tune()
        integers = Audio(np.round(floats.samples * 32768).astype(np.int16), SFREQ)
        a, b = (information_content(sound, model, codec=codec, mode="exact") for sound in (floats, integers))
        assert spearmanr(a.values[known(a), 0], b.values[known(a), 0]).statistic > 0.999

    def test_many_channels_are_averaged(self, codec, model):
        sound = tune()
        four = Audio(np.hstack([sound.samples * gain for gain in (2.0, 0.0, 1.0, 1.0)]), SFREQ)
        a, b = (information_content(one, model, codec=codec, mode="exact") for one in (sound, four))
        np.testing.assert_allclose(a.values, b.values, rtol=0, atol=1e-3)

    def test_channels_that_cancel(self, codec, model):
        sound = tune()
        opposite = Audio(np.hstack([sound.samples, -sound.samples]), SFREQ, "opposite")
        with (
            pytest.warns(UserWarning, match="opposite: the channels cancel when averaged"),
            pytest.raises(ValueError, match="opposite: silent throughout"),
        ):
            information_content(opposite, model, codec=codec)


class TestInfo:
    def test_it_holds_what_the_values_depend_on(self, codec, model):
        codec, model = replace(codec, name="ears", sha256="c0de"), replace(model, name="mind", sha256="f00d")
        sound = click(12345, 9001, 7777)
        info = information_content(
            sound, model, (0.1, 0.6), codec=codec, at="ode", stamp="end", unit="bits", chunk="overlap", steps=5,
            probes=3, rng=11, device="cpu",
        ).info  # fmt: skip
        start, stop = heard(12345, 9001, 29123)
        expected = {
            "model": "mind", "weights": "f00d", "codec": "ears", "codec weights": "c0de", "noise": [0.1, 0.6],
            "mode": "fast", "at": "ode", "stamp": "end", "unit": "bits", "chunk": "overlap", "steps": 5, "probes": 3,
            "seed": "11", "device": "cpu", "sounding": [start / SFREQ, stop / SFREQ],
        }  # fmt: skip
        assert {key: info[key] for key in expected} == expected
        assert set(info) == {*expected, "solver", "probe kind", "context", "sound sha256", "latent"}
        exact = information_content(sound, model, codec=codec, mode="exact", tolerance=0.02).info
        assert exact["tolerance"] == 0.02 and "probes" not in exact

    def test_it_goes_into_a_file_and_back(self, codec, model, tmp_path):
        series = information_content(tune(), model, (0.0, 0.3), codec=codec)
        series.save(tmp_path / "ic.npz")
        back = FeatureSeries.load(tmp_path / "ic.npz")
        assert back.info == series.info
        np.testing.assert_array_equal(back.values, series.values)
        np.testing.assert_array_equal(back.se, series.se)

    def test_another_sound_has_another_digest(self, codec, model):
        found = information_content([tune(name="a"), tune(seed=1, name="b")], model, codec=codec, **QUICK)
        assert found["a"].info["sound sha256"] != found["b"].info["sound sha256"]


class TestEntropy:
    def test_it_stands_where_information_content_does(self, codec, model):
        sound = click(12345, 9001, 7777)
        for stamp in ("onset", "end", "reference"):
            ic = information_content(sound, model, (0.3, 0.6), codec=codec, stamp=stamp, **QUICK)
            expected = entropy(sound, model, (0.3, 0.6), codec=codec, stamp=stamp, draws=2, **QUICK)
            np.testing.assert_array_equal(expected.times, ic.times)
            np.testing.assert_array_equal(np.isnan(expected.values), np.isnan(ic.values))
            np.testing.assert_array_equal(np.isnan(expected.se), np.isnan(ic.values))
        assert expected.names == ("entropy 0.3", "entropy 0.6")
        assert {"model", "codec", "draws", "noise", "seed", "sound sha256", "stamp"} <= set(expected.info)

    def test_it_is_that_of_the_model(self, codec, model):
        sound = tune()
        series = entropy(sound, model, 0.4, codec=codec, draws=4, rng=2, steps=6)
        encoded = encode_sound(sound, codec)
        expected = model.entropy(encoded.latents, 0.4, draws=4, rng=2, steps=6, key=encoded.key)
        np.testing.assert_allclose(series.values[known(series), 0], expected.nats[0, 1:], rtol=0, atol=1e-5)
        np.testing.assert_allclose(series.se[known(series), 0], expected.se[0, 1:], rtol=0, atol=1e-5)

    def test_near_pure_noise_it_is_that_of_noise(self, codec, model):
        """8 independent standard normals: 4 ln(2 pi e) nats, or 16.4 bits."""
        noise = 4 * math.log(2 * math.pi * math.e)
        nats = entropy(tune(), model, 0.999, codec=codec, draws=64, **QUICK)
        bits = entropy(tune(), model, 0.999, codec=codec, draws=64, unit="bits", **QUICK)
        assert np.nanmean(nats.values) == pytest.approx(noise, abs=0.15)
        z = (nats.values - noise)[known(nats)] / nats.se[known(nats)]
        assert (np.abs(z) < 5).all()
        np.testing.assert_allclose(bits.values * math.log(2), nats.values, rtol=1e-14)
        np.testing.assert_allclose(bits.se * math.log(2), nats.se, rtol=1e-14)

    def test_several_sounds_are_those_one_by_one(self, codec, model):
        sounds = {"a": tune(), "b": tune(0.7, seed=3)}
        together = entropy(sounds, model, codec=codec, draws=2, **QUICK)
        for name, sound in sounds.items():
            alone = entropy(sound, model, codec=codec, draws=2, **QUICK)
            np.testing.assert_allclose(together[name].values, alone.values, rtol=0, atol=1e-4)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"draws": 1}, ValueError, "draws: expected at least 2, got 1"),
            ({"draws": 2.0}, TypeError, "draws: expected a whole number, got 2.0"),
            ({"noise": 1.0}, ValueError, "noise: expected levels from 0"),
            ({"stamp": "start"}, ValueError, "stamp: expected one of 'onset', 'end', 'reference'"),
            ({"unit": "bit"}, ValueError, "Did you mean 'bits'"),
            ({"steps": 0}, ValueError, "steps: expected at least 1, got 0"),
        ],
    )
    def test_refusals(self, codec, model, options, error, message):
        with pytest.raises(error, match=message):
            entropy("no such file.wav", model, codec=codec, **options)  # refused before sounds are looked for


class TestRefused:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"noise": 1.0}, ValueError, "noise: expected levels from 0 .clean. to below 1 .*got 1"),
            ({"noise": -0.1}, ValueError, "noise: expected levels from 0 .*got -0.1"),
            ({"noise": (0.3, 1.5)}, ValueError, "noise: expected levels from 0 .*got 1.5"),
            ({"noise": math.nan}, ValueError, "noise: expected a finite number"),
            ({"noise": ()}, ValueError, "noise: expected one or more levels from 0 to below 1, got none"),
            ({"noise": (0.3, 0.3)}, ValueError, "noise: expected different levels, got 0.3, 0.3"),
            ({"noise": ("a",)}, TypeError, "noise: expected a number"),
            ({"mode": "quick"}, ValueError, "mode: expected one of 'fast', 'exact', 'reference', got 'quick'"),
            ({"at": "mean"}, ValueError, "at: expected one of 'expectation', 'ode', got 'mean'"),
            ({"stamp": "ends"}, ValueError, "stamp: expected one of .*Did you mean 'end'"),
            ({"unit": "shannon"}, ValueError, "unit: expected one of 'nats', 'bits', got 'shannon'"),
            ({"chunk": "whole"}, ValueError, "chunk: expected one of 'reference', 'overlap', got 'whole'"),
            (
                {"mode": "exact", "steps": 8},
                ValueError,
                "steps: mode 'exact' takes tolerance, got steps=8. Leave it out",
            ),
            ({"mode": "exact", "probes": 2}, ValueError, "probes: mode 'exact' takes tolerance"),
            ({"tolerance": 0.1}, ValueError, "tolerance: mode 'fast' takes steps and probes, got tolerance=0.1"),
            ({"mode": "exact", "tolerance": 0.0}, ValueError, "tolerance: expected a finite positive number of nats"),
            ({"steps": 0}, ValueError, "steps: expected at least 1, got 0"),
            ({"probes": 1.5}, TypeError, "probes: expected a whole number, got 1.5"),
        ],
    )
    def test_options_are_checked_before_sounds_are_read(self, codec, model, options, error, message):
        with pytest.raises(error, match=message):
            information_content("no such file.wav", model, codec=codec, **options)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"batch": 0}, ValueError, "batch: expected at least 1, got 0"),
            ({"rng": "zero"}, TypeError, "rng: expected a seed, a numpy.random.Generator or None, got str"),
            ({"rng": -1}, ValueError, "rng: expected at least 0, got -1"),
            ({"device": "quantum"}, ValueError, "device: expected 'auto', 'cpu', 'cuda' or 'cuda:1', got 'quantum'"),
        ],
    )
    def test_other_options(self, codec, model, options, error, message):
        with pytest.raises(error, match=message):
            information_content(tune(0.3), model, codec=codec, **options)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
    def test_a_device_that_is_not_there(self, codec, model):
        with pytest.raises(ValueError, match="device: 'cuda' asked for, but torch finds no CUDA device"):
            information_content(tune(0.3), model, codec=codec, device="cuda")

    @pytest.mark.parametrize("level", [0.0, 1e-6])
    def test_silence(self, codec, model, level, rng):
        silence = Audio(level * rng.standard_normal(SFREQ), SFREQ, "quiet")
        with pytest.raises(ValueError, match="quiet: silent throughout, so there is nothing to be surprised by. Check"):
            information_content(silence, model, codec=codec)
        with pytest.raises(ValueError, match="quiet: silent throughout"):
            information_content([tune(), silence], model, codec=codec)

    @pytest.mark.parametrize("sfreq", [SFREQ, 44100])
    def test_ten_milliseconds(self, codec, model, sfreq):
        click_alone = click(0, sfreq // 100, 0, sfreq, "blip")
        with pytest.raises(ValueError, match="blip: 0.01 s of sound are too short. Expected at least 0.056 s"):
            information_content(click_alone, model, codec=codec)

    def test_the_shortest_sound(self, codec, model):
        """Two latents take 2 * 256 + 384 samples; one fewer is refused, and these give one value."""
        with pytest.raises(
            ValueError, match=r"of sound are too short. Expected at least 0.056 s, which make two latents"
        ):
            information_content(click(0, 895, 0), model, codec=codec)
        assert known(information_content(click(0, 896, 0), model, codec=codec)).sum() == 1

    def test_samples_that_are_none(self, model, codec):
        samples = tune().samples.copy()
        samples[100] = np.nan
        with pytest.raises(ValueError, match="sample 100 is not finite. Repair the recording"):
            information_content(Audio(samples, SFREQ), model, codec=codec)

    def test_a_codec_that_answers_with_zeros(self, model):
        dead = Codec.untrained(replace(SHORT, bottleneck="tanh"))
        for parameter in dead.networks.parameters():
            parameter.data.zero_()
        with pytest.raises(ValueError, match="all latents are zero. Is the sound silent, or the codec not loaded"):
            information_content(tune(0.3), model, codec=dead)

    def test_a_codec_of_other_dimensions(self, model):
        other = replace(Codec.untrained(replace(SHORT, dim=6)), name="narrow")
        with pytest.raises(ValueError, match="narrow makes latents of 6 dimensions, but untrained.* knows those of 8"):
            information_content(tune(0.3), model, codec=other)

    def test_a_model_that_names_no_codec(self, model):
        with pytest.raises(ValueError, match=r"codec: untrained.* does not say which codec it knows. Pass codec=\."):
            information_content(tune(0.3), model)

    def test_a_model_that_names_one(self, codec, model, tmp_path):
        codec.save(tmp_path / "codec.safetensors")
        replace(model, codec=str(tmp_path / "codec.safetensors")).save(tmp_path / "model.safetensors")
        found = information_content(tune(0.3), tmp_path / "model.safetensors", **QUICK)
        expected = information_content(tune(0.3), model, codec=codec, **QUICK)
        np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-5)
        assert (found.info["model"], found.info["codec"]) == ("model", "codec")
        assert len(found.info["weights"]) == len(found.info["codec weights"]) == 64

    def test_files_that_are_not_there(self, codec, model, tmp_path):
        with pytest.raises(FileNotFoundError, match="no such sound file"):
            information_content(tmp_path / "none.wav", model, codec=codec)
        with pytest.raises(FileNotFoundError, match="nowhere: no such file, and no surprisal model of that name"):
            information_content(tune(0.3), "nowhere", codec=codec)
        with pytest.raises(FileNotFoundError, match="nowhere: no such file, and no codec of that name"):
            information_content(tune(0.3), model, codec="nowhere")

    @pytest.mark.parametrize("audio", [np.zeros(1000), 5, None, [np.zeros(1000)], {"a": 3.0}, [None]])
    def test_what_is_no_sound(self, codec, model, audio):
        with pytest.raises(
            TypeError, match=r"audio: expected an Audio or a path, or several, got \w+. Audio\(samples, sfr"
        ):
            information_content(audio, model, codec=codec)

    @pytest.mark.parametrize("audio", [[], {}])
    def test_no_sound_at_all(self, codec, model, audio):
        with pytest.raises(ValueError, match="audio: expected one or more sounds, got none"):
            information_content(audio, model, codec=codec)
