"""The surprisal of latents: frozen numbers, one by one and together, its error, and files that do not fit."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from eegic.flow import Autograd, exact, log_normal, probed, solve
from eegic.flow.divergence import trace
from eegic.surprisal import FlowConfig, LatentIC, SurprisalModel, load_surprisal, networks
from eegic.surprisal.modes import mode_of
from eegic.surprisal.rows import generator

REFERENCES = Path(__file__).parent / "references"
SHARED = Path(__file__).parents[2] / "shared" / "fixtures"
FIXTURES = [
    REFERENCES / "ic_small",
    pytest.param(
        SHARED / "ic_wide",
        marks=pytest.mark.skipif(not (SHARED / "ic_wide").exists(), reason="the shared data are not at hand"),
    ),
]
TINY = FlowConfig(data=4, width=16, depth=2, heads=1, blocks=2, max_seq_length=100)
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # forward mode loads it


def loaded(folder):
    return load_surprisal(folder / "checkpoint.pt", device="cpu"), np.load(folder / "latents.npy")


def lively(config=TINY, seed=0):
    """Random weights, large enough for a Jacobian that changes with point and context, but not too fast with time."""
    model = SurprisalModel.untrained(config, rng=seed)
    seeded = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        model.networks.head.freqs.mul_(0.1)
        for name, parameter in model.networks.named_parameters():
            parameter.mul_(1.4)
            if name.endswith("gamma"):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=seeded))
    model.networks.requires_grad_(False)
    return model


def latents(n_frames=12, data=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n_frames, data)).cumsum(0) / np.sqrt(n_frames) + 0.3


@pytest.fixture(scope="module")
def small():
    return loaded(REFERENCES / "ic_small")


@pytest.fixture(scope="module")
def model():
    return lively()


class TestFrozenNumbers:
    @pytest.mark.parametrize("folder", FIXTURES)
    @pytest.mark.parametrize(("precision", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
    def test_contexts_and_velocities(self, folder, precision, tolerance):
        model, z = loaded(folder)
        expected = np.load(folder / "expected.npz")
        network = model.networks.to(precision)
        points, given = (torch.tensor(a, dtype=precision) for a in (expected["points"], expected["context"][:-1]))
        tangents = torch.randn((3, *points.shape), generator=torch.Generator().manual_seed(0)).to(precision)
        with torch.inference_mode():
            context = network.backbone(torch.tensor(z, dtype=precision))
            np.testing.assert_allclose(context, expected["context"], rtol=0, atol=tolerance)
            velocity = network.head.given(given)
            for t, v in zip(expected["times"], expected["velocity"], strict=True):
                now = torch.tensor(t, dtype=precision)
                np.testing.assert_allclose(velocity(points, now), v, rtol=0, atol=tolerance)
                np.testing.assert_allclose(velocity.products(points, now, tangents)[0], v, rtol=0, atol=tolerance)

    @pytest.mark.parametrize("at", ["expectation", "ode"])
    def test_information_content_of_the_first_frames(self, small, at):
        """To 1e-3 nats at all levels; what comes later does not touch the first frames."""
        (model, z), expected = small, np.load(REFERENCES / "ic_small" / "expected.npz")
        found = model.estimate(z[:7], expected["levels"], mode="exact", at=at, tolerance=1e-4)
        assert np.isnan(found.nats[:, 0]).all() and np.isnan(found.se[:, 0]).all()
        np.testing.assert_allclose(found.nats[:, 1:], expected[f"ic_{at}"][:, :6], rtol=0, atol=1e-3)

    @pytest.mark.slow
    @pytest.mark.parametrize("at", ["expectation", "ode"])
    @pytest.mark.parametrize("folder", FIXTURES)
    def test_information_content(self, folder, at):
        """To 1e-3 nats in exact mode; and the fast mode within four of its standard errors and its bias."""
        (model, z), expected = loaded(folder), np.load(folder / "expected.npz")
        found = model.estimate(z, expected["levels"], mode="exact", at=at, tolerance=1e-4)
        np.testing.assert_allclose(found.nats[:, 1:], expected[f"ic_{at}"], rtol=0, atol=1e-3)
        assert np.nanmax(found.se) < 1e-3
        fast = model.estimate(z, expected["levels"], at=at)
        assert (np.abs(fast.nats - found.nats)[:, 1:] < 4 * fast.se[:, 1:] + 0.5).all()


class TestNetworks:
    def test_products_are_those_of_reverse_mode(self, model):
        """In double precision, to 1e-10, at several points and times."""
        head = lively(seed=1).networks.double().head
        seeded = torch.Generator().manual_seed(2)
        x, context, tangents = (
            torch.randn(shape, generator=seeded, dtype=torch.float64) for shape in ((5, 4), (5, 16), (3, 5, 4))
        )
        t = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64)
        velocity, products = head.given(context).products(x, t, tangents)
        torch.testing.assert_close(velocity, head(t, x, context), rtol=0, atol=1e-10)
        for row in range(5):
            jacobian = torch.func.jacrev(lambda one, row=row: head(t[row], one, context[row]))(x[row])
            assert float((jacobian - torch.diag(jacobian.diagonal())).norm()) > 0.1  # not diagonal
            torch.testing.assert_close(products[:, row], tangents[:, row] @ jacobian.T, rtol=0, atol=1e-10)

    def test_products_agree_with_forward_mode(self, model):
        head = lively(seed=1).networks.double().head
        x, context = (torch.randn(2, 3, n, generator=torch.Generator().manual_seed(n)).double() for n in (4, 16))
        t = torch.tensor([[0.3], [0.8]], dtype=torch.float64)
        velocity = head.given(context)
        for found, expected in zip(trace(velocity, x, t), trace(Autograd(velocity), x, t), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)

    def test_the_backbone_looks_back_only(self, model):
        z = torch.tensor(latents(10), dtype=torch.float32)
        changed = z.clone()
        changed[6] += 1
        with torch.inference_mode():
            before, after = model.networks.backbone(z), model.networks.backbone(changed)
        torch.testing.assert_close(after[:6], before[:6], rtol=0, atol=1e-6)
        assert ((after[6:] - before[6:]).norm(dim=-1) > 1e-3).all()

    def test_sizes_are_checked(self):
        with pytest.raises(ValueError, match="depth: expected at least 1, got 0"):
            FlowConfig(depth=0)
        with pytest.raises(ValueError, match="width: expected an even number, got 33"):
            FlowConfig(width=33)

    def test_names_are_those_of_the_public_file(self, small):
        stored = torch.load(REFERENCES / "ic_small" / "checkpoint.pt", weights_only=True)["model_state_dict"]
        own = {networks.public_name(name) for name in small[0].networks.state_dict()}
        assert own == {name for name in stored if not name.startswith("ode.")}


class TestTogether:
    """Nothing that is computed beside a frame changes its value."""

    LEVELS = (0.0, 0.3, 0.6)

    @pytest.mark.parametrize("mode", ["fast", "reference", "exact"])
    @pytest.mark.parametrize("at", ["expectation", "ode"])
    def test_sounds_of_unequal_length(self, model, mode, at):
        sounds = [latents(n, seed=n) for n in (9, 2, 14)]
        together = model.estimate_all(sounds, self.LEVELS, mode=mode, at=at)
        for z, found in zip(sounds, together, strict=True):
            alone = model.estimate(z, self.LEVELS, mode=mode, at=at)
            assert found.nats.shape == found.se.shape == (3, len(z))
            np.testing.assert_allclose(found.nats, alone.nats, rtol=0, atol=1e-4)
            np.testing.assert_allclose(found.se, alone.se, rtol=1e-3, atol=1e-4)
            assert found.info == alone.info

    @pytest.mark.parametrize("mode", ["fast", "reference", "exact"])
    def test_levels(self, model, mode):
        z = latents()
        together = model.information_content(z, self.LEVELS, mode=mode)
        for level, row in zip(self.LEVELS, together, strict=True):
            np.testing.assert_allclose(
                model.information_content(z, level, mode=mode), row[None], rtol=0, atol=1e-4, equal_nan=True
            )
        assert (np.abs(np.diff(together[:, 1:], axis=0)) > 1e-3).all()

    @pytest.mark.parametrize("mode", ["fast", "exact"])
    def test_order_of_levels_on_one_trajectory(self, model, mode):
        z, order = latents(), [2, 0, 1]
        straight = model.information_content(z, self.LEVELS, mode=mode, at="ode")
        mixed = model.information_content(z, [self.LEVELS[i] for i in order], mode=mode, at="ode")
        np.testing.assert_allclose(mixed, straight[order], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("mode", ["fast", "reference", "exact"])
    @pytest.mark.parametrize("batch", [1, 50, 10_000])
    def test_any_batch(self, model, mode, batch):
        z = latents()
        expected = model.information_content(z, self.LEVELS, mode=mode)
        found = model.information_content(z, self.LEVELS, mode=mode, batch=batch)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)

    def test_any_batch_of_draws(self, model):
        z = latents()
        found = [model.entropy(z, self.LEVELS, draws=4, batch=batch).nats for batch in (1, 10, None)]
        np.testing.assert_allclose(found[0], found[2], rtol=0, atol=1e-3)
        np.testing.assert_allclose(found[1], found[2], rtol=0, atol=1e-3)

    def test_the_first_frame_has_no_past(self, model):
        for found in (model.estimate(latents(2), self.LEVELS), model.entropy(latents(2), self.LEVELS)):
            assert np.isnan(found.nats[:, 0]).all() and np.isnan(found.se[:, 0]).all()
            assert np.isfinite(found.nats[:, 1]).all() and (found.se[:, 1] > 0).all()

    def test_what_comes_later_changes_nothing(self, model):
        z, changed = latents(), latents()
        changed[8] += 1
        before, after = (model.information_content(one, 0.3, mode="exact") for one in (z, changed))
        np.testing.assert_allclose(after[0, 1:8], before[0, 1:8], rtol=0, atol=1e-4)
        assert (np.abs(after - before)[0, 8:10] > 1e-2).all()


class TestSeeds:
    def test_the_same_seed_gives_the_same_numbers(self, model):
        z = latents()
        first, again = (model.estimate(z, (0.0, 0.3), rng=5) for _ in range(2))
        np.testing.assert_array_equal(first.nats, again.nats)
        np.testing.assert_array_equal(first.se, again.se)
        assert first.info == again.info and first.info["seed"] == "5"
        first, again = (model.estimate(z, rng=np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(first.nats, again.nats)
        np.testing.assert_array_equal(
            model.entropy(z, rng=5).nats, model.entropy(z, rng=5).nats
        )  # fmt: skip

    def test_another_seed_gives_others(self, model):
        z = latents()
        found = [model.information_content(z, rng=rng)[0, 1:] for rng in (0, 1, np.random.default_rng(0), None, None)]
        assert all(
            (found[i] != found[j]).mean() > 0.5 for i in range(5) for j in range(i)
        )  # four dimensions, few signs
        assert (model.entropy(z, rng=0).nats != model.entropy(z, rng=1).nats)[0, 1:].all()

    def test_another_sound_has_other_probes(self, model):
        z = latents()
        named = [model.information_content(z, key=key)[0, 1:] for key in ("a", "b", "a")]
        assert (named[0] != named[1]).mean() > 0.5 and (named[0] == named[2]).all()

    def test_exact_numbers_know_no_seed(self, model):
        z = latents()
        np.testing.assert_array_equal(*(model.information_content(z, mode="exact", rng=rng) for rng in (0, 1)))

    def test_global_state_is_left_alone(self, model):
        before = torch.random.get_rng_state()
        model.information_content(latents(), rng=None)
        model.entropy(latents())
        SurprisalModel.untrained(TINY, rng=3)
        assert torch.equal(torch.random.get_rng_state(), before)


def published(model, z, level, at, probes):
    """The published procedure, spelled out: Euler, 100 steps, probes drawn once, products in reverse mode."""
    t0, z = 1 - level, torch.tensor(z, dtype=torch.float32)
    scale = t0 if at == "expectation" else 1.0
    context = model.networks.backbone(scale * z)[:-1].detach()
    x, start = scale * z[1:], scale if at == "expectation" else 1.0
    below = torch.zeros(len(x), dtype=torch.float64)  # what the divergence adds up to below t0
    times = torch.linspace(start, 0, 101)
    for t, after in pairwise(times):
        v, back = torch.func.vjp(lambda x, t=t: model.networks.head(t, x, context), x)
        trace = sum((back(p)[0] * p).sum(-1) for p in probes) / len(probes)
        if t <= t0 + 1e-6:
            below += (after - t) * trace
        x = x + (after - t) * v
    return -(log_normal(x) + below).detach().numpy()


class TestModes:
    @pytest.mark.parametrize("at", ["expectation", "ode"])
    def test_reference_is_the_published_procedure(self, small, at):
        """To 1e-3 nats, with the same probes."""
        model, z = small[0], small[1][:5]
        levels = (0.0, 0.3) if at == "ode" else (0.3,)
        found = model.estimate(z, levels, mode="reference", at=at, rng=3, key="piece")
        assert (found.info["solver"], found.info["steps"], found.info["probes"]) == ("euler", 100, 4)
        for row, level in enumerate(levels):
            label = f"{level:.6g}" if at == "expectation" else "ode"
            settings = mode_of("reference", steps=None, probes=None, tolerance=None)
            probes = settings.draw((4, 64), generator(3, "piece", label))(0).float()
            np.testing.assert_allclose(found.nats[row, 1:], published(model, z, level, at, probes), rtol=0, atol=1e-3)

    @pytest.mark.parametrize("at", ["expectation", "ode"])
    def test_fast_becomes_exact(self, model, at):
        """With 200 steps, on which random errors cancel, to 1e-2 nats."""
        z = latents(20)
        truth = model.information_content(z, (0.0, 0.4), mode="exact", at=at, tolerance=1e-4)
        found = model.estimate(z, (0.0, 0.4), at=at, steps=200)
        np.testing.assert_allclose(found.nats, truth, rtol=0, atol=1e-2)
        assert np.nanmax(found.se) < 0.1

    def test_at_level_0_both_points_are_the_latent(self, model):
        z = latents()
        both = [model.information_content(z, 0.0, mode="exact", at=at, tolerance=1e-5) for at in ("expectation", "ode")]
        np.testing.assert_allclose(*both, rtol=0, atol=1e-4)

    def test_near_pure_noise_all_is_equally_surprising(self, model):
        """Minus the log density of noise at its mean."""
        found = model.information_content(latents(), 1 - 1e-6, mode="exact")
        np.testing.assert_allclose(found[0, 1:], 2 * math.log(2 * math.pi), rtol=0, atol=1e-3)

    @pytest.mark.parametrize("probes", [2, 4])
    @pytest.mark.parametrize("at", ["expectation", "ode"])
    def test_fast_standard_errors_cover(self, small, probes, at):
        """95 % intervals hold what the exact divergence gives on the same grid, in 90 to 99 % of frames and seeds."""
        (model, z), levels = small, (0.0, 0.3, 0.6)
        truth = -same_grid(model, z, levels, at).numpy()
        found = [model.estimate(z, levels, at=at, probes=probes, rng=rng) for rng in range(4)]
        errors = np.stack([one.nats[:, 1:] - truth for one in found])
        se = np.stack([one.se[:, 1:] for one in found])
        assert 0.90 <= np.mean(np.abs(errors) < 1.96 * se) <= 0.99
        assert abs(errors.mean()) < 4 * errors.std() / math.sqrt(errors.size / 3)  # levels may share their errors

    @pytest.mark.slow
    @pytest.mark.parametrize("mode", ["fast", "reference"])
    @pytest.mark.parametrize("at", ["expectation", "ode"])
    @pytest.mark.parametrize("folder", FIXTURES)
    def test_standard_errors_cover(self, folder, mode, at):
        """The same at each level, with more seeds, in both modes that draw probes."""
        (model, z), levels = loaded(folder), (0.0, 0.6)
        truth = -same_grid(model, z, levels, at, mode).numpy()
        found = [model.estimate(z, levels, mode=mode, at=at, rng=rng) for rng in range(12 if mode == "fast" else 8)]
        hits = np.stack([np.abs(one.nats[:, 1:] - truth) < 1.96 * one.se[:, 1:] for one in found])
        assert (hits.mean((0, 2)) >= 0.88).all() and (hits.mean((0, 2)) <= 0.99).all()
        assert 0.90 <= hits.mean() <= 0.99

    def test_more_probes_make_less_error(self, small):
        """Four times as many, half the RMS standard error, to 15 %; one alone tells nothing."""
        model, z = small
        few, many = (np.nanmean(model.estimate(z, 0.3, probes=k).se ** 2) ** 0.5 for k in (4, 16))
        assert few / many == pytest.approx(2, rel=0.15)
        assert np.isnan(model.estimate(z, 0.3, probes=1).se).all()

    def test_info_says_what_was_done(self, model):
        z = latents()
        fast = model.estimate(z, (0.0, 0.3)).info
        assert (fast["model"], fast["noise"], fast["at"], fast["mode"]) == (
            "untrained-0",
            [0.0, 0.3],
            "expectation",
            "fast",
        )
        assert (fast["solver"], fast["steps"], fast["probes"]) == ("midpoint", 16, 2)
        assert fast["context"] == "all latents before" and fast["device"] == "cpu"
        assert model.estimate(z, mode="exact", tolerance=0.5).info["tolerance"] == 0.5
        assert model.entropy(z, draws=3).info["draws"] == 3


def same_grid(model, z, levels, at, mode="fast"):
    """Log densities (levels, frames) with the exact divergence, on the grid of a mode."""
    settings = mode_of(mode, steps=None, probes=None, tolerance=None)
    z, shrunk = torch.tensor(z, dtype=torch.float32), [1 - level for level in levels]
    scales = torch.tensor(shrunk if at == "expectation" else [1.0])[:, None, None]
    starts = [shrunk] if at == "expectation" else [[t] for t in sorted({1.0, *shrunk}, reverse=True)]
    times = [torch.tensor(t, dtype=torch.float64)[:, None] for t in (*starts, [0.0] * len(scales))]
    x = scales * z[1:]

    class Columns:
        n_streams = x.shape[-1]

        def __call__(self, node):
            return (math.sqrt(self.n_streams) * torch.eye(self.n_streams))[:, None, None].expand(-1, *x.shape)

    with torch.inference_mode():
        velocity = model.networks.head.given(model.networks.backbone(scales * z)[:, :-1])
        steps = settings.intervals([float(t[0, 0]) for t in times])
        value = probed(velocity, x, times, Columns(), steps=steps, node=settings.node).value
    return value[0] if at == "expectation" else value[[starts.index([t]) for t in shrunk], 0]


class TestEntropy:
    def test_it_is_the_mean_surprise_of_what_the_model_would_say(self, model):
        """Draws of our own, carried by RK4, with exact densities; within 4 standard errors of both."""
        z, n, levels = latents(5), 200, (0.0, 0.4)
        found = model.entropy(z, levels, draws=400, steps=64)
        noise = torch.randn((n, 4, 4), generator=torch.Generator().manual_seed(9))
        with torch.inference_mode():
            context = model.networks.backbone(torch.tensor(z, dtype=torch.float32))[:-1].expand(n, -1, -1)
            velocity = model.networks.head.given(context).flat()
            for row, level in enumerate(levels):
                t = torch.full((4 * n,), 1 - level)
                x = solve(velocity, noise.flatten(0, 1), 0 * t, t, steps=50)
                surprise = -exact(velocity, x, [t, 0 * t], tolerance=1e-2).value[0].reshape(n, 4)
                se = np.hypot(found.se[row, 1:], surprise.std(0).numpy() / math.sqrt(n))
                assert (np.abs(found.nats[row, 1:] - surprise.mean(0).numpy()) < 4 * se).all()

    def test_its_error_shrinks_with_the_draws(self, model):
        few, many = (np.nanmean(model.entropy(latents(), 0.2, draws=n).se ** 2) ** 0.5 for n in (16, 256))
        assert few / many == pytest.approx(4, rel=0.2)

    def test_refusals(self, model):
        with pytest.raises(ValueError, match="draws: expected at least 2, got 1"):
            model.entropy(latents(), draws=1)


class TestSlidingContext:
    """Eight frames of training, and longer sounds."""

    @staticmethod
    def of_length(longest):
        model = lively()
        model.networks.config = replace(TINY, max_seq_length=longest)
        return model

    @pytest.mark.parametrize("longest", [8, 7, 2])
    def test_later_contexts_are_those_of_the_window_alone(self, longest):
        """Each frame is as surprising as after its window alone, whose length keeps to what is declared."""
        model, z, half = self.of_length(longest), latents(17), longest // 2
        found = model.estimate(z, 0.3, mode="exact", tolerance=1e-4)
        frames = range(longest + 1, 17)
        starts = [((frame - 1 - longest) // half + 1) * half for frame in frames]
        windows = [z[start : frame + 1] for start, frame in zip(starts, frames, strict=True)]
        alone = model.estimate_all(windows, 0.3, mode="exact", tolerance=1e-4)
        for frame, one in zip(frames, alone, strict=True):
            assert one.info["context"] in ("all latents before", found.info["context"])
            assert found.nats[0, frame] == pytest.approx(one.nats[0, -1], abs=1e-3)
        lengths = [len(window) - 1 for window in windows]
        assert found.info["context"] == f"the {min(lengths)} to {max(lengths)} latents before"

    def test_short_sounds_see_all(self):
        short, long, z = self.of_length(12), self.of_length(100), latents()
        np.testing.assert_array_equal(short.information_content(z), long.information_content(z))
        assert short.estimate(z).info["context"] == "all latents before"

    def test_it_slides_in_a_batch_and_for_entropy(self):
        model, z = self.of_length(8), latents(23)
        alone = model.estimate(z, (0.0, 0.3))
        together = model.estimate_all([latents(5, seed=1), z], (0.0, 0.3))[1]
        np.testing.assert_allclose(together.nats, alone.nats, rtol=0, atol=1e-4)
        entropy, free = model.entropy(z, key="a"), self.of_length(100).entropy(z, key="a")
        assert entropy.info["context"] == alone.info["context"] == "the 5 to 8 latents before"
        np.testing.assert_allclose(entropy.nats[0, :9], free.nats[0, :9], rtol=0, atol=1e-4)
        assert (np.abs(entropy.nats - free.nats)[0, 9:] > 1e-4).all()

    def test_the_published_procedure_lets_it_grow(self):
        z = latents(23)
        found = self.of_length(8).estimate(z, mode="reference")
        np.testing.assert_array_equal(found.nats, self.of_length(100).information_content(z, mode="reference"))
        assert found.info["context"] == "all latents before, beyond the 8 of training"


class TestDoor:
    @pytest.mark.parametrize(
        ("z", "message"),
        [
            (np.ones((5, 3)), r"z: expected latents of 4 dimensions, got shape \(5, 3\). Use the codec"),
            (np.ones((1, 4)), "z: expected at least 2 latents, since the first has no past, got 1"),
            (np.ones(4), r"z: expected an array \(n_frames, data\), got shape \(4,\)"),
            (np.zeros((5, 4)), "z: all latents are zero. Is the sound silent"),
            (np.array([[1.0] * 4, [1, 2, np.nan, 4]]), "z: frame 1 is not finite"),
            (np.array([[1.0] * 4, [1, 2, np.inf, 4]]), "z: frame 1 is not finite"),
        ],
    )
    def test_latents(self, model, z, message):
        with pytest.raises(ValueError, match=message):
            model.information_content(z)
        with pytest.raises(ValueError, match=message.replace("z:", r"z\[1\]:")):
            model.estimate_all([latents(), z])
        with pytest.raises(ValueError, match=message):
            model.entropy(z)

    @pytest.mark.parametrize(
        ("noise", "error", "message"),
        [
            (1.0, ValueError, "noise: expected levels from 0 .clean. to below 1 .*got 1"),
            (-0.1, ValueError, "noise: expected levels from 0 .*got -0.1"),
            ((), ValueError, "noise: expected one or more levels from 0 to below 1, got none"),
            ((0.3, 0.3), ValueError, "noise: expected different levels, got 0.3, 0.3"),
            (np.nan, ValueError, "noise: expected a finite number of noise level, got nan"),
            ("0.3", TypeError, "noise: expected one or more numbers from 0 to below 1, got '0.3'"),
        ],
    )
    def test_noise(self, model, noise, error, message):
        for ask in (model.information_content, model.entropy):
            with pytest.raises(error, match=message):
                ask(latents(), noise)

    @pytest.mark.parametrize(
        ("settings", "error", "message"),
        [
            ({"mode": "slow"}, ValueError, "mode: expected one of 'fast', 'exact', 'reference', got 'slow'"),
            ({"at": "mean"}, ValueError, "at: expected one of 'expectation', 'ode', got 'mean'"),
            (
                {"mode": "exact", "steps": 4},
                ValueError,
                "steps: mode 'exact' takes tolerance, got steps=4. Leave",
            ),
            ({"mode": "exact", "probes": 4}, ValueError, "probes: mode 'exact' takes tolerance, got probes=4"),
            ({"tolerance": 0.1}, ValueError, "tolerance: mode 'fast' takes steps and probes, got tolerance=0.1"),
            (
                {"mode": "exact", "tolerance": 0},
                ValueError,
                "tolerance: expected a finite positive number.*got 0",
            ),
            ({"steps": 0}, ValueError, "steps: expected at least 1, got 0"),
            ({"probes": 2.0}, TypeError, "probes: expected a whole number, got 2.0"),
            ({"rng": "a"}, TypeError, "rng: expected a seed, a numpy.random.Generator or None, got str"),
            ({"rng": -1}, ValueError, "rng: expected at least 0, got -1"),
            ({"batch": 0}, ValueError, "batch: expected at least 1, got 0"),
        ],
    )
    def test_settings(self, model, settings, error, message):
        with pytest.raises(error, match=message):
            model.information_content(latents(), **settings)

    def test_on_the_device_where_it_is(self, model):
        assert model.to("cpu") is model
        with pytest.raises(ValueError, match="device: expected 'auto', 'cpu', 'cuda' or 'cuda:1', got 'meta'"):
            model.to("meta")

    def test_keys(self, model):
        with pytest.raises(ValueError, match=r"keys: expected one per sound \(2\), got 1"):
            model.estimate_all([latents(), latents(5)], keys=["a"])

    def test_repr(self, model):
        expected = (
            "SurprisalModel(untrained-0: 4 dimensions, width 16, depth 2, 100 frames, on cpu, licence none needed)"
        )
        assert repr(model) == expected
        assert isinstance(model.estimate(latents()), LatentIC)


def public(model, **changes):
    """A model as the public files spell it, with the copy of its head, and some of it changed."""
    state = {networks.public_name(name): tensor.clone() for name, tensor in model.networks.state_dict().items()}
    copies = {
        name.replace("diff_mlp.", "ode.ode_approx."): t for name, t in state.items() if name.startswith("diff_mlp.")
    }
    hparams = {
        "transformer_wrapper_hparams": {"emb_dropout": 0.1},
        "causal_transformer_hparams": {"dim": 16, "depth": 2, "heads": 1, "rotary_pos_emb": True, "attn_flash": True},
        "n_cls": 0,
        "noise_context": None,
    }
    hparams.update(changes.pop("model_kwargs", {}))
    return {
        "model_state_dict": {**state, **copies},
        "max_seq_length": 100,
        "model_type": "LTM-rectflows",
        "model_kwargs": hparams,
        **changes,
    }


class TestFiles:
    @pytest.fixture
    def load(self, tmp_path):
        def load(stored):
            torch.save(stored, tmp_path / "odd.pt")
            return load_surprisal(tmp_path / "odd.pt", device="cpu")

        return load

    def test_a_model_comes_back(self, model, load, tmp_path):
        expected = model.information_content(latents(), (0.0, 0.3))
        from_public = load(public(model))
        assert from_public.config == TINY
        np.testing.assert_array_equal(from_public.information_content(latents(), (0.0, 0.3)), expected)
        from_public.save(tmp_path / "own.safetensors")
        own = load_surprisal(tmp_path / "own.safetensors", device="cpu")
        assert (own.config, own.name, own.codec) == (TINY, "own", None) and len(own.sha256) == 64
        np.testing.assert_array_equal(own.information_content(latents(), (0.0, 0.3)), expected)

    def test_without_copies_or_settings(self, model, load):
        stored = public(model)
        state = {name: t for name, t in stored["model_state_dict"].items() if not name.startswith("ode.")}
        assert load({"model_state_dict": state, "max_seq_length": 100}).config == TINY

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("diff_mlp.layers.1.ff.to_out.weight", "differs from diff_mlp.layers.1.ff.to_out.weight, of which"),
            ("ode.ode_approx.layers.1.ff.to_out.weight", None),  # a copy may be absent
            (
                "backbone.attn_layers.final_norm.gamma",
                "odd: not the weights.*Missing: 'backbone.attn_layers.final",
            ),
            ("backbone.attn_layers.rotary_pos_emb.inv_freq", "Missing: 'backbone.attn_layers.rotary_pos_emb.inv_freq'"),
            ("backbone.project_in.weight", "odd: expected a matrix 'backbone.project_in.weight' among the weights"),
            ("backbone.attn_layers.layers.0.1.to_q.weight", "expected a matrix 'backbone.attn_layers.layers.0.1.to_q"),
        ],
    )
    def test_missing(self, model, load, name, message):
        stored = public(model)
        del stored["model_state_dict"][name]
        if message is None:
            assert load(stored).config == TINY
        else:
            with pytest.raises(ValueError, match=message):
                load(stored)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("backbone.token_emb.weight", "odd: not the weights.*left over: 'backbone.token_emb.weight'"),
            (
                "diff_mlp.layers.2.ff.to_mlp.weight",
                "odd: not the weights.*Missing: 'diff_mlp.layers.2.ff.to_out",
            ),
            ("ode.ode_approx.extra", "odd: ode.ode_approx.extra differs from diff_mlp.extra, of which it should be"),
        ],
    )
    def test_left_over(self, model, load, name, message):
        stored = public(model)
        stored["model_state_dict"][name] = torch.ones(64, 16)
        with pytest.raises(ValueError, match=message):
            load(stored)

    def test_of_another_shape(self, model, load):
        stored = public(model)
        for head in ("diff_mlp", "ode.ode_approx"):
            stored["model_state_dict"][f"{head}.linear_input.weight"] = torch.ones(16, 21)
        with pytest.raises(ValueError, match=r"diff_mlp.linear_input.weight should be of shape \(16, 20\), but is"):
            load(stored)

    def test_not_finite(self, model, load):
        stored = public(model)
        stored["model_state_dict"]["backbone.project_in.weight"][0, 0] = float("nan")
        with pytest.raises(ValueError, match="backbone.project_in.weight is not finite"):
            load(stored)

    def test_copies_that_differ(self, model, load):
        stored = public(model)
        copy = "ode.ode_approx.linear_output.weight"
        stored["model_state_dict"][copy] = stored["model_state_dict"][copy] + 1e-3
        with pytest.raises(ValueError, match=f"odd: {copy} differs from diff_mlp.linear_output.weight.*ask the makers"):
            load(stored)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"model_type": "LTM-diffusion"}, "odd: expected a model of type 'LTM-rectflows', got 'LTM-diffusion'"),
            ({"model_kwargs": {"n_cls": 10}}, "odd: trained with n_cls=10; the likelihood of such a model is not"),
            ({"model_kwargs": {"noise_context": 0.1}}, "odd: trained with noise_context=0.1"),
            (
                {"model_kwargs": {"causal_transformer_hparams": {"dim": 16, "use_rmsnorm": True}}},
                "odd: settings that change the network and are not supported: 'use_rmsnorm'",
            ),
            (
                {"model_kwargs": {"transformer_wrapper_hparams": {"num_memory_tokens": 4}}},
                "not supported: 'num_memory_tokens'",
            ),
            (
                {"model_kwargs": {"causal_transformer_hparams": {"rotary_pos_emb": False}}},
                "not supported: 'rotary_pos_emb=False'",
            ),
            (
                {"model_kwargs": {"causal_transformer_hparams": {"dim": 16, "depth": 3, "heads": 2}}},
                r"odd: the settings say \{'depth': 3, 'heads': 2\}, the shapes of the weights .* is inconsistent",
            ),
            (
                {"max_seq_length": None},
                "odd: expected a max_seq_length of at least 2 frames.*got None",
            ),
            ({"max_seq_length": 1}, "odd: expected a max_seq_length of at least 2 frames among the settings, got 1"),
        ],
    )
    def test_settings(self, model, load, changes, message):
        with pytest.raises(ValueError, match=message):
            load(public(model, **changes))

    def test_without_a_length(self, model, load):
        stored = public(model)
        del stored["max_seq_length"]
        with pytest.raises(ValueError, match="odd: expected a max_seq_length of at least 2 frames.*got None"):
            load(stored)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", ["fast", "reference", "exact"])
@pytest.mark.parametrize("at", ["expectation", "ode"])
def test_cuda_is_the_cpu(mode, at):
    """To 1e-2 nats, with the same probes; entropy too."""
    model, z = loaded(REFERENCES / "ic_small")
    settings = {"tolerance": 1e-3} if mode == "exact" else {}
    here = model.estimate(z[:12], (0.0, 0.3), mode=mode, at=at, **settings)
    entropy = model.entropy(z[:12], (0.0, 0.3))
    there = load_surprisal(REFERENCES / "ic_small" / "checkpoint.pt", device="cuda")
    found = there.estimate(z[:12], (0.0, 0.3), mode=mode, at=at, **settings)
    np.testing.assert_allclose(found.nats, here.nats, rtol=0, atol=1e-2)
    np.testing.assert_allclose(found.se, here.se, rtol=0, atol=1e-2)
    np.testing.assert_allclose(there.entropy(z[:12], (0.0, 0.3)).nats, entropy.nats, rtol=0, atol=1e-2)
