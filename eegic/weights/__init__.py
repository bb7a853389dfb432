"""Weights of models: files that are read without being run, and published checkpoints known by name.

`manifest`
    Names, licences and digests of published checkpoints, and how one is fetched on request.
`files`
    Safetensors with json, and the public .pt layouts.
"""

from eegic.weights.files import KINDS, Stored, check_state, kind_of, read, write
from eegic.weights.manifest import Entry, entries

__all__ = ["KINDS", "Entry", "Stored", "check_state", "entries", "kind_of", "read", "write"]
