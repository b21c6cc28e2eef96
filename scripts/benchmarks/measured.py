"""What every figure is printed with: the settings, the commit, the machine, the versions and the memory it took."""

import importlib.metadata
import os
import pathlib
import platform
import resource
import subprocess
from collections.abc import Mapping
from typing import Any


def print_setting(arguments: Mapping[str, Any], packages: tuple[str, ...] = ("numpy", "pyarrow", "grain")) -> None:
    print("config  ", " ".join(f"{name}={value}" for name, value in arguments.items()))
    print("commit  ", _commit())
    print("machine ", f"{_processor()}, {len(os.sched_getaffinity(0))} cores usable, {platform.system()}")
    versions = " ".join(f"{name} {_version(name)}" for name in packages)
    print("versions", f"python {platform.python_version()} {versions}")


def print_peak_memory() -> None:
    """Of the process since it began, mapped files included as far as they were touched."""
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit(f"{name} is not installed; scripts/environment.sh test brings all that is compared") from None


def _commit() -> str:
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
