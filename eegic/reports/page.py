"""One HTML file, made with `mne.Report`: nothing in it comes from outside, and no text in it is taken for code."""

from __future__ import annotations

import base64
import html
import io
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic import _files
from eegic.reports.numbers import general

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_TITLE = 60  # letters
# whatever slips through, a browser fetches nothing
_POLICY = "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_SVG: Any = {"text.usetex": False, "svg.fonttype": "path", "svg.hashsalt": "eegic"}
# mne's own answer to a change of size expects the whole page
_PATIENCE = "addEventListener('resize', e => document.readyState !== 'complete' && e.stopImmediatePropagation());"
_STYLE = """
body { color: #222; overflow-wrap: anywhere; }
#filter-by-tags-dropdown-menu, #content .badge { display: none; }
#top-bar .navbar-brand { white-space: normal; min-width: 0; margin-right: 0; }
#top-bar .fs-3 { font-size: 1.15rem !important; min-width: 0; }
#top-bar img { width: 56px; flex: none; }
#toc h5 { font-size: 0.8rem; color: #666; }
#toc-navbar a { font-size: 0.9rem; border: 0; background: none; }
#toc-navbar a.active { color: #0072B2; font-weight: 600; }
#content .accordion-item { border: 0; border-top: 1px solid #ddd; border-radius: 0; }
#content .accordion-button, #content .accordion-button:not(.collapsed) { background: none; box-shadow: none; }
#content .accordion-header a { color: #222; font-size: 1.35rem; }
#content .accordion-body { padding-bottom: 2.5rem; }
#content h3 { font-size: 1.02rem; font-weight: 600; margin: 1.8rem 0 0.6rem; }
#content p, #content .listed { max-width: 46rem; line-height: 1.55; }
#content .listed { padding-left: 1.2rem; }
#content .note { color: #555; font-size: 0.88rem; }
.wide { overflow-x: auto; max-width: 100%; margin-bottom: 1rem; }
.wide:focus-visible { outline: 2px solid #0072B2; }
.wide table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums; }
.wide th, .wide td { padding: 0.3rem 1.1rem 0.3rem 0; text-align: right; vertical-align: top; white-space: nowrap; }
.wide thead th { border-bottom: 1px solid #888; font-weight: 600; }
.wide tbody tr + tr > * { border-top: 1px solid #eee; }
.wide tbody th { font-weight: 400; }
.wide th:first-child, .wide td:first-child, .wide .words th, .wide .words td { text-align: left; }
.wide .words td { white-space: normal; min-width: 12rem; }
.wide .break tbody th { white-space: normal; min-width: 8rem; max-width: 20rem; }
.wide pre { margin: 0; padding: 0.8rem 1rem; background: #f6f6f6; font-size: 0.82rem; overflow: visible; }
.wide pre { width: max-content; min-width: 100%; }
#content .cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
#content .cards > div { border: 1px solid #ddd; border-radius: 6px; padding: 0.9rem 1.1rem; }
#content .cards h3 { margin-top: 0; }
#content .cards p { margin: 0; font-size: 0.92rem; }
#content figure { margin: 0 0 2rem; }
#content figure img { max-width: 100%; height: auto; display: block; }
#content figcaption { max-width: 46rem; color: #555; font-size: 0.88rem; margin-top: 0.4rem; }
footer nav { font-size: 0.75rem; }
@media (max-width: 767px) {
  #toc { display: none; }
  #content { width: 100%; margin-left: 0; }
  #container { padding-left: 0; padding-right: 0; }
  #container > .row { margin: 0; }
  #content .accordion-button, #content .accordion-body { padding-left: 1rem; padding-right: 1rem; }
}
@media print {
  #toc, nav.navbar { display: none; }
  #content { width: 100%; margin: 0 !important; }
  figure, tr { break-inside: avoid; }
  .wide { overflow: visible; }
}
"""


