"""Weights in files: read without running anything that a file may contain, written as safetensors beside json."""

from __future__ import annotations

import hashlib
import json
import os
import pickle  # for the name of its error: nothing is unpickled with it
import re
import warnings
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
        Parameters and buffers, on the CPU, float32 and finite.
    settings : dict
        What shapes do not tell.
    name : str
        Name in the manifest, or of the file without its suffix.
    sha256 : str
        Digest of the file.
    licence : str
        What its makers allow, or "unknown".
    public : bool
        Whether the file is of a public layout, which leaves some settings to convention; `write` leaves none.
    """

    kind: str
    state: dict[str, torch.Tensor]
    settings: dict[str, Any]
    name: str
    sha256: str
    licence: str
    public: bool


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
    Nothing in a file is executed: tensors, numbers, strings and plain containers are read, all else is refused. So are
    a .json and a .safetensors that do not belong together, and settings edited by hand: numbers would depend on what
    no digest tells.
    """
    path, entry = _locate(source, kind, download)
    found = _digest(path)
    manifest.check_digest(str(source), found, sha256)
    if entry is not None:
        manifest.check_digest(entry.name, found, entry.sha256)
    public = path.suffix != ".safetensors"
    if not public:
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
        public=public,
    )


def write(
    path: str | os.PathLike[str],
    kind: str,
    state: Mapping[str, torch.Tensor],
    settings: Mapping[str, object],
    *,
    licence: str = manifest.UNKNOWN,
    source: Mapping[str, str] | None = None,
) -> None:
    """Write weights as `path` (.safetensors), and what else is known of them as .json beside it.

    Parameters
    ----------
    path : str or Path
        The file to write.
    kind : {"surprisal", "codec"}
        What they are the weights of.
    state : mapping of str to Tensor
        Parameters and buffers.
    settings : mapping
        What shapes do not tell; lists, numbers and strings.
    licence : str
        What the makers allow.
    source : mapping, optional
        ``name`` and ``sha256`` of the file that these weights come from.

    Notes
    -----
    The .json holds digests of the weights and of the settings, by which `read` knows files that belong together. Both
    files are written before the first of them takes its name.
    """
    from safetensors.torch import save

    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: weights are written as .safetensors. Name the file {path.stem}.safetensors.")
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}  # no shared memory
    content = save(tensors, metadata={"format": "pt"})  # save_file would put a private file in the place of the draft
    about = {
        "schema": _SCHEMA,
        "kind": kind,
        "licence": licence,
        "source": None if source is None else dict(source),
        "sha256": hashlib.sha256(content).hexdigest(),
        "settings_sha256": _digest_of(settings),
        "settings": dict(settings),
    }
    with _files.replacing(path) as draft, _files.replacing(path.with_suffix(".json")) as beside:
        draft.write_bytes(content)
        beside.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def digest(state: Mapping[str, torch.Tensor]) -> str:
    """Sha256 of names and values of weights in memory: tells apart also what was never saved."""
    found = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        found.update(name.encode() + tensor.cpu().numpy().tobytes())
    return found.hexdigest()


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
    if path.is_dir():
        raise _folder(path)
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
    entry = manifest.known(source, kind)
    if entry is None:
        path = Path(source)
        if path.is_dir():
            raise _folder(path)
        if not path.is_file():
            raise manifest.unknown_name(source, kind)
        return path, None
    if entry.kind != kind:
        raise ValueError(
            f"{entry.name}: expected a {manifest.WORDS[kind]}, but this is a {manifest.WORDS[entry.kind]}."
        )
    return manifest.find(entry, download=download), entry


def _folder(path: Path) -> IsADirectoryError:
    return IsADirectoryError(f"{path}: expected a file of weights, got a folder. Name a file in it.")


