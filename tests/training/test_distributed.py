"""Two processes train one network: the weights are those of one process that averages their gradients."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from line import Line, config, weights_of
from safetensors.torch import load_file

from eegic import training
from eegic.history import History

SCRIPT = Path(__file__).with_name("ranks.py")
LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(SCRIPT)]


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Folder, and per rank what it told and its weights."""
    out = tmp_path_factory.mktemp("ranks")
    done = subprocess.run([*LAUNCH, str(out)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    words = [json.loads((out / f"rank-{rank}.json").read_text()) for rank in range(2)]
    return out, words, [load_file(out / f"rank-{rank}.safetensors") for rank in range(2)]


def by_hand(n_steps=12):
    """Average of the weights, as one process gets it that knows both batches of each step."""
    objective = Line(jitter=0.1)
    torch.nn.init.zeros_(objective.layers[1].bias)
    how = config(steps=n_steps)
    optimiser = torch.optim.RAdam(objective.parameters(), lr=1.0)
    average = [parameter.detach().clone() for parameter in objective.parameters()]
    for step in range(n_steps):
        optimiser.param_groups[0]["lr"] = how.rate(step)
        optimiser.zero_grad()
        for index in (2 * step, 2 * step + 1):
            loss = objective(objective.batch("train", index), training.generator(0, "train", index), 0.0)
            (loss / 2).backward()
        optimiser.step()
        decay = min(0.9, (2 + step) / (11 + step))
        average = [decay * a + (1 - decay) * p.detach() for a, p in zip(average, objective.parameters(), strict=True)]
    return torch.cat([tensor.flatten() for tensor in average])


def test_both_end_with_the_same_weights(told):
    first, second = (weights["plain"] for weights in told[2])
    assert torch.equal(first, second)


def test_the_weights_are_those_of_averaged_gradients(told):
    torch.testing.assert_close(told[2][0]["plain"], by_hand(), rtol=0, atol=1e-6)
    alone = Line(jitter=0.1)
    assert (weights_of(alone) - by_hand()).abs().max() > 0.01, "nothing was learned, so nothing was compared"


def test_only_the_first_validates_and_writes(told):
    out, (first, second), _ = told
    assert [math.isnan(value) for value in second["plain"]["validation"]] == [True] * 13
    assert sum(not math.isnan(value) for value in first["plain"]["validation"]) == 4
    assert first["plain"]["loss"][1:] == second["plain"]["loss"][1:], "the loss is the mean over both"
    assert len(History.read(out / "plain" / "history.csv").rows) == 13


def test_divergence_names_the_rank_and_ends_both(told):
    out, words, _ = told
    for word in words:
        assert "Diverged: step 6, rank 1: the loss is nan" in word["diverged"]["error"]
        assert "diverged-step-000006-rank-1.safetensors" in word["diverged"]["error"]
        assert "the last checkpoint is that of step 4" in word["diverged"]["error"]
    kept = load_file(out / "diverged" / "diverged-step-000006-rank-1.safetensors")
    assert torch.isnan(kept["x"]).all()
    assert torch.equal(kept["y"], Line().batch("train", 11)["y"])
    assert not list((out / "diverged").glob("*rank-0*"))


def test_one_that_is_stopped_stops_both_and_they_go_on(told):
    _, words, weights = told
    for word in words:
        assert "KeyboardInterrupt: stopped after step 7 of 12" in word["stopped"]["error"]
    assert torch.equal(weights[0]["went on"], weights[1]["went on"])


def test_going_on_equals_never_stopping(told):
    out, _, _ = told
    plain, stopped = (
        load_file(out / name / "checkpoints" / "step-000012.safetensors") for name in ("plain", "stopped")
    )
    assert plain.keys() == stopped.keys()
    assert all(torch.equal(tensor, stopped[key]) for key, tensor in plain.items())


def test_a_run_of_two_does_not_go_on_alone(told):
    with pytest.raises(ValueError, match=r"comes from another run. processes: 2 then, 1 now. Go on with what"):
        training.train(
            Line(jitter=0.1),
            config(steps=12, clip=None, average=0.9),
            told[0] / "plain",
            settings={},
            resume=True,
            device="cpu",
        )
