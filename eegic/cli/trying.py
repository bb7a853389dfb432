"""`eegic demo`, `eegic sysinfo`: does it work here, and with what?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import eegic


def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for sounds, features, scores, figures, report and settings.")
    ] = Path("eegic-demo"),
    participants: Annotated[int, typer.Option(min=1, help="Simulated listeners.")] = 6,
    duration: Annotated[float, typer.Option(help="Seconds of each of the eight melodies.")] = 30.0,
    effect: Annotated[
        float, typer.Option(help="Response to surprisal relative to that to the envelope; 0 for none.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same study.")] = 0,
) -> None:
    """Run the whole line on a simulated study whose truth is known (one to two minutes)."""
    import matplotlib

    from eegic import demo

    matplotlib.use("Agg")
    demo.run(out, n_participants=participants, duration=duration, effect=effect, seed=seed, say=typer.echo)


def sysinfo() -> None:
    """Print versions, processor, threads and GPU: what to paste into a bug report."""
    import os
    import platform

    typer.echo(f"eegic    {eegic.__version__}")
    typer.echo(f"Python   {platform.python_version()} ({platform.python_implementation()})")
    typer.echo(f"System   {platform.platform()}, {os.cpu_count()} cores")
    for name in ("numpy", "scipy", "mne", "torch", "mtrf", "pandas", "statsmodels", "nilearn", "joblib", "soundfile"):
        typer.echo(f"{name:<12} {_installed(name)}")
    for user, pool in _threads():
        typer.echo(f"{user:<12} {pool}")
    typer.echo(f"GPU          {_gpu()}")


def _installed(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _threads() -> list[tuple[str, str]]:
    """Libraries that compute in threads, and how many; none where what loads them is missing."""
    try:
        import scipy.linalg  # noqa: F401  # loads the BLAS that is asked about next
        from threadpoolctl import threadpool_info
    except ImportError as error:
        return [("threads", f"not known ({error})")]
    return [
        (pool["user_api"], f"{pool['internal_api']} {pool['version'] or ''}, {pool['num_threads']} threads")
        for pool in threadpool_info()
    ]


def _gpu() -> str:
    try:
        import torch
    except ImportError as error:
        return f"not known ({error})"
    if not torch.cuda.is_available():
        return "none that torch can use (CPU works for everything)"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
