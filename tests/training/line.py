"""The smallest training there is: a linear regression, whose best weights and least loss are known."""

import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

from eegic import training

TRUTH, NOISE = torch.tensor([[1.0], [-2.0], [0.5]]), 0.1


class Line(training.Objective):
    """y = x @ TRUTH + noise, learned from batches of 32; what it draws and is asked for can be watched."""

    def __init__(self, *, dropout=0.0, jitter=0.0):
        super().__init__()
        torch_state = torch.get_rng_state()
        torch.manual_seed(3)
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(3, 1))
        torch.set_rng_state(torch_state)
        self.jitter = jitter

    def network(self):
        return self.layers

    def batch(self, part, index):
        draws = training.generator(0, "data", part, index)
        x = torch.randn(32, 3, generator=draws)
        return {"x": x, "y": x @ TRUTH + NOISE * torch.randn(32, 1, generator=draws)}

    def forward(self, batch, draws, progress):
        moved = batch["x"] + self.jitter * torch.randn(batch["x"].shape, generator=draws)
        return (self.layers(moved) - batch["y"]).square().mean()


class Slow(Line):
    """Two milliseconds a batch, so that there is a moment to be killed in."""

    def batch(self, part, index):
        time.sleep(0.002)
        return super().batch(part, index)


def weights_of(objective):
    """All weights of a network, in one row."""
    return torch.cat([tensor.flatten() for tensor in objective.network().state_dict().values()])


def config(**changes):
    return training.LoopConfig(
        **{"steps": 40, "learning_rate": 0.05, "validate_every": 10, "n_validation": 2, "save_every": 10, **changes}
    )


KILLED = {"steps": 120, "save_every": 4, "validate_every": 40}


def be_killed(out, seed):
    """Train, killed by SIGKILL at random moments, until it is done; print how often."""
    import random

    moments, kills = random.Random(seed), 0
    while True:
        child = os.fork()
        if not child:
            training.train(Slow(dropout=0.2, jitter=0.1), config(**KILLED), out, settings={}, device="cpu", resume=True)
            os._exit(0)
        done = _wait(child, moments.uniform(0.05, 0.4))
        if done is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            kills += 1
        else:
            print(json.dumps({"kills": kills, "status": done}))
            return


def _wait(child, seconds):
    """Exit status of a child, or None if it is still at work after some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.005)
    return None


if __name__ == "__main__":
    importlib.import_module("torch._dynamo")  # here, or each child would load it at its first step
    torch.set_num_threads(1)
    be_killed(Path(sys.argv[1]), int(sys.argv[2]))
