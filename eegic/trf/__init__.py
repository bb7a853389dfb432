"""Temporal response functions from second moments: arrays in, arrays out.

The engine, from samples to scores
    `inputs`, `lags`, `design`, `moments`, `ridge`, `scores`, `model`
Cross-validation
    `folds`, `heldout`, `search`, `crossval`, `workers`
What an added feature tells
    `delta`, its null in `surrogates` and `exchange`, `partition`, `ceiling`
Whether the null can be believed
    `validity`, `rehearsal`, `verdicts`
"""

from eegic.trf.ceiling import Ceiling, listener_ceiling, repeat_ceiling
from eegic.trf.crossval import AlphaPath, CrossVal, crossval_path, nested_crossval
from eegic.trf.delta import DeltaR, delta_r
from eegic.trf.folds import group_folds
from eegic.trf.lags import bspline_basis, lag_range
from eegic.trf.model import TRF, fit
from eegic.trf.partition import Partition, partition
from eegic.trf.ridge import ALPHA_UNITS
from eegic.trf.validity import false_positives, power
from eegic.trf.verdicts import FalsePositives, Power

__all__ = [
    "ALPHA_UNITS",
    "TRF",
    "AlphaPath",
    "Ceiling",
    "CrossVal",
    "DeltaR",
    "FalsePositives",
    "Partition",
    "Power",
    "bspline_basis",
    "crossval_path",
    "delta_r",
    "false_positives",
    "fit",
    "group_folds",
    "lag_range",
    "listener_ceiling",
    "nested_crossval",
    "partition",
    "power",
    "repeat_ceiling",
]
