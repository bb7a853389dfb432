"""What is learned is what a loop written by hand learns, and what goes wrong is said and kept."""

import json
import math
import multiprocessing
import os
import shutil
import signal
import sys
import time
import types

import numpy as np
import pytest
import torch
from line import NOISE, TRUTH, Line, config, weights_of
from safetensors.torch import load_file
from torch import nn

from eegic import training
from eegic.history import History
from eegic.training import stopping
from eegic.training.distributed import Ranks
from eegic.training.learner import Learner


def run(out, objective=None, settings=None, **changes):
    """Train on the CPU; return the objective and the history."""
    objective = Line() if objective is None else objective
    return objective, training.train(objective, config(**changes), out, settings=settings or {}, device="cpu")


def last(out, step=40):
    return load_file(out / "checkpoints" / f"step-{step:06d}.safetensors")


class TestLearning:
    def test_the_loss_falls_to_the_noise(self, tmp_path):
        objective, history = run(tmp_path, steps=300, optimiser="adamw", average=0.9, save_every=300)
        validation = history.column("validation")
        assert validation[0] > 1
        assert validation[-1] == pytest.approx(NOISE**2, rel=0.3)
        torch.testing.assert_close(objective.layers[1].weight, TRUTH.T, rtol=0, atol=0.02)

    @pytest.mark.parametrize("optimiser", ["radam", "adamw"])
    @pytest.mark.parametrize("clip", [None, 0.5])
    def test_each_step_is_that_of_torch(self, tmp_path, optimiser, clip):
        rates = {"weight_decay": 0.1, "warmup": 5, "average": 0.9}
        run(tmp_path, Line(jitter=0.2), optimiser=optimiser, clip=clip, **rates)
        objective, how = Line(jitter=0.2), config(**rates)
        network = objective.network()
        average = [parameter.detach().clone() for parameter in network.parameters()]
        if optimiser == "radam":
            by_hand = torch.optim.RAdam(network.parameters(), weight_decay=0.1, decoupled_weight_decay=True)
        else:
            by_hand = torch.optim.AdamW(network.parameters(), weight_decay=0.1)
        for step in range(40):
            by_hand.param_groups[0]["lr"] = how.rate(step)
            by_hand.zero_grad()
            objective(objective.batch("train", step), training.generator(0, "train", step), 0.0).backward()
            nn.utils.clip_grad_norm_(network.parameters(), clip or math.inf)
            by_hand.step()
            decay = min(0.9, (2 + step) / (11 + step))
            average = [decay * a + (1 - decay) * p.detach() for a, p in zip(average, network.parameters(), strict=True)]
        stored = last(tmp_path)
        for (name, parameter), mean in zip(network.named_parameters(), average, strict=True):
            torch.testing.assert_close(stored[f"network.{name}"], parameter.detach(), rtol=1e-6, atol=1e-7)
            torch.testing.assert_close(stored[f"average.{name}"], mean, rtol=1e-5, atol=1e-6)

    def test_the_network_is_left_with_the_average_ready_for_use(self, tmp_path):
        objective, history = run(tmp_path)
        network, stored = objective.network(), last(tmp_path)
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, stored[f"average.{name}"])
            assert not torch.equal(tensor, stored[f"network.{name}"])
        draws = [training.generator(0, "validation", index) for index in range(2)]
        losses = [objective(objective.batch("validation", i), draws[i], 1.0).item() for i in range(2)]
        assert history.rows[-1].validation == pytest.approx(np.mean(losses), rel=1e-6), "validated were other weights"

    def test_without_average_it_is_left_with_the_last_weights(self, tmp_path):
        objective, _ = run(tmp_path, average=0.0)
        stored = last(tmp_path)
        for name, tensor in objective.network().state_dict().items():
            assert torch.equal(tensor, stored[f"network.{name}"])

    def test_rates_rise_along_a_line_and_fall_along_a_cosine(self, tmp_path):
        _, history = run(tmp_path, warmup=8, final_learning_rate=0.01)
        steps = history.column("step")[1:] - 1
        falling = 0.01 + 0.04 * np.cos(np.pi / 2 * (steps - 8) / 31) ** 2
        expected = np.where(steps < 8, 0.05 * (steps + 1) / 8, falling)
        np.testing.assert_allclose(history.column("learning_rate")[1:], expected, rtol=1e-12)
        assert history.rows[-1].learning_rate == pytest.approx(0.01)

    def test_metrics_are_those_of_the_average_without_dropout(self, tmp_path):
        class Watched(Line):
            def metrics(self):
                assert not self.layers.training
                return {"first": self.layers[1].weight[0, 0].item()}

        objective, history = run(tmp_path, Watched(dropout=0.5))
        assert history.rows[-1].metrics == {"first": objective.layers[1].weight[0, 0].item()}
        assert len(history.column("first")) == 41

    def test_frozen_parts_stay_and_stray_ones_are_refused(self, tmp_path):
        objective = Line()
        objective.codec = nn.Linear(2, 2)
        with pytest.raises(ValueError, match=r"codec.weight asks for gradients, but is no part of network\(\)"):
            run(tmp_path / "a", objective)
        objective.codec.requires_grad_(False)
        before = objective.codec.weight.clone()
        run(tmp_path / "a", objective)
        assert torch.equal(objective.codec.weight, before)


