"""Lines at the bottom of a terminal, and what may stand in them."""

from __future__ import annotations

import os
import unicodedata
from contextlib import suppress
from typing import TextIO


class Screen:
    """Lines at the bottom of a terminal that are drawn over themselves."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._drawn: list[str] = []

    @property
    def size(self) -> tuple[int, int]:
        """Columns that can be used (a full line would wrap) and rows."""
        try:
            columns, rows = os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError):
            columns, rows = 0, 0
        return (columns or 80) - 1, rows or 24

    def draw(self, lines: list[str], above: str = "") -> None:
        """Replace the lines; `above` becomes a line that stays."""
        if lines == self._drawn and not above:
            return
        text = self._erased() + (f"{above}\n" if above else "") + "\n".join(lines)
        self._drawn = lines
        write(self.stream, text)

    def _erased(self) -> str:
        if not self._drawn:
            return ""
        width = self.size[0] + 1  # since they were drawn it may have become narrower: then they take more rows
        up = sum(max(1, -(-_columns(line) // width)) for line in self._drawn) - 1
        return "\r" + (f"\x1b[{up}A" if up else "") + "\x1b[J"


def redraws(stream: TextIO) -> bool:
    """Whether lines can be drawn over in this terminal."""
    old = os.environ.get("TERM") == "dumb" or (os.name == "nt" and "WT_SESSION" not in os.environ)
    return stream.isatty() and not old


def write(stream: TextIO, text: str) -> None:
    """Write at once, or not at all where the stream is closed or broken: showing must not stop a run."""
    with suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()


def printable(text: str, stream: TextIO) -> str:
    """One line of what the stream can show: names may hold line breaks, and codes that move the cursor."""
    words = "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return words.encode(encoding, "replace").decode(encoding)


def fitted(text: str, width: int) -> str:
    """The text, cut to what fits."""
    if _columns(text) <= width:
        return text
    text = text[: max(0, width)]
    while text and _columns(text) > width - 3:
        text = text[:-1]
    return text + "..."[: max(0, width)]


def _columns(text: str) -> int:
    return sum(map(_wide, text))


def _wide(char: str) -> int:
    """Columns that a character takes in a terminal."""
    return 0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
