"""From participants to a claim: tests of a group.

gather
    `group_test`: the results of participants together, and what can be said of new listeners and of new pieces.
alike
    Which results may be put together, what they have in common, and what keeps them apart.
layout
    Channels, regions and conditions of a group.
mixed
    `mixed_model`: listeners and pieces both as random, over noise levels and models.
compare
    `compare_models`: one model against another in the same participants.
clusters
    `cluster_test`: clusters of neighbouring channels, and threshold-free enhancement.
regression
    `group_regression`: covariates, and contrasts between groups of participants.
"""

from eegic.group.clusters import cluster_test
from eegic.group.compare import compare_models
from eegic.group.gather import group_test
from eegic.group.mixed import MixedModel, mixed_model
from eegic.group.regression import group_regression

__all__ = ["MixedModel", "cluster_test", "compare_models", "group_regression", "group_test", "mixed_model"]