class Noted(Line):
    """Notes what it is asked for."""

    def __init__(self):
        super().__init__()
        self.asked, self.progress = [], []

    def batch(self, part, index):
        self.asked.append((part, index))
        return super().batch(part, index)

    def forward(self, batch, draws, progress):
        self.progress.append((self.layers.training, progress))
        return super().forward(batch, draws, progress)


class TestWhatIsAsked:
    def test_batches_come_once_in_order_and_progress_rises(self, tmp_path):
        objective, _ = run(tmp_path, Noted())
        assert [index for part, index in objective.asked if part == "train"] == list(range(40))
        assert [index for part, index in objective.asked if part == "validation"] == [0, 1]
        assert [share for learns, share in objective.progress if learns] == [step / 40 for step in range(40)]
        assert [share for learns, share in objective.progress if not learns] == [1.0] * 2 * 5

    def test_validation_changes_nothing_that_is_learned(self, tmp_path):
        often, _ = run(tmp_path / "often", Line(dropout=0.3, jitter=0.1), validate_every=1)
        seldom, _ = run(tmp_path / "seldom", Line(dropout=0.3, jitter=0.1), validate_every=40)
        assert torch.equal(weights_of(often), weights_of(seldom))

    def test_the_seed_decides_and_nothing_global_moves(self, tmp_path):
        before = torch.get_rng_state()
        runs = [run(tmp_path / str(i), Line(dropout=0.3, jitter=0.1), seed=seed)[0] for i, seed in enumerate((0, 0, 1))]
        assert torch.equal(torch.get_rng_state(), before)
        weights = [weights_of(objective) for objective in runs]
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])

    def test_layers_that_draw_by_themselves_draw_anew_at_each_step(self, tmp_path):
        class Masked(Line):
            masks = ()

            def forward(self, batch, draws, progress):
                if progress < 1:
                    self.masks = (*self.masks, self.layers[0](torch.ones(64)))
                return super().forward(batch, draws, progress)

        first, second = (run(tmp_path / name, Masked(dropout=0.5))[0] for name in "ab")
        assert len({tuple(mask.tolist()) for mask in first.masks}) == 40
        assert all(torch.equal(a, b) for a, b in zip(first.masks, second.masks, strict=True))

    @pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
    def test_processes_that_make_batches_change_nothing(self, tmp_path):
        before = torch.get_rng_state()
        alone, _ = run(tmp_path / "a", Line(jitter=0.1))
        helped, _ = run(tmp_path / "b", Line(jitter=0.1), workers=2)
        assert torch.equal(weights_of(alone), weights_of(helped))
        assert torch.equal(torch.get_rng_state(), before)

    def test_it_compiles_if_asked(self, tmp_path, monkeypatch):
        compiled = []
        monkeypatch.setattr(nn.Sequential, "compile", lambda self: compiled.append(self))
        objective, _ = run(tmp_path / "a", compile=True)
        assert compiled == [objective.layers]
        run(tmp_path / "b")
        assert len(compiled) == 1

    def test_after_each_validation_the_history_is_shown(self, tmp_path):
        shown = []
        training.train(Line(), config(), tmp_path, settings={}, device="cpu", after_validation=shown.append)
        assert [history.rows[-1].step for history in shown] == [0, 10, 20, 30, 40]

    def test_nothing_is_printed_without_a_terminal(self, tmp_path, capfd):
        run(tmp_path)
        assert capfd.readouterr() == ("", "")

    def test_in_a_terminal_it_says_what_is_trained_and_how_far(self, tmp_path, capfd, monkeypatch):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        run(tmp_path)
        text = capfd.readouterr().err
        assert "4 parameters, batch x (32, 3), y (32, 1), cpu" in text
        assert "40/40" in text
        assert "validation=" in text

    @pytest.mark.parametrize(
        ("part", "value", "message"),
        [
            ("batch", [1], "expected a dict of named tensors, got list"),
            ("batch", {"x": 3}, "x: expected a tensor on the CPU, got int"),
            ("batch", {"x": torch.ones(1, device="meta")}, "x: expected a tensor on the CPU, got one on meta"),
            ("network", None, r"network\(\): expected a module with parameters that ask for gradients, got NoneType"),
        ],
    )
    def test_what_is_no_objective_is_refused(self, tmp_path, monkeypatch, part, value, message):
        monkeypatch.setattr(Line, part, lambda self, *_: value)
        with pytest.raises(TypeError, match=message):
            run(tmp_path)

    @pytest.mark.parametrize(
        ("loss", "came"),
        [(lambda w: w, r"shape \(1, 3\)"), (lambda w: w.detach().sum(), r"shape \(\)"), (lambda w: 1.0, "float")],
    )
    def test_what_is_no_loss_is_refused(self, tmp_path, monkeypatch, loss, came):
        objective = Line()
        monkeypatch.setattr(
            Line, "forward", lambda self, *_: torch.zeros(()) if _[2] == 1 else loss(self.layers[1].weight)
        )
        with pytest.raises(ValueError, match=rf"expected a scalar loss that depends on the weights, got {came}"):
            run(tmp_path, objective)

    def test_a_module_is_no_objective(self, tmp_path):
        with pytest.raises(TypeError, match="objective: expected an Objective, got Linear. Derive a class"):
            run(tmp_path, nn.Linear(1, 1))
        with pytest.raises(TypeError, match="config: expected a LoopConfig, got dict"):
            training.train(Line(), {}, tmp_path, settings={})


