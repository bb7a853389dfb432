"""What a run was made with: versions, machine, settings, seeds and inputs, without who made it."""

from __future__ import annotations

import getpass
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import eegic
from eegic.study.events import as_json, utc

SCHEMA, RUN_SCHEMA = "eegic.study.provenance/1", "eegic.study.run/1"
PACKAGES = (
    *("numpy", "scipy", "mne", "torch", "pandas", "statsmodels", "nilearn", "mtrf", "joblib", "threadpoolctl"),
    *("array-api-compat", "soundfile", "soxr", "safetensors", "pydantic", "matplotlib", "dask", "distributed"),
    *("mne-bids", "pybv", "edfio", "eeglabio", "h5py", "pymatreader"),
)
VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMEXPR_NUM_THREADS", "OPENBLAS_CORETYPE", "MKL_CBWR", "MKL_DYNAMIC", "NPY_DISABLE_CPU_FEATURES"),
    *("CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUDA_VISIBLE_DEVICES"),
    *("SCIPY_ARRAY_API", "MNE_USE_NUMBA", "MNE_USE_CUDA"),
)  # that change numbers, or in which order they are added


def collect(
    command: Sequence[str], config: Mapping[str, Any], seeds: Mapping[str, Any], inputs: Mapping[str, str]
) -> dict[str, Any]:
    """Gather what the numbers of a run depend on. Call it before anything is computed.

    Parameters
    ----------
    command : sequence of str
        The command line.
    config : mapping
        All settings, defaults included.
    seeds : mapping
        Whole numbers from which draws follow, by what is drawn.
    inputs : mapping of str to str
        SHA-256 of every input, by name.

    Returns
    -------
    dict
        In the types of JSON. `reproducible` gives the part that is the same whenever the run is done again on this
        machine, `times` the rest. Neither holds the path of the home folder or the name of the user.
    """
    found = {
        "schema": SCHEMA,
        "eegic": {"version": eegic.__version__, **_checkout(Path(eegic.__file__).parent)},
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "packages": {name: _installed(name) for name in PACKAGES},
        "system": platform.platform(),
        "processor": {"model": _processor(), "machine": platform.machine(), "cores": os.cpu_count()},
        "memory_gib": _memory(),
        "blas": _blas(),
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "config": config,
        "seeds": seeds,
        "inputs": {name: inputs[name] for name in sorted(inputs)},
        "run": {
            "schema": RUN_SCHEMA,
            "command": list(command),
            "started": utc(),
            "pid": os.getpid(),
            "host": platform.node(),
        },
    }
    record = {name: anonymous(value) for name, value in found.items()}
    as_json(record)  # what JSON cannot hold is an error now, and not when all is computed
    return record


def reproducible(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part for ``provenance.json``: byte by byte the same for a run that was killed and went on."""
    return {name: anonymous(value) for name, value in record.items() if name != "run"}


def times(record: Mapping[str, Any], **outcome: Any) -> dict[str, Any]:
    """The part for ``run.json``: when, where and by which command, and what the caller adds, such as seconds.

    How torch is set up at the end stands here too, if it is loaded: in a run that goes on it may have nothing to do.
    """
    return {**record["run"], "ended": utc(), "torch": _torch(), **anonymous(outcome)}


def describe_dataset(folder: str | os.PathLike[str], name: str, source: str | os.PathLike[str] | None = None) -> None:
    """Write the dataset_description.json of a BIDS derivative, or add this version of eegic to the one that is there.

    Parameters
    ----------
    folder : path
        The derivative.
    name : str
        Of the data set.
    source : path or str, optional
        Folder of the recordings, DOI (``"doi:10.1/2"``) or address. Of a folder its DOI is noted, if it tells one, and
        how to get there from `folder`, unless that passes through the home folder.
    """
    from eegic import derivatives

    origin = {} if source is None else _origin(Path(folder), source)
    derivatives.describe(Path(folder), name, [origin] if origin else [])


def anonymous(value: Any) -> Any:
    """The same with ~ for the home folder, <user> for other folders named like the user, and paths as text."""
    if isinstance(value, Mapping):
        return {anonymous(str(name)): anonymous(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [anonymous(one) for one in value]
    if isinstance(value, Path):
        return anonymous(str(value))
    if not isinstance(value, str):
        return value
    for home in _homes():
        value = re.sub(rf"(?<![\w.~-]){re.escape(home)}(?![\w-]|\.\w)", "~", value)
    user = _user()
    return re.sub(rf"(?<=[/\\]){re.escape(user)}(?=[/\\]|$)", "<user>", value) if user else value


def _homes() -> list[str]:
    """The home folder as it may be written, the longest first; none if it is the top of the file system."""
    try:
        home = Path.home()
    except RuntimeError:
        return []
    ways = {str(way) for way in (home, home.as_posix(), home.resolve(), home.resolve().as_posix())}
    return sorted((way for way in ways if Path(way) != Path(way).parent), key=len, reverse=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _origin(folder: Path, source: str | os.PathLike[str]) -> dict[str, str]:
    """What is known of where data came from, in the words of BIDS."""
    from eegic import derivatives

    if isinstance(source, str) and re.match(r"(doi:|10\.\d+/)", source, flags=re.IGNORECASE):
        return {"DOI": source}
    if isinstance(source, str) and re.match(r"\w+://", source):
        return {"URL": source}
    root = Path(source)
    doi = derivatives.described(root).get("DatasetDOI")
    try:
        way = Path(os.path.relpath(root.resolve(), folder.resolve()))
    except ValueError:  # another drive
        way = root
    private = way.is_absolute() or {_user(), *(Path(home).name for home in _homes())} & set(way.parts)
    return {**({} if private else {"URL": way.as_posix()}), **({"DOI": str(doi)} if doi else {})}


def _checkout(folder: Path) -> dict[str, Any]:
    """Commit, and whether there are changes since, if the code is under version control; elsewhere both are None."""
    # a package installed inside a project of the user lies in a checkout too, but is none of its files
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return {"commit": None, "dirty": None}
    changes = _git(folder, "status", "--porcelain", "--", ".")
    return {"commit": _git(folder, "rev-parse", "HEAD"), "dirty": None if changes is None else bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None if there is no git, or nothing for it to say."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=20, env=environment, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return None if done.returncode else done.stdout.decode(errors="replace").strip()


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or None


def _memory() -> int | None:
    """In whole GiB: what the system keeps for itself may differ by little from start to start."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None


def _blas() -> list[dict[str, Any]]:
    """The libraries of numpy and scipy, and their threads; that of torch is left out, since it may not be loaded."""
    import scipy.linalg  # noqa: F401  # loads the one of scipy
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    own = [pool for pool in pools if "torch" not in Path(pool["filepath"]).parts]
    told = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    return [{name: pool.get(name) for name in told} for pool in sorted(own, key=lambda pool: str(pool["filepath"]))]


def _torch() -> dict[str, Any] | None:
    """How torch is set up, if it is loaded; it is not loaded for this, and no GPU is taken."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    started = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if started else [],
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "convolutions": torch.backends.cudnn.conv.fp32_precision,
        "products": torch.backends.cuda.matmul.fp32_precision,
    }
