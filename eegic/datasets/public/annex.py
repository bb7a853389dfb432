"""What git-annex tells about files whose content it keeps elsewhere."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

_KEY = re.compile(r"(?P<backend>[A-Z0-9]+(_[A-Z0-9]+)?)(?P<fields>(-[smSC]\d+)*)--(?P<name>[^/\s]+)")
_BACKENDS = {"SHA256": ("sha256", 64), "MD5": ("md5", 32)}
_POINTER = b"/annex/objects/"
_MOST_POINTER = 32768  # bytes; git-annex takes longer files for what they are


@dataclass(frozen=True)
class AnnexKey:
    """What the name of an object of git-annex tells about a file; None for what it does not."""

    bytes: int | None
    algo: str | None
    digest: str | None


def annex_key(text: str) -> AnnexKey | None:
    """What the target of a link, or the text of a pointer file, tells; None if it is no key of git-annex.

    Examples
    --------
    >>> annex_key("../.git/annex/objects/x/y/MD5E-s7--9e107d9d372bb6826bd81d3542a419d6.wav")
    AnnexKey(bytes=7, algo='md5', digest='9e107d9d372bb6826bd81d3542a419d6')
    """
    found = _KEY.fullmatch(text.strip().replace("\\", "/").rpartition("/")[2])
    if found is None or re.search(r"-[SC]\d", found["fields"]):  # a piece of a file
        return None
    size = re.search(r"-s(\d+)", found["fields"])
    algo, digits = _BACKENDS.get(found["backend"].removesuffix("E"), (None, 0))
    digest = re.match(rf"[0-9a-f]{{{digits}}}(?![0-9a-f])", found["name"]) if algo else None
    if algo and digest is None:
        return None
    return AnnexKey(int(size[1]) if size else None, algo, digest[0] if digest else None)


def read_key(path: Path) -> AnnexKey:
    """Size and digest of a file, from its key where git-annex holds it, otherwise from its content."""
    if path.is_symlink() and (key := annex_key(os.readlink(path))):
        return key
    if not path.is_file():
        raise ValueError(f"{path}: neither a file nor a link of git-annex. Mend the link, or take it away.")
    size = path.stat().st_size
    with open(path, "rb") as stream:
        if size <= _MOST_POINTER and stream.read(len(_POINTER)) == _POINTER:
            stream.seek(0)
            if key := annex_key(stream.readline().decode("utf-8", "replace")):
                return key
        stream.seek(0)
        return AnnexKey(size, "sha256", hashlib.file_digest(stream, "sha256").hexdigest())
