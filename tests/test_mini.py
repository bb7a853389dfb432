"""The models that come with eegic: found by name, whole, small, and as good as their cards say."""

import re
from importlib import resources

import numpy as np
import pytest
import torch

from eegic import (
    Audio,
    SurprisalModel,
    datasets,
    information_content,
    load_codec,
    load_surprisal,
    perceptual,
    recipes,
    weights,
)
from eegic.codec import Codec, consistency, spectrum

FOLDER = resources.files("eegic.weights").joinpath("bundled")
CORPUS = datasets.MelodyCorpus()


@pytest.fixture(scope="module")
def codec():
    return load_codec("mini", device="cpu")


@pytest.fixture(scope="module")
def model():
    return load_surprisal("mini", device="cpu")


@pytest.fixture(scope="module")
def pieces():
    """Melodies that neither training nor card has seen."""
    return [CORPUS.piece("check", i, duration=12.0) for i in range(8)]


class TestFiles:
    def test_together_they_are_small(self):
        sizes = [
            path.stat().st_size for path in map(lambda p: p, FOLDER.iterdir()) if path.name.endswith(".safetensors")
        ]
        assert len(sizes) == 2 and sum(sizes) < 6e6

    @pytest.mark.parametrize("name, kind", [("mini", "surprisal"), ("mini-codec", "codec")])
    def test_digest_licence_and_card_are_those_of_the_file(self, name, kind):
        entry, stored = weights.entries()[name], weights.read(name, kind)
        assert stored.sha256 == entry.sha256 and stored.licence == entry.licence == "BSD-3-Clause"
        card = FOLDER.joinpath(f"{name}.md").read_text(encoding="utf-8")
        assert stored.sha256 in card and "What it is not" in card

    @pytest.mark.parametrize("name", ["mini", "mini-codec"])
    def test_the_recipe_still_gives_this_network(self, name):
        recipe = recipes.read_recipe(name)
        loaded = load_surprisal(name) if recipe.kind == "surprisal" else load_codec(name)
        assert loaded.config == recipe.network

    def test_the_model_names_its_codec_and_the_name_means_both(self, model, codec):
        assert model.codec == "mini-codec" and codec.name == "mini-codec" and model.name == "mini"


class TestCodec:
    @pytest.fixture(scope="class")
    @staticmethod
    def sounds(pieces):
        return [Audio(sound.mono(), sound.sfreq, sound.name).resample(8000.0) for _, sound in pieces[:4]]

    def test_sound_comes_back_better_than_from_what_knows_nothing(self, codec, sounds):
        """Nothing: random weights, the mean spectrum of the training sounds at every moment, or silence."""
        untrained = Codec.untrained(codec.config)
        heard = np.stack([CORPUS.stretch("train", i, 8192, 8000.0) for i in range(32)])
        mean = spectrum.analyse(torch.from_numpy(heard), codec.config).square().sum(1).sqrt().mean((0, 2))
        scores = {"mini": [], "untrained": [], "mean": []}
        silence = np.mean([perceptual.multires_stft(sound.samples[:, 0], 0 * sound.samples[:, 0]) for sound in sounds])
        for sound in sounds:
            n_frames = len(sound.samples) // codec.config.hop + 8
            phases = 2 * torch.pi * torch.rand((len(mean), n_frames), generator=torch.Generator().manual_seed(0))
            frames = torch.stack((mean[:, None] * phases.cos(), mean[:, None] * phases.sin()))
            flat = spectrum.synthesise(frames[None], codec.config)[0].numpy()[codec.config.overhang :][
                : len(sound.samples)
            ]
            for name, back in (("mini", codec), ("untrained", untrained), ("mean", flat)):
                came = back if name == "mean" else back.reconstruct(sound, rng=0).samples[:, 0]
                pair = sound.samples[:, 0], np.asarray(came, float)
                scores[name].append((perceptual.si_sdr(*pair), perceptual.multires_stft(*pair)))
        si_sdr, distance = (
            dict(zip(scores, column, strict=True)) for column in np.mean(list(scores.values()), axis=1).T
        )
        assert si_sdr["mini"] > max(si_sdr["untrained"], si_sdr["mean"]) + 5
        assert distance["mini"] < min(distance["untrained"], distance["mean"], silence) - 0.1

    def test_neighbouring_noises_agree(self, codec, sounds):
        """The consistency property: outputs at two close noises differ less than those of random weights."""
        untrained = Codec.untrained(codec.config)

        def disagreement(one):
            samples = torch.from_numpy(sounds[0].samples[: 60 * 800 + one.config.overhang, 0].astype(np.float32))
            clean = spectrum.analyse(samples, one.config)[None]
            found = []
            with torch.inference_mode():
                pyramid = one.networks.decoder(one.networks.encoder(clean))
                noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
                for position in (0.3, 0.5, 0.7, 0.9):
                    levels = [torch.tensor([consistency.sigma_at(p, one.config)]) for p in (position, position - 0.05)]
                    first, second = (
                        consistency.denoise(one.networks, clean + s * noise, s, pyramid, one.config) for s in levels
                    )
                    found.append(float((first - second).norm() / clean.norm()))
            return np.mean(found)

        assert disagreement(codec) < 0.75 * disagreement(untrained)