class TestConfig:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"steps": 0}, "steps: expected at least 1"),
            ({"optimiser": "adam"}, "optimiser: expected one of .* Did you mean 'radam'"),
            ({"learning_rate": 0}, "learning_rate: expected a finite positive number"),
            ({"final_learning_rate": 1}, r"final_learning_rate: expected at most learning_rate \(0.0001\), got 1"),
            ({"warmup": 1000}, "warmup: expected fewer than all 1000 steps"),
            ({"weight_decay": -1}, "weight_decay: expected a number .* not negative"),
            ({"clip": 0}, "clip: expected a finite positive number"),
            ({"average": 1}, "average: expected a decay below 1"),
            ({"validate_every": 0}, "validate_every: expected at least 1"),
            ({"n_validation": 0}, "n_validation: expected at least 1"),
            ({"save_every": 0}, "save_every: expected at least 1"),
            ({"precision": "fp16"}, "precision: expected one of"),
            ({"compile": 1}, "compile: expected True or False"),
            ({"workers": -1}, "workers: expected at least 0"),
            ({"seed": 0.5}, "seed: expected a whole number"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, changes, message):
        with pytest.raises((ValueError, TypeError), match=message):
            training.LoopConfig(**changes)

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_a_cpu_takes_float32(self, tmp_path, precision):
        with pytest.raises(ValueError, match=f"precision: expected float32 on a CPU, got '{precision}'"):
            run(tmp_path / "a", precision=precision)
        assert not (tmp_path / "a").exists()


