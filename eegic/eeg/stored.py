"""Arrays and a JSON text in one file, and back: nothing pickled, and nothing taken that does not fit together."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _files

if TYPE_CHECKING:
    import mne

Kinds = Mapping[str, tuple[str, Callable[[Any], bool]]]
Unpack = Callable[[Mapping[str, np.ndarray]], dict[str, Any]]
Axes = Mapping[str, tuple[int | str, ...]]

_PLACES: Axes = {
    "loc": ("n_channels", 12),
    "frames": ("n_channels",),
    "dig": ("n_points", 3),
    "dig kinds": ("n_points", 3),
}
_WHOLE = ("frames", "dig kinds")
_KINDS = {"f": "real numbers", "i": "whole numbers", "b": "truth values"}


def write(
    path: str | os.PathLike[str], arrays: dict[str, np.ndarray], schema: str, unpack: Unpack, *, compress: bool = True
) -> None:
    """Write what is packed, once it is found that it could be read again."""
    try:
        unpack(arrays)
    except ValueError as error:
        raise ValueError(f"{path}: not written, since it could not be loaded ({error}). Correct it first.") from error
    _files.write_npz(path, {**arrays, "schema": np.array(schema)}, compress=compress)


def read(path: str | os.PathLike[str], schema: str, unpack: Unpack) -> dict[str, Any]:
    """Fields of what `write` wrote."""
    arrays = _files.read_npz(path, schema, ("about",), others=True)
    try:
        return unpack(arrays)
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or changed by hand ({error}). Save it again.") from error


def text_of(about: Mapping[str, Any]) -> np.ndarray:
    """Whatever is no array, as one text."""
    return np.array(json.dumps(about, ensure_ascii=False))


def content(arrays: Mapping[str, np.ndarray], kinds: Kinds) -> dict[str, Any]:
    """The text under ``about``, once each of its parts is of its kind."""
    text = arrays["about"]
    if text.dtype.kind != "U" or text.ndim:
        raise ValueError(f"about: expected one text, got {text.dtype} of shape {text.shape}")
    try:
        about: Any = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"about: expected JSON, but {error}") from error
    raise_first(_faults_of_text(about, {**kinds, **_INFO}))
    return dict(about)


def check_arrays(
    arrays: Mapping[str, np.ndarray],
    axes: Axes,
    sizes: Mapping[str, int],
    *,
    whole: Iterable[str] = (),
    truths: Iterable[str] = (),
) -> None:
    """Compare arrays with the axes that they should have; a size that is not given is that of the first array with it.

    Parameters
    ----------
    arrays : dict of str to ndarray
        With ``about``.
    axes : dict of str to tuple
        Of every array but those that `places` gives, which need ``n_channels``.
    sizes : dict of str to int
        Known ones.
    whole, truths : iterable of str
        Arrays of whole numbers and of truth values; all others hold real ones.
    """
    kinds = {**dict.fromkeys((*whole, *_WHOLE), "i"), **dict.fromkeys(truths, "b")}
    raise_first(_faults_of_arrays(arrays, {**axes, **_PLACES}, dict(sizes), kinds))


def raise_first(faults: Iterator[str]) -> None:
    """Raise a ValueError with the first fault, if there is one."""
    fault = next(faults, None)
    if fault is not None:
        raise ValueError(fault)


def places(info: mne.Info) -> dict[str, np.ndarray]:
    """Where channels and digitised points are: coordinates in metres, kinds and frames as FIFF numbers them."""
    channels, points = info["chs"], info["dig"] or []
    return {
        "loc": np.array([channel["loc"] for channel in channels]),  # position, position of the reference, orientation
        "frames": np.array([int(channel["coord_frame"]) for channel in channels]),
        "dig": np.array([point["r"] for point in points]).reshape(len(points), 3),
        "dig kinds": np.array(
            [[int(point[key]) for key in ("kind", "ident", "coord_frame")] for point in points], dtype=np.int64
        ).reshape(len(points), 3),
    }


def recording(info: mne.Info) -> dict[str, Any]:
    """What else a figure shows of an Info, for the text."""
    about = {"ch_names": info["ch_names"], "bads": info["bads"]}
    about |= {name: float(info[name]) for name in ("sfreq", "highpass", "lowpass")}
    return {**about, "custom_ref_applied": int(info["custom_ref_applied"])}


def info_of(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> mne.Info:
    """The inverse of `places` and `recording`."""
    import mne

    info = mne.create_info(about["ch_names"], about["sfreq"], "eeg", verbose="error")
    for channel, loc, frame in zip(info["chs"], arrays["loc"], arrays["frames"], strict=True):
        channel.update(loc=loc.copy(), coord_frame=int(frame))
    points = [
        {"r": r.copy(), "kind": int(kind), "ident": int(ident), "coord_frame": int(frame)}
        for r, (kind, ident, frame) in zip(arrays["dig"], arrays["dig kinds"], strict=True)
    ]
    recorded = {name: about[name] for name in ("highpass", "lowpass", "custom_ref_applied")}
    info = mne.Info({**info, **recorded, "dig": points or None})
    info["bads"] = about["bads"]
    return info


def is_text(value: Any) -> bool:
    """One text."""
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """A number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def are_texts(value: Any) -> bool:
    """A list of texts, which may be empty."""
    return isinstance(value, list) and all(map(is_text, value))


