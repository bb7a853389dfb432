"""Weights of models: files that are read without being run, and checkpoints known by name.

`manifest`
    Names, licences and digests of checkpoints, and how a published one is fetched on request.
`files`
    Safetensors with json, and the public .pt layouts.
``bundled/``
    The two models that come with eegic, with their cards.
"""

from eegic.weights.files import KINDS, Stored, check_state, digest, kind_of, read, write
from eegic.weights.manifest import Entry, entries

__all__ = ["KINDS", "Entry", "Stored", "check_state", "digest", "entries", "kind_of", "read", "write"]
