"""MATLAB files, old and new: a struct is a dict, a struct array a list of them, a cell array an object array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _files

if TYPE_CHECKING:
    import h5py

_MOST_BYTES = 2**31 - 2**20  # of a variable in a version 5 file
_HDF5 = b"\x89HDF\r\n\x1a\n"


def as_array(value: Any) -> np.ndarray | None:
    """Numbers as an array, sparse ones too; None if they are none."""
    array: Any = value if isinstance(value, np.ndarray) else value.toarray() if hasattr(value, "toarray") else None
    return None if array is None or array.dtype.kind not in "fiub" else array


def as_whole(value: Any) -> list[int]:
    """Whole numbers; none if any is not."""
    array = as_array(value)
    if array is None or not (np.isfinite(array) & (array == np.round(array))).all():
        return []
    return [int(number) for number in array.ravel()]


def as_cells(value: Any) -> np.ndarray:
    """A cell array; a value that stands for itself is one of a single cell."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.atleast_2d(value)
    cells = np.empty((1, 1), dtype=object)
    cells[0, 0] = value
    return cells


def as_text(value: Any) -> str:
    """The text, or none where it is something else."""
    return value if isinstance(value, str) else ""


def as_texts(value: Any) -> list[str]:
    """Texts of a cell array, of the rows of a char array, or of one text."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [next(iter(as_texts(cell)), "") for cell in value.ravel()]
    rows = value if isinstance(value, list) else [value]
    return [row.strip() for row in rows if isinstance(row, str) and row]


def as_structs(value: Any) -> list[dict[str, Any]]:
    """Structs, however they are kept: one, an array or a cell of them, or one whose fields are lists."""
    if isinstance(value, dict) and isinstance(value.get("labels"), (np.ndarray, list)):
        fields = {key: np.ravel(np.asarray(one, dtype=object)) for key, one in value.items()}
        n = len(fields["labels"])
        return [{key: one[i] for key, one in fields.items() if len(one) == n} for i in range(n)]
    several = value if isinstance(value, list) else as_cells(value).ravel()
    return [one for one in several if isinstance(one, dict)]


def kind_of(value: Any) -> str:
    """What it is, for messages."""
    if isinstance(value, np.ndarray):
        return f"{'cells' if value.dtype == object else value.dtype} of shape {value.shape}"
    return repr(value) if isinstance(value, str) else "nothing" if value is None else type(value).__name__


def row_of(numbers: Sequence[float]) -> np.ndarray:
    """Numbers as a row."""
    return np.array(numbers, dtype=float)[None]


def cell_row(values: Sequence[object]) -> np.ndarray:
    """Values as a row of cells."""
    cells = np.empty((1, len(values)), dtype=object)
    for i, value in enumerate(values):
        cells[0, i] = value
    return cells


def read_mat(path: Path, wanted: Sequence[str]) -> dict[str, Any]:
    """Those of the wanted variables that a .mat file of version 5 or 7.3 holds, at least one."""
    try:
        with open(path, "rb") as stream:
            start = stream.read(520)
    except OSError as error:
        raise type(error)(f"{path}: cannot be opened ({error.strerror}). Was its content downloaded?") from error
    read = _read_hdf5 if _HDF5 in (start[:8], start[512:]) else _read_v5
    try:
        found, names = read(path, wanted)
    except ImportError:
        raise
    except Exception as error:  # damaged files make the readers raise anything
        why = str(error) or type(error).__name__
        raise ValueError(f"{path}: cannot be read as a .mat file ({why}). Copy or download it again.") from error
    if not found:
        raise ValueError(f"{path}: expected a variable {' or '.join(wanted)}, got {listing(names)}.")
    return found


def _read_v5(path: Path, wanted: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    from scipy.io import loadmat, whosmat

    names = [name for name, *_ in whosmat(path)]
    stored = loadmat(path, variable_names=[name for name in wanted if name in names])  # unsqueezed: shapes tell rows
    return {name: _plain(stored[name]) for name in wanted if name in stored}, names


def _plain(value: Any) -> Any:
    """SciPy's rendering of a MATLAB value in ours."""
    from scipy.io.matlab import MatlabFunction, MatlabOpaque

    if isinstance(value, (MatlabFunction, MatlabOpaque)):
        return None
    if not isinstance(value, np.ndarray):
        return value  # sparse
    if value.dtype.names:
        structs = [{key: _plain(one[key]) for key in value.dtype.names} for one in value.ravel()]
        return structs[0] if len(structs) == 1 else structs
    if value.dtype == object:
        cells = np.empty(value.shape, dtype=object)
        for index, cell in np.ndenumerate(value):
            cells[index] = _plain(cell)
        return cells
    if value.dtype.kind in "US":
        return str(value[0]) if value.size == 1 else [str(row) for row in value.ravel()] or ""
    return value