def are_names(value: Any) -> bool:
    """A list of different texts, which may not."""
    return are_texts(value) and 0 < len(value) == len(set(value))


_INFO: Kinds = {
    "ch_names": ("distinct names", are_names),
    "bads": ("distinct names", lambda value: value == [] or are_names(value)),
    "sfreq": ("a positive number", lambda value: is_number(value) and 0 < value < np.inf),
    "highpass": ("a number", is_number),
    "lowpass": ("a number", is_number),
    "custom_ref_applied": ("a whole number", lambda value: type(value) is int),
}


def _faults_of_text(about: Any, kinds: Kinds) -> Iterator[str]:
    """What is wrong; whoever goes on after a fault goes wrong."""
    if not isinstance(about, dict):
        yield f"about: expected an object of JSON, got {type(about).__name__}"
    for name, (expected, fits) in kinds.items():
        if not fits(about.get(name)):
            found = f"got {json.dumps(about[name], ensure_ascii=False)[:60]}" if name in about else "but it is missing"
            yield f"about, {name!r}: expected {expected}, {found}"
    strange = sorted(set(about["bads"]) - set(about["ch_names"]))
    if strange:
        yield f"about, 'bads': {strange[0]!r} is no channel"


def _faults_of_arrays(
    arrays: Mapping[str, np.ndarray], axes: Axes, sizes: dict[str, int], kinds: Mapping[str, str]
) -> Iterator[str]:
    """The same of the arrays, each against the text and the arrays before it."""
    for name in sorted(axes.keys() ^ (arrays.keys() - {"about"})):
        yield f"array {name!r} " + ("is missing" if name in axes else "belongs to nothing")
    for name, wanted in axes.items():
        array = arrays[name]
        if array.dtype.kind != (kind := kinds.get(name, "f")):
            yield f"array {name!r}: expected {_KINDS[kind]}, got {array.dtype}"
        for axis, size in zip(wanted, array.shape, strict=False):
            sizes.setdefault(str(axis), size)
        right = tuple(axis if isinstance(axis, int) else sizes.get(axis) for axis in wanted)
        empty = array.size == 0 and not any(axis in ("n_points", "n_shared") for axis in wanted)
        if array.shape != right or empty:
            words = [str(axis) if isinstance(axis, int) else f"{axis} = {sizes.get(axis, '?')}" for axis in wanted]
            yield f"array {name!r}: expected shape ({', '.join(words)}), got {array.shape}"
    if not np.isin(arrays["dig kinds"][:, 0], (1, 2, 3, 4, 5)).all():
        yield "array 'dig kinds': expected kinds 1 to 5, as FIFF numbers them"
