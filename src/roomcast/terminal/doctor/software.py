"""What runs: the interpreter, what is compiled, and the versions."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from roomcast.protocol import compiled
from roomcast.terminal.doctor.check import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTS = ("uvicorn", "httptools", "starlette", "prometheus-client", "PyJWT")
"""What always comes with Roomcast and serves."""
OPTIONAL = {
    "redis": "redis",
    "hiredis": "redis",
    "nats-py": "nats",
    "cryptography": "crypto",
    "opentelemetry-api": "otel",
}
"""What comes with an extra, by the extra's name."""


def software() -> Iterator[Check]:
    """Look at what runs."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield Check("versions", Verdict.OK, f"roomcast {version('roomcast')} on {python}; {_named(PARTS)}")
    extras = _named(OPTIONAL)
    yield Check("extras", Verdict.OK, extras or "none is installed")
    yield hot_path(is_compiled=compiled())
    yield event_loop()


def hot_path(*, is_compiled: bool) -> Check:
    """Look at whether the hot path is compiled."""
    if is_compiled:
        return Check("hot path", Verdict.OK, "compiled")
    return Check(
        "hot path",
        Verdict.WARNING,
        "interpreted",
        wanted="compiled",
        why="each message takes more of the CPU: see docs/performance.md",
        how="install a C compiler and Python's headers (Debian: gcc python3-dev), then install Roomcast again, "
        "without ROOMCAST_PURE and from its sources (pip install --force-reinstall --no-binary roomcast roomcast)",
    )


def event_loop() -> Check:
    """Look at whether there is uvloop."""
    if sys.platform == "win32":
        return Check("event loop", Verdict.OK, "asyncio: there is no uvloop for Windows")
    found = _version("uvloop")
    if found is not None:
        return Check("event loop", Verdict.OK, f"uvloop {found}")
    return Check(
        "event loop",
        Verdict.FAILED,
        "there is no uvloop",
        wanted="uvloop",
        why="roomcast serve runs on it, and plain uvicorn takes far less load without it",
        how="pip install uvloop",
    )


def _named(names: Iterator[str] | tuple[str, ...] | dict[str, str]) -> str:
    found = {name: _version(name) for name in names}
    return ", ".join(f"{name} {number}" for name, number in found.items() if number is not None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
