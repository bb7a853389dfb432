"""Chance, from one participant to many: arrays in, arrays out.

`pvalues`
    From null distributions: single, corrected for all channels, and the levels that a null can reach.
`flips`
    `sign_flip`: is the mean over participants above zero?
`effects`
    `effect_size`: by how much, with an interval; `skewness`.
`prevalence`
    `prevalence`: in which share of the population? `count_test`: in more participants than chance would have it?
`crossed`
    `crossed_mean`: for other participants and other music at once.
`inputs`
    Values of participants, checked at one door.
"""

from eegic.stats.crossed import CrossedMean, crossed_mean
from eegic.stats.effects import EffectSize, effect_size, skewness
from eegic.stats.flips import ALTERNATIVES, CENTERS, SignFlip, sign_flip
from eegic.stats.prevalence import Prevalence, count_test, prevalence
from eegic.stats.pvalues import attainable, error_of_corrected, max_statistic, p_value

__all__ = [
    "ALTERNATIVES",
    "CENTERS",
    "CrossedMean",
    "EffectSize",
    "Prevalence",
    "SignFlip",
    "attainable",
    "count_test",
    "crossed_mean",
    "effect_size",
    "error_of_corrected",
    "max_statistic",
    "p_value",
    "prevalence",
    "sign_flip",
    "skewness",
]