def starting_at(series, times):
    """Values of the latents that start at `times`."""
    return series.values[np.abs(series.times[:, None] - times).argmin(axis=0), 0]


class TestModel:
    def test_information_content_goes_with_the_truth(self, model, codec, pieces):
        """And more than that of an untrained model, or the loudness of onsets; beyond both and the notes' duration."""
        table = recipes.assess(model, codec, pieces, (0.5,), progress=False).set_index("what")
        best = table.loc["model"]
        assert best["rho"] > 0.45 and best["partial_low"] > 0.3
        assert best["rho"] > 0.15 + max(table.loc["untrained", "rho"], table.loc["flux", "rho"])
        assert best["partial"] > 0.2 + max(table.loc["untrained", "partial"], table.loc["flux", "partial"])

    def test_what_goes_on_costs_less_than_what_begins(self, model, codec):
        """The latent in which a note begins, and the next one, in which the same sound is repeated."""
        corpus = datasets.MelodyCorpus(rhythms=["isochronous"])
        ratios = []
        for i in range(4):
            melody, sound = corpus.piece("check", i, duration=12.0)
            series = information_content(sound, model, 0.5, codec=codec, progress=False)
            begins = starting_at(series, melody.onsets[3:-1])
            ratios.append(begins > starting_at(series, melody.onsets[3:-1] + 1 / codec.frame_rate))
        assert np.concatenate(ratios).mean() > 0.9

    def test_a_phrase_costs_less_when_it_was_just_played(self, model, codec):
        """And less than the same phrase after other ones, at the same place."""
        table = recipes.assess_repetition(model, codec, (0.5,), n_phrases=16, rng=7, progress=False).iloc[0]
        assert table["difference"] == pytest.approx(table["again"] - table["elsewhere"])
        assert table["low"] < table["difference"] < table["high"] < -0.05

    def test_the_default_is_mini(self, pieces):
        _, sound = pieces[0]
        found = information_content(sound, progress=False, device="cpu")
        assert found.info["model"] == "mini" and found.info["codec"] == "mini-codec"
        expected = information_content(sound, "mini", progress=False, device="cpu", codec="mini-codec")
        np.testing.assert_array_equal(found.values, expected.values)

    def test_a_wrong_kind_is_still_named(self):
        with pytest.raises(ValueError, match="mini-codec: expected a surprisal model, but this is a codec"):
            load_surprisal("mini-codec")


@pytest.mark.slow
def test_the_card_holds_what_is_measured():
    """One row of the table of the card, measured again on the melodies it names."""
    card = FOLDER.joinpath("mini.md").read_text(encoding="utf-8")
    plain = card[: card.index("where phrases return")]
    rows = re.findall(r"\| model \| ([\d.]+) \| (\d+) \| ([-\d.]+) \|", plain)
    assert [float(level) for level, _, _ in rows] == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert isinstance(load_surprisal("mini"), SurprisalModel)
    notes = recipes.Notes.of(CORPUS.piece("test", i, duration=20.0) for i in range(60))
    values = notes.pooled(
        load_surprisal("mini", device="cpu"), load_codec("mini", device="cpu"), (0.3,), progress=False
    )
    assert str(np.isfinite(values).sum()) == rows[3][1]
    assert notes.agreement(values[:, 0])["rho"] == pytest.approx(float(rows[3][2]), abs=0.006)
