"""Weights in files: read without running anything that a file may contain, written as safetensors beside json."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from eegic import _checks, _files
from eegic.weights import manifest

KINDS = ("surprisal", "codec")
_SCHEMA = "eegic.weights/1"
_STATE = {"surprisal": "model_state_dict", "codec": "gen_state_dict"}  # under which key the public files keep tensors
_PREFIX = {"codec": "generator."}  # files without that key hold a whole model, and this part of it is wanted
_SETTINGS = {"surprisal": ("max_seq_length", "model_type", "model_kwargs"), "codec": ()}  # the rest is for training
_MOST_EXPANSION = 100  # times its size on disk; tensors are stored, not deflated


@dataclass(frozen=True, eq=False)
class Stored:
    """Weights, as a file holds them.

    Parameters
    ----------
    kind : {"surprisal", "codec"}
        What they are the weights of.
    state : dict of str to Tensor
        Parameters and buffers, on the CPU; floating-point ones are float32 and finite.
    settings : dict
        What shapes do not tell.
    name : str
        Name in the manifest, or of the file without its suffix.
    sha256 : str
        Digest of the file.
    licence : str
        What its makers allow, or "unknown".
    """

    kind: str
    state: dict[str, torch.Tensor]
    settings: dict[str, Any]
    name: str
    sha256: str
    licence: str


def read(source: str | os.PathLike[str], kind: str, *, download: bool = False, sha256: str | None = None) -> Stored:
    """Read weights from a file, or from a checkpoint that the manifest knows by name.

    Parameters
    ----------
    source : str or Path
        A .safetensors file with its .json beside it (as `write` makes them), a .pt file in one of the public layouts,
        or a name of the manifest.
    kind : {"surprisal", "codec"}
        What is expected.
    download : bool
        True fetches a named checkpoint that is not on this machine.
    sha256 : str, optional
        Digest that the file must have. Digests of the manifest and of a .json are checked in any case.

    Returns
    -------
    Stored

    Notes
    -----
    Nothing in a file is executed: tensors, numbers, strings and plain containers are read, all else is refused.
    """
    path, entry = _locate(source, kind, download)
    found = _digest(path)
    manifest.check_digest(str(source), found, sha256)
    if entry is not None:
        manifest.check_digest(entry.name, found, entry.sha256)
    if path.suffix == ".safetensors":
        state, about = _read_safetensors(path, kind, found)
    else:
        state, about = _read_torch(path, kind)
    settings = {**about.get("settings", {}), **(entry.settings if entry else {})}
    if entry is not None and entry.codec is not None:
        settings.setdefault("codec", entry.codec)
    return Stored(
        kind=kind,
        state={name: _plain(path, name, tensor) for name, tensor in state.items()},
        settings=settings,
        name=entry.name if entry else path.stem,
        sha256=found,
        licence=entry.licence if entry else about.get("licence", manifest.UNKNOWN),
    )


def write(
    path: str | os.PathLike[str],
    kind: str,
    state: Mapping[str, torch.Tensor],
    settings: Mapping[str, object],
    *,
    licence: str = manifest.UNKNOWN,
) -> None:
    """Write weights as `path` (.safetensors), and settings, licence and digest as .json beside it."""
    from safetensors.torch import save_file

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: weights are written as .safetensors. Name the file {path.stem}.safetensors.")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}  # no shared memory
    with _files.replacing(path) as draft:
        save_file(tensors, draft, metadata={"format": "pt"})
        digest = _digest(draft)
        about = {"schema": _SCHEMA, "kind": kind, "licence": licence, "sha256": digest, "settings": dict(settings)}
        with _files.replacing(path.with_suffix(".json")) as beside:
            beside.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def check_state(name: str, state: Mapping[str, torch.Tensor], shapes: Mapping[str, Sequence[int]]) -> None:
    """Refuse weights that are not those of a network, by name: none missing, none left over, each of its shape."""
    missing, strange = sorted(set(shapes) - set(state)), sorted(set(state) - set(shapes))
    if missing or strange:
        raise ValueError(
            f"{name}: not the weights of this network. Missing: {_checks.listed(missing, 4)}; left over: "
            f"{_checks.listed(strange, 4)}. Name another file."
        )
    for key, shape in shapes.items():
        if tuple(state[key].shape) != tuple(shape):
            raise ValueError(
                f"{name}: {key} should be of shape {tuple(shape)}, but is {tuple(state[key].shape)}. Name another file."
            )


def kind_of(path: str | os.PathLike[str]) -> str:
    """What a file, or a name of the manifest, holds the weights of: "surprisal" or "codec"."""
    entry = manifest.known(path)
    if entry is not None:
        return entry.kind
    path = Path(path)
    if not path.is_file():
        raise manifest.unknown_name(path, "checkpoint")
    if path.suffix == ".safetensors":
        return str(_beside(path).get("kind"))
    stored = _unpickled(path)
    for kind, key in _STATE.items():
        if key in stored:
            return kind
    if any(isinstance(key, str) and key.startswith(prefix) for key in stored for prefix in _PREFIX.values()):
        return "codec"
    raise ValueError(
        f"{path}: neither a surprisal model ({_STATE['surprisal']!r}) nor a codec ({_STATE['codec']!r}); it holds "
        f"{_checks.listed(stored)}."
    )


def _locate(source: str | os.PathLike[str], kind: str, download: bool) -> tuple[Path, manifest.Entry | None]:
    entry = manifest.known(source)
    if entry is None:
        path = Path(source)
        if path.is_dir():
            raise IsADirectoryError(f"{path}: expected a file of weights, got a folder. Name a file in it.")
        if not path.is_file():
            raise manifest.unknown_name(source, kind)
        return path, None
    if entry.kind != kind:
        raise ValueError(f"{entry.name}: expected a {kind}, but this is a {entry.kind}.")
    return manifest.find(entry, download=download), entry


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_safetensors(path: Path, kind: str, digest: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    about = _beside(path)
    if about.get("kind") != kind:
        raise ValueError(f"{path}: expected a {kind}, but its .json says {about.get('kind')!r}.")
    manifest.check_digest(str(path), digest, about.get("sha256"))
    try:
        return load_file(path), about
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as safetensors ({error}). Copy it again.") from error


def _beside(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        raise FileNotFoundError(f"{beside}: missing; it holds the settings of {path.name}. Copy both files.")
    try:
        about = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{beside}: cannot be read as json ({error}). Copy it again.") from error
    if not isinstance(about, dict) or about.get("schema") != _SCHEMA or not isinstance(about.get("settings"), dict):
        raise ValueError(f"{beside}: expected schema {_SCHEMA!r} with settings. Convert the checkpoint again.")
    return about


def _read_torch(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    stored = _unpickled(path)
    state = stored.get(_STATE[kind])
    if state is None and kind in _PREFIX:
        prefix = _PREFIX[kind]
        state = {k.removeprefix(prefix): v for k, v in stored.items() if isinstance(k, str) and k.startswith(prefix)}
    if not isinstance(state, Mapping) or not state:
        raise ValueError(
            f"{path}: expected a {kind} with its tensors under {_STATE[kind]!r}, got {_checks.listed(stored)}. "
            "Name another file, or load it as what it is."
        )
    return dict(state), {"settings": {key: stored[key] for key in _SETTINGS[kind] if key in stored}}


def _unpickled(path: Path) -> dict[Any, Any]:
    """Read a torch file; whatever is no tensor, number, string or plain container is refused, not run."""
    _check_expansion(path)
    failure: Exception | None = None
    for load in (_strictly, _with_numpy_scalars):
        try:
            stored = load(path)
            break
        except Exception as error:  # a damaged or hostile file makes the unpickler raise almost anything
            failure = error
    else:
        raise ValueError(
            f"{path}: refused. It holds more than tensors and plain values, or it is damaged, and reading it in full "
            f"could run code hidden in it ({_first_line(failure)}). Ask its makers for a safetensors file."
        ) from failure
    if not isinstance(stored, dict):
        raise ValueError(f"{path}: expected a dictionary, got {type(stored).__name__}. Name a checkpoint.")
    return stored


def _strictly(path: Path) -> object:
    return torch.load(path, map_location="cpu", weights_only=True)


def _with_numpy_scalars(path: Path) -> object:
    """A stored score may be a numpy number: harmless, but on no list of torch."""
    import numpy as np

    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]  # where numpy numbers are unpickled
    allowed: list[Callable[..., object] | tuple[Callable[..., object], str]] = [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *{type(np.dtype(kind)) for kind in ("float32", "float64", "int32", "int64")},
    ]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location="cpu", weights_only=True)


def _check_expansion(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return  # an old torch file; torch reads it by the same rules
    try:
        with zipfile.ZipFile(path) as archive:
            expanded = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{path}: refused. Its table of contents is damaged ({error}). Copy it again.") from error
    if expanded > _MOST_EXPANSION * path.stat().st_size:
        raise ValueError(
            f"{path}: {path.stat().st_size} bytes would expand to {expanded}. No checkpoint does; refused."
        )


def _first_line(error: Exception | None) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _plain(path: Path, name: object, tensor: object) -> torch.Tensor:
    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{path}: expected named tensors, got {name!r}: {type(tensor).__name__}.")
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(torch.float32)
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{path}: {name} is not finite. The checkpoint is damaged, or its training diverged.")
    return tensor