def _digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest_of(settings: Mapping[str, object]) -> str:
    """Digest of settings, however their .json is laid out."""
    plain = json.loads(json.dumps(dict(settings)))  # keys as strings, so that they can be sorted
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _read_safetensors(path: Path, kind: str, digest: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    about = _beside(path)
    if about.get("kind") != kind:
        raise ValueError(f"{path}: expected a {manifest.WORDS[kind]}, but its .json says {about.get('kind')!r}.")
    manifest.check_digest(str(path), digest, about.get("sha256"))
    if about.get("settings_sha256") != _digest_of(about["settings"]):
        raise ValueError(
            f"{path.with_suffix('.json')}: the settings are not those that were written: they were edited. Convert the "
            "checkpoint again, or save the model with the settings wanted."
        )
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
            f"{path}: expected a {manifest.WORDS[kind]} with its tensors under {_STATE[kind]!r}, got "
            f"{_checks.listed(stored)}. Name another file, or load it as what it is."
        )
    return dict(state), {"settings": {key: stored[key] for key in _SETTINGS[kind] if key in stored}}


def _unpickled(path: Path) -> dict[Any, Any]:
    """Read a torch file; whatever is no tensor, number, string or plain container is refused, not run."""
    _check_form(path)
    failure: Exception | None = None
    for load in (_strictly, _with_numpy_scalars):
        try:
            stored = load(path)
            break
        except Exception as error:  # a damaged or hostile file makes the unpickler raise almost anything
            failure = error
    else:
        raise ValueError(f"{path}: {_reason(failure)}") from failure
    if not isinstance(stored, dict):
        raise ValueError(f"{path}: expected a dictionary, got {type(stored).__name__}. Name a checkpoint.")
    return stored


def _reason(failure: Exception | None) -> str:
    """What an error of torch means; its own words advise to trust the file."""
    if not isinstance(failure, pickle.UnpicklingError):
        return "damaged: what is in it breaks off or makes no sense. Copy it again."
    found = re.search(r"GLOBAL (\S{1,80})", str(failure))
    asks = f" (it asks for {found[1]!r})" if found else ""
    return (
        f"refused. It holds more than tensors and plain values{asks}, and reading it in full could run code hidden in "
        "it. Ask its makers for a safetensors file."
    )


def _strictly(path: Path) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch remarks on pickles that are not of its make
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
        return _strictly(path)


def _check_form(path: Path) -> None:
    """Refuse, by its first bytes, what is no checkpoint at all, and archives that are cut short or no checkpoints."""
    with open(path, "rb") as stream:
        head = stream.read(8)
    if not head:
        raise ValueError(f"{path}: expected a checkpoint, got an empty file. Copy it again.")
    if head.startswith(b"\x80"):
        return  # a pickle: old torch files are; torch reads them by the same rules
    if not head.startswith(b"PK"):
        raise ValueError(
            f"{path}: expected a checkpoint (.pt, or .safetensors by that name), got a file that begins with {head!r}. "
            "Name another file."
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: cut short, the end of the archive is not there. Copy it again.")
    _check_expansion(path)


def _check_expansion(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{path}: refused. Its table of contents is damaged ({error}). Copy it again.") from error
    expanded = sum(member.file_size for member in members)
    if expanded > _MOST_EXPANSION * path.stat().st_size:
        raise ValueError(
            f"{path}: {path.stat().st_size} bytes would expand to {expanded}. No checkpoint does; refused."
        )
    if not any(member.filename.endswith("/data.pkl") for member in members):
        names = _checks.listed([member.filename for member in members], 4)
        raise ValueError(f"{path}: expected a checkpoint, got an archive of {names}. Name another file.")


def _plain(path: Path, name: object, tensor: object) -> torch.Tensor:
    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{path}: expected named tensors, got {name!r}: {type(tensor).__name__}.")
    if not tensor.is_floating_point():
        raise ValueError(f"{path}: {name}: expected floating-point numbers, got {tensor.dtype}. Name another file.")
    tensor = tensor.to(torch.float32, copy=True)  # out of the file: at odd addresses sums come out in other last bits
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{path}: {name} is not finite. The checkpoint is damaged, or its training diverged.")
    return tensor
