"""The look that all figures share: colours, lines, axes, and names broken into lines."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours for the colour-blind, ordered so that neighbours also differ in lightness
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", (0, (5, 1)), (0, (3, 1, 1, 1)), ":")


def own_axes(axes: Axes | None, size: tuple[float, float]) -> Any:
    """Return the axes that were given, or those of a new figure of `size` inches."""
    if axes is not None:
        if not hasattr(axes, "plot"):
            raise TypeError(
                f"axes: expected a matplotlib Axes, got {type(axes).__name__}. Leave it out, or pass one: "
                "plt.subplots()[1]."
            )
        return axes
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def finished(axes: Axes) -> Figure:
    """Return the figure of `axes`, without the frame's upper and right sides."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes.figure  # type: ignore[return-value]


def wrapped(text: str, width: int) -> str:
    """Break a name into lines, where it has gaps or marks and, failing these, anywhere."""
    lines = [""]
    for word in re.findall(r"[^\s_./,-]*[\s_./,-]*", text):
        if len(lines[-1]) + len(word.rstrip()) > width and lines[-1]:
            lines.append("")
        whole = lines[-1] + word
        lines[-1:] = [whole[at : at + width] for at in range(0, max(len(whole.rstrip()), 1), width)]
    return "\n".join(line.strip() for line in lines)
