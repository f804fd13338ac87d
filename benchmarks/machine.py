"""The machine, in words: what a reader needs to know of it to judge the numbers."""

from __future__ import annotations

import os
import platform
from pathlib import Path

BUSY = 0.5
"""The load average from which on somebody else's work disturbs a measurement, and the results say so."""


def describe() -> str:
    """Name the cores, the processor, the kernel and the Python, and whether the machine is quiet."""
    cores = len(os.sched_getaffinity(0))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    kernel = ".".join(platform.release().split("-")[0].split(".")[:2])
    load = os.getloadavg()[0]
    others = f", busy with other work (load average {load:.0f})" if load >= BUSY else ""
    return f"{cores} cores of {_processor()}, {platform.system()} {kernel}, {python}{others}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()
