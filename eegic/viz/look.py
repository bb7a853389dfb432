"""The look that all figures share: colours, lines, axes, and names broken into lines."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours for the colour-blind, ordered so that neighbours also differ in lightness
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
LINES = ("-", (0, (5, 1)), (0, (3, 1, 1, 1)), ":")
HATCHES = ("", "////", "....", "xxxx", "----")
SMALL_LEGEND: dict[str, Any] = {
    "frameon": False,
    "fontsize": "small",
    "title_fontsize": "small",
    "alignment": "left",
    "columnspacing": 1.2,
}
LETTER = 0.066  # inches, of small print
MARKERS = ("o", "s", "^", "D", "v")


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


def two_axes(axes: Sequence[Axes] | None, size: tuple[float, float], names: str) -> Sequence[Any]:
    """Return the two axes that were given, or those of a new figure, one below the other over the same x."""
    if axes is None:
        import matplotlib.pyplot as plt

        return list(plt.subplots(2, 1, figsize=size, sharex=True, layout="constrained")[1])
    two = list(axes) if isinstance(axes, Sequence | np.ndarray) else [axes]
    if len(two) != 2:
        raise ValueError(f"axes: expected two, for {names}, got {len(two)}.")
    return [own_axes(one, (0, 0)) for one in two]


def finished(axes: Axes) -> Figure:
    """Return the figure of `axes`, without the frame's upper and right sides."""
    axes.spines[["top", "right"]].set_visible(False)
    return axes.figure.figure  # the whole one, also of axes in a part of it


def inches(axes: Axes) -> float:
    """Width of axes."""
    return float(axes.get_window_extent().width / axes.figure.dpi)


def legend_above(axes: Axes, entries: Mapping[str, Any], lines: Sequence[str] = ()) -> None:
    """Put a legend above the axes, from label to handle, under lines of text, in as many columns as have room."""
    from matplotlib.legend_handler import HandlerTuple

    left = 0.6  # inches, above the label of the y axis
    letters = (inches(axes) + left) / LETTER
    axes.legend(
        list(entries.values()),
        list(entries),
        title="\n".join(textwrap.fill(line, int(letters)) for line in lines) or None,
        ncols=max(1, min(len(entries), int(letters / (6 + widest(list(entries)))))),
        loc="lower left",
        bbox_to_anchor=(-left / inches(axes), 1.0),
        borderpad=0.0,
        handler_map={tuple: HandlerTuple(ndivide=None)},
        **SMALL_LEGEND,
    )


def legend_within(axes: Axes, heading: str | None) -> None:
    """Put a legend at the top of the axes, in columns, and lift their limit so that it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    n_columns = max(1, min(len(labels), int(inches(axes) / LETTER / (6 + widest(labels)))))
    n_lines = -(-len(labels) // n_columns) * max(label.count("\n") + 1 for label in labels) + bool(heading)
    share = min(0.5, 0.22 * n_lines * axes.figure.dpi / axes.get_window_extent().height)  # a line has 0.22 inches
    low, high = axes.get_ylim()
    axes.set_ylim(low, low + (high - low) / (1 - share))
    axes.legend(handles, labels, title=heading, loc="upper left", ncols=n_columns, borderaxespad=0.0, **SMALL_LEGEND)


def plain(text: str) -> str:
    """Return a text that is drawn as it is: dollars begin no formula, and no legend leaves out a name for its ``_``."""
    text = text.replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def wrapped(text: str, width: int) -> str:
    """Break a name into lines, where it has gaps or marks and, failing these, anywhere."""
    lines = [""]
    for word in re.findall(r"(?:[^\s_./,-]|(?<=\d)\.(?=\d))*[\s_./,-]*", text):
        if len(lines[-1]) + len(word.rstrip()) > width and lines[-1]:
            lines.append("")
        whole = lines[-1] + word
        lines[-1:] = [whole[at : at + width] for at in range(0, max(len(whole.rstrip()), 1), width)]
    return plain("\n".join(line.strip() for line in lines))


def widest(labels: Sequence[str]) -> int:
    """Letters in the longest line of some labels."""
    return max((len(line) for label in labels for line in label.split("\n")), default=0)