def _read_hdf5(path: Path, wanted: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    with _h5py().File(path, "r") as file:
        names = [name for name in file if not name.startswith("#")]
        return {name: _from_hdf5(file[name]) for name in wanted if name in names}, names


def _from_hdf5(item: h5py.Group | h5py.Dataset) -> Any:
    h5py = _h5py()
    kind = np.bytes_(item.attrs.get("MATLAB_class", b"")).decode()
    if "MATLAB_sparse" in item.attrs:
        from scipy.sparse import csc_array

        data, rows = (item[key][()] if key in item else np.empty(0, dtype=int) for key in ("data", "ir"))
        return csc_array((data, rows, item["jc"][()]), shape=(int(item.attrs["MATLAB_sparse"]), len(item["jc"]) - 1))
    if isinstance(item, h5py.Group):
        lists = [one for one in item.values() if isinstance(one, h5py.Dataset) and "MATLAB_class" not in one.attrs]
        if not lists:
            return {key: _from_hdf5(one) for key, one in item.items()}
        fields = {key: [_from_hdf5(item.file[ref]) for ref in one[()].ravel()] for key, one in item.items()}
        return [{key: one[i] for key, one in fields.items()} for i in range(lists[0].size)]
    if item.attrs.get("MATLAB_empty", 0):
        return "" if kind == "char" else np.empty(item[()].astype(int), dtype=object if kind == "cell" else float)
    if kind == "string":  # lies in a part of the file that MATLAB does not document
        return None
    value = np.asarray(item[()]).T  # MATLAB counts columns first
    if h5py.check_ref_dtype(item.dtype):
        cells = np.empty(value.shape, dtype=object)
        for index, ref in np.ndenumerate(value):
            cells[index] = _from_hdf5(item.file[ref])
        return cells
    if kind == "char":
        rows = [row.astype("<u2").tobytes().decode("utf-16-le") for row in np.atleast_2d(value)]
        return rows[0] if len(rows) == 1 else rows
    return value


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("MATLAB files of version 7.3 need h5py: `pip install 'eegic[io]'`.") from error
    return h5py


def write_mat(path: Path, variables: Mapping[str, Any], version: str) -> None:
    """Write variables, atomically, in version 5 or 7.3."""
    from scipy.io import savemat

    large = max(_n_bytes(value) for value in variables.values()) > _MOST_BYTES
    if large and version == "5":
        raise ValueError(f"{path}: too large for a file of version 5, which holds 2 GB. Pass version='7.3'.")
    with _files.replacing(path) as draft:
        if large or version == "7.3":
            _write_hdf5(draft, variables)
        else:
            savemat(draft, {key: _for_scipy(value) for key, value in variables.items()}, appendmat=False)


def _n_bytes(value: Any) -> int:
    cells = isinstance(value, np.ndarray) and value.dtype == object
    parts = value.values() if isinstance(value, dict) else value.flat if cells else ()
    return getattr(value, "nbytes", 0) + sum(map(_n_bytes, parts))


def _for_scipy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _for_scipy(one) for key, one in value.items()}
    if isinstance(value, list):
        structs = np.empty((1, len(value)), dtype=[(key, object) for key in value[0]])
        for i, one in enumerate(value):
            structs[0, i] = tuple(one.values())
        return structs
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.vectorize(_for_scipy, otypes=[object])(value)
    return value


def _write_hdf5(path: Path, variables: Mapping[str, Any]) -> None:
    """Lay values out as MATLAB does: dimensions turned round, cells and struct arrays as references."""
    h5py, numbers = _h5py(), count()

    def refer(values: Iterable[Any], shape: tuple[int, ...]) -> np.ndarray:
        hidden = file.require_group("#refs#")
        made = [store(hidden, f"v{next(numbers)}", one).ref for one in values]
        return np.array(made, dtype=h5py.ref_dtype).reshape(shape)

    def store(group: Any, key: str, value: Any) -> Any:
        if isinstance(value, (dict, list)):
            kind, item = "struct", group.create_group(key)
            for name in value if isinstance(value, dict) else value[0]:
                if isinstance(value, dict):
                    store(item, name, value[name])
                else:
                    item[name] = refer([struct[name] for struct in value], (len(value), 1))
        elif isinstance(value, str):
            kind, item = (
                "char",
                group.create_dataset(key, data=np.frombuffer(value.encode("utf-16-le"), "<u2")[:, None]),
            )
            item.attrs["MATLAB_int_decode"] = np.int32(2)
        elif value.dtype == object:
            kind, item = "cell", group.create_dataset(key, data=refer(value.T.flat, value.T.shape))
        elif value.dtype == bool:
            kind, item = "logical", group.create_dataset(key, data=value.T.astype(np.uint8))
            item.attrs["MATLAB_int_decode"] = np.int32(1)
        elif value.size:
            kind, item = "double", group.create_dataset(key, data=value.T)
        else:
            kind, item = "double", group.create_dataset(key, data=np.array(value.shape, dtype=np.uint64))
            item.attrs["MATLAB_empty"] = np.uint8(1)
        item.attrs["MATLAB_class"] = np.bytes_(kind)
        return item

    with h5py.File(path, "w", userblock_size=512) as file:
        for key, value in variables.items():
            store(file, key, value)
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, written by eegic".ljust(124) + b"\x00\x02IM")


def listing(names: Sequence[str]) -> str:
    """Names for a message."""
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "nothing"
