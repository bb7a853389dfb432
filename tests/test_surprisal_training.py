"""A surprisal model learns by its formula, comes to know a known density, and finds its latents on disk."""

import numpy as np
import pytest
import torch
from scipy import stats

from eegic import datasets
from eegic.codec import Codec, CodecConfig
from eegic.surprisal import FlowConfig, SurprisalModel, latents
from eegic.surprisal.networks import ARFlow
from eegic.surprisal.training import FlowObjective, FlowTraining, train_surprisal
from eegic.training import LoopConfig, train

SMALL = CodecConfig(
    8000, 128, 32, channels=(8, 8), attention=(), bottleneck_channels=8, bottleneck_blocks=0, dim=4, embedding=8,
    unet_blocks=1,
)  # fmt: skip
TINY = FlowConfig(data=4, width=16, depth=1, heads=1, blocks=2, max_seq_length=16)
FLUTE = datasets.MelodyCorpus(timbres=["flute"], rhythms=["isochronous"])


def walk(rng, n, length):
    """Correlated latents that follow a known law: z[j] = mean + A (z[j-1] - mean) + noise of covariance S."""
    law = np.array([[0.8, 0.3], [-0.2, 0.7]]), np.array([[0.3, 0.1], [0.1, 0.2]]), np.array([0.4, -0.3])
    a, s, mean = law
    root = np.linalg.cholesky(s)
    z = np.zeros((n, length + 50, 2))
    for j in range(1, length + 50):
        z[:, j] = z[:, j - 1] @ a.T + rng.standard_normal((n, 2)) @ root.T
    return (z[:, 50:] + mean).astype(np.float32), law


def prepared(*args, **kwargs):
    objective = FlowObjective(*args, **kwargs)
    objective.prepare()
    return objective


