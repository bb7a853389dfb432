"""Training: one loop for every network, which can be killed at any moment and goes on as if it had not been.

`objective`
    `Objective`: a network and the loss by which it learns; what a caller writes.
`config`
    `LoopConfig`: steps, optimiser, learning rates, average, precision.
`loop`
    `train`: the loop.
`learner`
    Its arithmetic: one step, the average of the weights, validation.
`checkpoint`
    What a run needs to go on, in files.
`divergence`
    `Diverged`: what is said and kept when a loss is no longer finite.
`distributed`
    Several processes, one per GPU, started by torchrun; `first_process` says which of them writes.
`stopping`
    Ctrl-C and SIGTERM, obeyed between two steps.
`draws`
    `generator`: random numbers that belong to names.
"""

from eegic.training.config import LoopConfig
from eegic.training.distributed import first_process
from eegic.training.divergence import Diverged
from eegic.training.draws import generator
from eegic.training.loop import train
from eegic.training.objective import Objective

__all__ = ["Diverged", "LoopConfig", "Objective", "first_process", "generator", "train"]
