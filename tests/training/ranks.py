"""What each of two processes does under torchrun: train, diverge, be stopped, go on; what came of it is in files."""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from line import Line, config, weights_of
from safetensors.torch import save_file

from eegic import training

OPTIONS = {"steps": 12, "validate_every": 4, "save_every": 4, "clip": None, "average": 0.9}


class OneFails(Line):
    """The second process gets a batch that is not finite at the sixth step."""

    def batch(self, part, index):
        batch = super().batch(part, index)
        return {"x": batch["x"] * float("nan"), "y": batch["y"]} if (part, index) == ("train", 11) else batch


class OneIsStopped(Line):
    """The second process is asked to stop while it makes its batch for the seventh step."""

    def batch(self, part, index):
        if (part, index) == ("train", 13):
            signal.raise_signal(signal.SIGTERM)
        return super().batch(part, index)


def run(objective, out, **options):
    """Train; return what is worth telling."""
    try:
        history = training.train(objective, config(**OPTIONS), out, settings={}, device="cpu", **options)
    except (training.Diverged, KeyboardInterrupt) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"validation": history.column("validation").tolist(), "loss": history.column("loss").tolist()}


def main(out):
    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    plain, stopped, went_on = Line(jitter=0.1), OneIsStopped(jitter=0.1), Line(jitter=0.1)
    for objective in (plain, stopped):
        torch.nn.init.constant_(objective.layers[1].bias, float(rank))  # all begin as the first does
    told = {"plain": run(plain, out / "plain"), "diverged": run(OneFails(), out / "diverged")}
    told["stopped"] = run(stopped, out / "stopped")
    told["went on"] = run(went_on, out / "stopped", resume=True)
    save_file({"plain": weights_of(plain), "went on": weights_of(went_on)}, out / f"rank-{rank}.safetensors")
    (out / f"rank-{rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