class TestObjective:
    @pytest.mark.parametrize("context", ["clean", "scaled", "noised"])
    def test_the_loss_of_a_known_velocity_is_that_of_its_formula(self, context):
        """The objective's parts are recomputed here from the same draws; the network is any network."""
        settings = FlowTraining(window=8, frames=8, batch=3, context=context, clean_share=0.3, draws=2)
        torch.manual_seed(0)
        network = ARFlow(TINY)
        objective = prepared(network, settings, lambda part: torch.randn(4, 8, 4).numpy(), seed=1)
        z = objective.batch("train", 0)["latents"]
        loss = objective({"latents": z}, torch.Generator().manual_seed(5), 0.0)

        draws = torch.Generator().manual_seed(5)
        level = 0.9 * torch.rand(3, generator=draws)
        level[torch.rand(3, generator=draws) < 0.3] = 0
        kept = torch.ones(3) if context == "clean" else 1 - level
        heard = kept[:, None, None] * z
        if context == "noised":
            heard = heard + level[:, None, None] * torch.randn(z.shape, generator=draws)
        said = network.backbone(heard[:, :-1])
        times = torch.rand((2, 3, 7), generator=draws) * kept[:, None]
        noise = torch.randn((2, 3, 7, 4), generator=draws)
        errors = []
        for k in range(2):
            for i in range(3):
                for j in range(7):
                    t, e, x = times[k, i, j], noise[k, i, j], z[i, j + 1]
                    v = network.head(t, t * x + (1 - t) * e, said[i, j])
                    errors.append(((v - (x - e)) ** 2).sum())
        assert loss.item() == pytest.approx(torch.stack(errors).mean().item(), rel=1e-5)

    def test_no_time_beyond_the_level_is_asked_for(self):
        """Information content at a level starts at time 1 - level; later times would be learned in vain."""
        settings = FlowTraining(window=4, frames=4, batch=512, clean_share=0.2)
        draws = torch.Generator().manual_seed(0)
        levels = settings.levels(20_000, draws)
        clean = levels == 0
        assert clean.float().mean().item() == pytest.approx(0.2, abs=0.02)
        assert stats.kstest(levels[~clean].numpy(), stats.uniform(0, 0.9).cdf).pvalue > 0.01
        assert stats.kstest(settings.drawn_times((20_000,), draws).numpy(), "uniform").pvalue > 0.01

    def test_windows_come_from_their_part_and_are_repeatable(self):
        ramp, parts = np.arange(240, dtype=np.float32).reshape(5, 12, 4), ("train", "validation")
        stored = {part: ramp + 1000 * k for k, part in enumerate(parts)}
        objective = prepared(ARFlow(TINY), FlowTraining(window=6, frames=12, batch=64), stored.__getitem__, seed=3)
        first, again, other = (objective.batch("validation", i)["latents"] for i in (7, 7, 8))
        assert torch.equal(first, again) and not torch.equal(first, other)
        assert (first >= 1000).all()
        assert torch.equal(first.diff(dim=1), torch.full((64, 5, 4), 4.0))  # successive latents of one stretch
        assert len({float(x) for x in first[:, 0, 0]}) > 20

    @pytest.mark.parametrize(
        "wrong, message",
        [
            ({"window": 200}, r"frames: expected at least window \(200\), got 128"),
            ({"context": "shrunk"}, "context: expected one of 'clean', 'scaled', 'noised', got 'shrunk'"),
            ({"largest": 1.0}, "largest: expected a noise level above 0 and below 1, got 1"),
            ({"clean_share": 1.5}, "clean_share: expected a share from 0 to 1, got 1.5"),
            ({"times": "beta"}, "times: expected one of"),
            ({"draws": 0}, "draws: expected"),
        ],
    )
    def test_what_is_refused(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            FlowTraining(**wrong)


class TestLearning:
    def test_the_model_learns_a_known_density_at_all_levels(self, tmp_path):
        """At level L the truth is normal: mean (1-L) E[z | past], covariance (1-L)^2 S + L^2."""
        rng = np.random.default_rng(0)
        z, (a, s, mean) = walk(rng, 96, 64)
        settings = FlowTraining(window=32, frames=64, batch=16, context="scaled", draws=2)
        config = FlowConfig(data=2, width=48, depth=1, heads=1, blocks=2, max_seq_length=64)
        torch.manual_seed(0)
        network = ARFlow(config)
        objective = prepared(network, settings, {"train": z[:80], "validation": z[80:]}.__getitem__, seed=0)
        loop = LoopConfig(
            steps=400, optimiser="adamw", learning_rate=4e-3, final_learning_rate=1e-5, warmup=20, average=0.99,
            validate_every=200,
        )  # fmt: skip
        history = train(objective, loop, tmp_path, settings={}, device="cpu", progress=False)
        validation = history.column("validation")
        assert validation[-1] < 0.75 * validation[0]
        model = SurprisalModel(network, torch.device("cpu"))
        for level, closeness in ((0.0, 0.88), (0.3, 0.88), (0.6, 0.75)):
            t = 1 - level
            found, true = [], []
            for one in z[80:86]:
                found.append(model.information_content(one, level, mode="exact")[0, 1:])
                expected = t * (mean + (one[:-1] - mean) @ a.T)
                true.append(
                    -stats.multivariate_normal([0, 0], t**2 * s + level**2 * np.eye(2)).logpdf(t * one[1:] - expected)
                )
            found, true = np.concatenate(found), np.concatenate(true)
            assert np.corrcoef(found, true)[0, 1] > closeness, level
            assert found.mean() == pytest.approx(true.mean(), abs=0.12), level

    def test_training_writes_a_model_that_finds_its_codec(self, tmp_path):
        codec = Codec.untrained(SMALL, rng=1)
        codec.save(tmp_path / "ears.safetensors")
        out = tmp_path / "flow"
        settings = FlowTraining(stretches=6, validation=3, frames=20, window=16, batch=4)
        loop = LoopConfig(steps=4, validate_every=2, average=0)
        how = {"config": TINY, "training": settings, "loop": loop, "device": "cpu", "progress": False}
        model = train_surprisal(codec, FLUTE, out, name="tune", codec_name="../ears.safetensors", **how)
        from eegic import information_content, load_surprisal

        loaded = load_surprisal(out / "tune.safetensors", device="cpu")
        z = np.random.default_rng(0).standard_normal((9, 4))
        np.testing.assert_array_equal(loaded.information_content(z), model.information_content(z))
        _, sound = FLUTE.piece("test", 0, duration=2)
        assert information_content(sound, loaded, device="cpu", progress=False).names == ("ic 0.3",)
        with pytest.raises(ValueError, match="codec: the weights of untrained are not those whose latents tune has"):
            information_content(sound, loaded, codec=Codec.untrained(SMALL, rng=2), device="cpu")
        again = train_surprisal(codec, FLUTE, tmp_path / "again", **how)
        for name, tensor in model.networks.state_dict().items():
            assert torch.equal(tensor, again.networks.state_dict()[name]), name

    def test_the_dimensions_of_the_codec_are_asked_for(self, tmp_path):
        with pytest.raises(ValueError, match="config: expected data=4, the dimensions of untrained, got 8"):
            train_surprisal(Codec.untrained(SMALL), FLUTE, tmp_path, config=FlowConfig(data=8, width=16, depth=1))

    def test_what_another_training_left_is_not_touched_when_it_is_refused(self, tmp_path):
        """Latents are made once the folder is known to be this run's own."""
        settings = FlowTraining(stretches=2, validation=2, frames=16, window=16, batch=2)
        how = {"config": TINY, "training": settings, "device": "cpu", "progress": False}
        loop = LoopConfig(steps=1, average=0)
        train_surprisal(Codec.untrained(SMALL), FLUTE, tmp_path, loop=loop, **how)
        before = {path.name: path.read_bytes() for path in (tmp_path / "latents").iterdir()}
        for resume, error in ((False, FileExistsError), (True, ValueError)):
            with pytest.raises(error):
                train_surprisal(Codec.untrained(SMALL, rng=1), FLUTE, tmp_path, loop=loop, resume=resume, **how)
        assert {path.name: path.read_bytes() for path in (tmp_path / "latents").iterdir()} == before

    def test_a_model_looks_no_further_back_than_it_did_in_training(self, tmp_path):
        with pytest.raises(ValueError, match="config: expected max_seq_length up to window=12, got 16: further back"):
            train_surprisal(
                Codec.untrained(SMALL), FLUTE, tmp_path, config=TINY, training=FlowTraining(window=12, frames=12)
            )


class TestCachedLatents:
    def cached(self, codec, folder, corpus=FLUTE, **changed):
        how = {"part": "train", "stretches": 5, "frames": 7, "progress": False, **changed}
        return latents.cached_latents(codec, corpus, folder, **how)

    def test_latents_are_those_of_the_stretches(self, tmp_path, monkeypatch):
        monkeypatch.setattr(latents, "SHARD", 2)
        codec = Codec.untrained(SMALL)
        found = self.cached(codec, tmp_path)
        assert found.shape == (5, 7, 4) and found.dtype == np.float32
        from eegic import Audio

        stretch = FLUTE.stretch("train", 3, 7 * SMALL.samples_per_latent + SMALL.overhang, SMALL.sfreq)
        np.testing.assert_array_equal(found[3], codec.encode(Audio(stretch, SMALL.sfreq)))

    def test_what_is_there_is_not_encoded_again(self, tmp_path, monkeypatch):
        monkeypatch.setattr(latents, "SHARD", 2)
        codec = Codec.untrained(SMALL)
        first = self.cached(codec, tmp_path)
        (tmp_path / "train-00001.npz").unlink()
        encoded = []
        monkeypatch.setattr(latents, "encoded", lambda *args: encoded.append(args[3]) or first[args[3]])
        np.testing.assert_array_equal(self.cached(codec, tmp_path), first)
        assert encoded == [2, 3]

    @pytest.mark.parametrize("fault", ["cut", "empty", "text", "foreign"])
    def test_a_file_that_cannot_be_used_is_made_again_and_named(self, tmp_path, monkeypatch, fault):
        monkeypatch.setattr(latents, "SHARD", 2)
        codec = Codec.untrained(SMALL)
        first = self.cached(codec, tmp_path)
        path = tmp_path / "train-00001.npz"
        whole = path.read_bytes()
        if fault == "foreign":
            np.savez(path, schema="eegic.other/1", latents=first)
        else:
            path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"latents"}[fault])
        with pytest.warns(UserWarning, match="train-00001.npz: made again, for what lies there is") as caught:
            found = self.cached(codec, tmp_path)
        assert len(caught) == 1 and caught[0].filename == __file__
        np.testing.assert_array_equal(found, first)
        np.testing.assert_array_equal(self.cached(codec, tmp_path), first)

    @pytest.mark.parametrize("changed", ["codec", "corpus", "frames"])
    def test_what_another_codec_or_corpus_left_is_made_again(self, tmp_path, changed):
        first = self.cached(Codec.untrained(SMALL), tmp_path)
        codec = Codec.untrained(SMALL, rng=1) if changed == "codec" else Codec.untrained(SMALL)
        corpus = (
            datasets.MelodyCorpus(timbres=["flute"], rhythms=["isochronous"], seed=1) if changed == "corpus" else FLUTE
        )
        frames = 6 if changed == "frames" else 7
        found = self.cached(codec, tmp_path, corpus, frames=frames)
        np.testing.assert_array_equal(found, self.cached(codec, tmp_path / "fresh", corpus, frames=frames))
        assert found.shape != first.shape or not np.array_equal(found, first)
