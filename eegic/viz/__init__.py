"""Figures: one look for all of them, units on every axis, readable in grey and by the colour-blind.

Every function draws into the `axes` it is given, or makes a figure of its own, and returns the Figure.

`sounds`, `kernels` over lags and `peaks` of them, `maps` of the scalp and `gain_maps` of models, `gains` as bars and
`profile` over noise levels, `nulls`, `clocks`, `training`; and `look`, `scalp` and `summaries`, which they share.
"""

from eegic.viz.clocks import plot_alignment_qc
from eegic.viz.gains import plot_delta_r
from eegic.viz.kernels import plot_trf
from eegic.viz.maps import plot_topography
from eegic.viz.nulls import plot_null
from eegic.viz.profile import plot_noise_profile
from eegic.viz.sounds import plot_features, plot_information_content
from eegic.viz.training import plot_training

__all__ = [
    "plot_alignment_qc",
    "plot_delta_r",
    "plot_features",
    "plot_information_content",
    "plot_noise_profile",
    "plot_null",
    "plot_topography",
    "plot_training",
    "plot_trf",
]
