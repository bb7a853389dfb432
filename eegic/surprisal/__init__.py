"""How surprising music is: from its sound, and from its notes.

`ic`
    `information_content` and `entropy` of sound, on its clock.
`model`
    `SurprisalModel`: the same for latents.
`rows`
    Its arithmetic: frames and levels in batches, each with probes of its own.
`loading`
    `load_surprisal`: models from files.
`modes`
    Fast, exact, reference: their numbers.
`networks`
    The transformer and the velocity behind it, and how public files spell their weights.
`training`
    `train_surprisal`: the loss by which a model learns.
`latents`
    Latents of a corpus, encoded once and kept on disk.
`ppm`
    `PPM`: variable-order Markov models of any symbols, and how several combine.
`symbolic`
    `MelodyModel`: what they expect of melodies, long-term, short-term, both.
`idyom`
    Tables that Lisp IDyOM wrote.
`notes`
    Between notes and frames.
`tables`
    Text files, in our layout and in the published one.
"""

from eegic.surprisal.ic import STAMPS, Encoded, encode_sound, entropy, information_content
from eegic.surprisal.idyom import IdyomPiece, read_idyom
from eegic.surprisal.loading import load_surprisal
from eegic.surprisal.model import AT, LatentIC, SurprisalModel
from eegic.surprisal.modes import MODES
from eegic.surprisal.networks import FlowConfig
from eegic.surprisal.notes import at_notes, note_ic_to_series, rank_correlation
from eegic.surprisal.ppm import PPM, Rules, combine
from eegic.surprisal.symbolic import MelodyModel, NoteIC
from eegic.surprisal.tables import write_csv

__all__ = [
    "AT",
    "MODES",
    "PPM",
    "STAMPS",
    "Encoded",
    "FlowConfig",
    "IdyomPiece",
    "LatentIC",
    "MelodyModel",
    "NoteIC",
    "Rules",
    "SurprisalModel",
    "at_notes",
    "combine",
    "encode_sound",
    "entropy",
    "information_content",
    "load_surprisal",
    "note_ic_to_series",
    "rank_correlation",
    "read_idyom",
    "write_csv",
]
