"""Recipes: trainings of codecs and surprisal models, each described by one TOML file.

`recipe`
    What such a file may say.
`tables`
    How it is written: the files that come with eegic (in ``presets``), bases, and changes of single values.
`running`
    Following a recipe, or trying one step of it.
`assessment`
    What a surprisal model knows of melodies whose true surprisal is known.
`card`
    The card of a model: what it is, how it was made, what it reaches, what it is not.
"""

from eegic.recipes.assessment import Notes, assess, assess_repetition
from eegic.recipes.card import card
from eegic.recipes.recipe import KINDS, Recipe, read_recipe
from eegic.recipes.running import Trial, attempt, follow
from eegic.recipes.tables import presets

__all__ = [
    "KINDS",
    "Notes",
    "Recipe",
    "Trial",
    "assess",
    "assess_repetition",
    "attempt",
    "card",
    "follow",
    "presets",
    "read_recipe",
]