class Spoiled(Line):
    """Something is not finite at the 24th step."""

    def __init__(self, what):
        super().__init__()
        self.what = what

    def batch(self, part, index):
        batch = super().batch(part, index)
        if (part, index) == ("train", 23) and self.what == "data":
            batch["x"][3] = float("inf")
        if part == "validation" and index == 1 and self.what == "validation":
            batch["y"][:] = float("nan")
        return batch

    def forward(self, batch, draws, progress):
        loss = super().forward(batch, draws, progress)
        spoils = self.what == "gradient" and progress == 23 / 40
        return loss + (self.layers[1].weight * 0).sum().sqrt() if spoils else loss


class TestDivergence:
    @pytest.mark.parametrize(
        ("what", "said"), [("data", "the loss is"), ("gradient", "the norm of the gradient is nan")]
    )
    def test_it_stops_before_the_weights_are_lost(self, tmp_path, what, said):
        with pytest.raises(training.Diverged, match=f"step 24, rank 0: {said}.*last checkpoint .* step 20") as e:
            run(tmp_path, Spoiled(what))
        assert "lower learning rate" in str(e.value)
        assert str(tmp_path / "diverged-step-000024.safetensors") in str(e.value)
        kept = load_file(tmp_path / "diverged-step-000024.safetensors")
        assert torch.equal(kept["x"], Spoiled(what).batch("train", 23)["x"])
        about = json.loads((tmp_path / "diverged-step-000024.json").read_text())
        assert about == {"part": "train", "index": 23, "step": 24, "rank": 0, "seed": 0}
        assert all(torch.isfinite(tensor).all() for tensor in last(tmp_path, 20).values())
        assert History.read(tmp_path / "history.csv").rows[-1].step == 23

    def test_once_the_data_are_mended_it_goes_on_as_if_nothing_had_been(self, tmp_path):
        with pytest.raises(training.Diverged):
            run(tmp_path / "a", Spoiled("data"))
        mended = Line()
        training.train(mended, config(), tmp_path / "a", settings={}, device="cpu", resume=True)
        assert torch.equal(weights_of(mended), weights_of(run(tmp_path / "b")[0]))

    def test_validation_that_is_not_finite_is_named(self, tmp_path):
        with pytest.raises(training.Diverged, match="step 0.*the loss of validation batch 1 is nan.*no checkpoint yet"):
            run(tmp_path, Spoiled("validation"))
        assert torch.isnan(load_file(tmp_path / "diverged-step-000000.safetensors")["y"]).all()

    def test_float16_that_overflows_is_skipped_until_the_scale_fits(self):
        how = config(precision="float16", learning_rate=0.01)
        learner = Learner(Line(), how, Ranks(0, 1, torch.device("cpu")))
        before, scale = weights_of(learner.objective), 1e38
        learner.scaler.load_state_dict({**learner.scaler.state_dict(), "scale": scale})
        skipped = 0
        for step in range(200):
            loss, norm = learner.gradient(learner.objective.batch("train", step), step)
            assert math.isfinite(loss)
            if math.isfinite(norm):
                break
            assert learner.overflowed(norm)
            learner.update(step)
            assert torch.equal(weights_of(learner.objective), before), "a step that is not finite was taken"
            skipped += 1
        learner.update(step)
        assert skipped > 5
        assert learner.scaler.get_scale() == pytest.approx(scale / 2**skipped)
        assert not torch.equal(weights_of(learner.objective), before)

    def test_the_norm_in_float16_is_that_of_the_gradient_and_not_of_its_scale(self):
        batch = Line().batch("train", 0)
        norms = []
        for precision in ("float32", "float16"):
            learner = Learner(Line(), config(precision=precision), Ranks(0, 1, torch.device("cpu")))
            if precision == "float16":
                learner.scaler.load_state_dict({**learner.scaler.state_dict(), "scale": 64.0})
            norms.append(learner.gradient(batch, 0)[1])
        assert norms[1] == pytest.approx(norms[0], rel=0.01)

    def test_float16_that_never_fits_has_diverged(self):
        learner = Learner(Line(), config(precision="float16"), Ranks(0, 1, torch.device("cpu")))
        learner.scaler.load_state_dict({**learner.scaler.state_dict(), "scale": 2.0**-20})
        learner.gradient(learner.objective.batch("train", 0), 0)
        assert not learner.overflowed(math.nan)


