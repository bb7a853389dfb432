"""Random numbers that belong to names: no draw depends on how many others there are, or on their order."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *identity: object) -> np.random.Generator:
    """Return the generator of what `identity` names, e.g. ``generator(0, "noise", "sub-03", "melody-01", 0)``.

    Examples
    --------
    >>> again = [generator(0, "order", "sub-03").random() for _ in range(2)]
    >>> again[0] == again[1], again[0] == generator(0, "order", "sub-04").random()
    (True, False)
    """
    digest = hashlib.sha256("/".join(map(str, identity)).encode()).digest()
    key = np.frombuffer(digest, "<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
