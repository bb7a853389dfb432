"""Recipes: trainings of codecs and surprisal models, each described by one TOML file.

`recipe`
    What such a file may say, and the ones that come with eegic (in `presets`).
`running`
    Following a recipe, or trying one step of it.
"""

from eegic.recipes.recipe import KINDS, Recipe, presets, read_recipe
from eegic.recipes.running import Trial, attempt, follow

__all__ = ["KINDS", "Recipe", "Trial", "attempt", "follow", "presets", "read_recipe"]