class Interrupted(Line):
    """Gets a signal while it makes its 14th batch."""

    def __init__(self, number):
        super().__init__(dropout=0.2)
        self.number = number

    def batch(self, part, index):
        if (part, index) == ("train", 13):
            signal.raise_signal(self.number)
        return super().batch(part, index)


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_finishes_the_step_saves_and_says_how_to_go_on(self, tmp_path, number):
        before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
        with pytest.raises(KeyboardInterrupt, match=r"stopped after step 14 of 40; .*Go on with resume=True"):
            run(tmp_path / "a", Interrupted(number))
        assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
        objective = Line(dropout=0.2)
        history = training.train(objective, config(), tmp_path / "a", settings={}, device="cpu", resume=True)
        whole, expected = run(tmp_path / "b", Line(dropout=0.2))
        assert torch.equal(weights_of(objective), weights_of(whole))
        np.testing.assert_array_equal(history.column("loss"), expected.column("loss"))

    @pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_to_all_processes_is_no_error(self, tmp_path, number):
        def to_all(history):
            if history.rows[-1].step == 20:
                for worker in multiprocessing.active_children():
                    os.kill(worker.pid, number)
                time.sleep(0.1)
                signal.raise_signal(number)

        options = {"settings": {}, "device": "cpu"}
        with pytest.raises(KeyboardInterrupt, match="stopped after step 2"):
            training.train(Line(), config(workers=2), tmp_path / "a", after_validation=to_all, **options)
        objective = Line()
        training.train(objective, config(), tmp_path / "a", resume=True, **options)
        assert torch.equal(weights_of(objective), weights_of(run(tmp_path / "b")[0]))

    def test_a_second_signal_is_obeyed_at_once_if_it_is_not_the_first_again(self, monkeypatch):
        with stopping.Stop() as stop:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)  # a launcher passes it on
            assert stop.asked
            monkeypatch.setattr(stopping, "_PATIENCE", -1.0)
            with pytest.raises(KeyboardInterrupt, match="in the middle of a step"):
                signal.raise_signal(signal.SIGINT)


class TestFolder:
    def test_one_that_cannot_be_written_is_named_before_training(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(OSError, match=r"file/run: cannot be written to \(.*\). Name another folder"):
            run(tmp_path / "file" / "run")

    def test_a_disk_too_small_is_named_before_training(self, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=100))
        with pytest.raises(OSError, match="the checkpoints need 192 bytes, but 100 are free. Make room"):
            run(tmp_path)

    def test_tensorboard_gets_the_rows_or_is_asked_for(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(ImportError, match="tensorboard: not installed: pip install tensorboard"):
            run(tmp_path / "a", tensorboard=True)
        written = []

        class Writer:
            def __init__(self, folder, purge_step):
                written.append((folder, purge_step))

            def __enter__(self):
                return self

            def __exit__(self, *_):
                written.append("closed")

            def add_scalar(self, name, value, step):
                written.append((name, value, step))

        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
        _, history = run(tmp_path / "b", tensorboard=True)
        assert written[0] == (str(tmp_path / "b" / "tensorboard"), 1)
        assert ("validation", history.rows[-1].validation, 40) in written
        assert not any(math.isnan(entry[1]) for entry in written[1:-1])
        assert written[-1] == "closed"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_gpu_learns_in_each_precision_and_goes_on(tmp_path, precision):
    how = {"steps": 200, "optimiser": "adamw", "average": 0.9, "precision": precision}
    objective = Line(dropout=0.0)
    history = training.train(objective, config(**how), tmp_path, settings={}, device="cuda")
    assert history.rows[-1].validation == pytest.approx(NOISE**2, rel=0.5)
    (tmp_path / "checkpoints" / "step-000200.json").unlink()
    again = Line()
    training.train(again, config(**how), tmp_path, settings={}, device="cuda", resume=True)
    torch.testing.assert_close(weights_of(again), weights_of(objective), rtol=1e-3, atol=1e-3)