class Page:
    """A report in the making: sections in order, each with paragraphs, lists, tables, figures and code.

    Parameters
    ----------
    title : str
    progress : bool
        Count the figures, in a terminal, once drawing them takes longer than two seconds.
    """

    def __init__(self, title: str, *, progress: bool) -> None:
        from tqdm import tqdm

        self.title = title
        self._sections: dict[str, list[str]] = {}
        self._drawn = tqdm(desc="Drawing", unit=" figures", delay=2, disable=None if progress else True)

    def section(self, name: str) -> None:
        """Begin a section; `name` is ours, never a user's."""
        self._sections[name] = []

    def heading(self, text: str) -> None:
        """A heading within the section."""
        self._add(f"<h3>{escaped(text)}</h3>")

    def prose(self, text: str, *, kind: str = "") -> None:
        """Paragraphs, between which blank lines stand."""
        for paragraph in re.split(r"\n\s*\n", text.strip()):
            self._add(f"<p{_kind(kind)}>{escaped(paragraph)}</p>")

    def bullets(self, texts: Iterable[str]) -> None:
        """A list; nothing if it is empty."""
        items = "".join(f"<li>{escaped(text)}</li>" for text in texts)
        if items:
            self._add(f'<ul class="listed">{items}</ul>')

    def table(self, about: str, head: Sequence[str], rows: Iterable[Sequence[object]], *, words: bool = False) -> None:
        """A table that scrolls in a box of its own; the first column names the rows.

        Parameters
        ----------
        about : str
            What is in it, for those who cannot see it.
        head : sequence of str
        rows : iterable of sequences, as long as `head`
            Texts and whole numbers.
        words : bool
            Cells hold text rather than numbers.
        """
        top = "".join(f'<th scope="col">{escaped(name)}</th>' for name in head)
        body = "".join(
            f'<tr><th scope="row">{escaped(first)}</th>{"".join(f"<td>{escaped(one)}</td>" for one in rest)}</tr>'
            for first, *rest in rows
        )
        inside = (
            f"<table{_kind('words' if words else 'break')}><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
        )
        self._add(_box(about, inside))

    def cards(self, texts: Mapping[str, str]) -> None:
        """Headed texts side by side, one below the other where the screen is narrow."""
        parts = (f"<div><h3>{escaped(name)}</h3><p>{escaped(text)}</p></div>" for name, text in texts.items())
        self._add(f'<div class="cards">{"".join(parts)}</div>')

    def figure(self, draw: Callable[[], Figure], caption: str) -> None:
        """A figure as sharp as the screen allows, or a sentence why it cannot be drawn."""
        try:
            image, width = _image(draw)
        except ValueError as error:
            self.prose(f"{caption} Not drawn: {error}", kind="note")
        else:
            self._add(
                f'<figure><img src="data:image/svg+xml;base64,{image}" width="{width}" alt="{escaped(caption)}">'
                f"<figcaption>{escaped(caption)}</figcaption></figure>"
            )
        self._drawn.update()

    def code(self, about: str, lines: str) -> None:
        """Lines to copy."""
        self._add(_box(about, f"<pre>{escaped(lines)}</pre>"))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file: the old one or the new one, never half of either."""
        import mne

        self._drawn.close()
        report = mne.Report(title=_writable(self.title), verbose="error")
        report.include = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">{_NARROW}{report.include}'
        report.add_custom_css(_STYLE)
        report.add_custom_js(_PATIENCE)
        for name, parts in self._sections.items():
            report.add_html("\n".join(parts), name, tags=("eegic",))  # without any tag, the script of mne fails
        with _files.replacing(path) as draft:
            report.save(draft, open_browser=False, overwrite=True, verbose="error")
            text = draft.read_text(encoding="utf-8")  # without the time, the same results make the same page
            draft.write_text(_CREATED.sub("Written with eegic and ", text), encoding="utf-8")

    def _add(self, part: str) -> None:
        self._sections[next(reversed(self._sections))].append(part)


_CREATED = re.compile(r"Created on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d via ")
_NARROW = '<meta name="viewport" content="width=device-width, initial-scale=1">'


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuse, before anything is drawn, what is no name of an HTML file."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"path: expected the name of an .html file, got {os.fspath(path)!r}. Add .html to it.")


def escaped(value: object) -> str:
    """A text as HTML that shows it, whatever is in it."""
    return html.escape(_writable(str(value)))


def check_about(about: object) -> None:
    """Refuse what is no text."""
    if about is not None and not isinstance(about, str):
        raise TypeError(
            f"about: expected a text, got {type(about).__name__}. Say in a few sentences what models and data are."
        )


def check_notes(notes: object) -> None:
    """Refuse what are no texts."""
    if isinstance(notes, str) or not isinstance(notes, Sequence):
        raise TypeError(f"notes: expected several texts, got {type(notes).__name__}. Write [one, other, ...].")
    for number, note in enumerate(notes):
        if not isinstance(note, str):
            raise TypeError(f"notes[{number}]: expected a text, got {type(note).__name__}.")


def as_rows(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    """Names and values of settings for a reader, to four digits; a dictionary has a row per entry."""
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += [(f"{name}: {key}", _written(one)) for key, one in value.items()]
        else:
            rows.append((name, _written(value)))
    return rows


def _written(value: object) -> str:
    """A setting in words; of a fraction, four digits that count."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_written(one) for one in value) or "none"
    return general(float(f"{value:.4g}")) if isinstance(value, float) else str(value)


def _writable(text: str) -> str:
    """The same without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _kind(name: str) -> str:
    return f' class="{name}"' if name else ""


def _box(about: str, inside: str) -> str:
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escaped(about)}">{inside}</div>'


def _image(draw: Callable[[], Figure]) -> tuple[str, int]:
    """Draw a figure and return it as SVG in base64, with its width in pixels."""
    import matplotlib.pyplot as plt

    with plt.rc_context(_SVG), plt.ioff(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # the name stands in the text as well
        figure = draw()
        stream = io.BytesIO()
        try:
            figure.savefig(stream, format="svg", facecolor="w", metadata={"Date": None})
        finally:
            plt.close(figure)
    return base64.b64encode(stream.getvalue()).decode("ascii"), round(96 * figure.get_size_inches()[0])
