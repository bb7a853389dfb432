"""How surprising music is: from its sound, and from its notes.

| room | what lies there |
|---|---|
| `ic` | `information_content` and `entropy` of sound, on its clock |
| `model` | `SurprisalModel`: the same for latents |
| `rows` | its arithmetic: frames and levels in batches, each with probes of its own |
| `loading` | `load_surprisal`: models from files |
| `modes` | fast, exact, reference: their numbers |
| `networks` | the transformer and the velocity behind it, and how public files spell their weights |
| `symbolic` | variable-order Markov models of melodies: long-term, short-term, both |
| `idyom` | tables that Lisp IDyOM wrote |
| `notes` | between notes and frames |
| `tables` | text files, in our layout and in the published one |
"""

from eegic.surprisal.ic import STAMPS, Encoded, encode_sound, entropy, information_content
from eegic.surprisal.idyom import IdyomPiece, read_idyom
from eegic.surprisal.loading import load_surprisal
from eegic.surprisal.model import AT, LatentIC, SurprisalModel
from eegic.surprisal.modes import MODES
from eegic.surprisal.networks import FlowConfig
from eegic.surprisal.notes import at_notes, note_ic_to_series, rank_correlation
from eegic.surprisal.symbolic import PPM, MelodyModel, NoteIC, Rules, combine
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
