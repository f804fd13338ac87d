"""Installing the servers: each for itself, so that one that cannot be had stops no other.

Everything goes into `.venvs/bench`, `.venvs/bench-pure` and `build/bench`. A stamp beside each says what was
installed, and when that is still what is wanted, nothing is done.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from benchmarks.servers import Home, Server

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
HERE = ROOT / "benchmarks"
CONSTRAINTS = (ROOT / "constraints.txt", HERE / "constraints.txt")
BUN = "bun@1.4.5"
PROGRAMS = {"load": ("load.c", "connection.c", "room.c", "load.h"), "floor": ("floor.c",)}
"""The C programs, and what each is made of."""
TIMEOUT = 300.0
"""How many seconds one step of an installation may take."""


class Unavailable(Exception):
    """A server cannot be had here; says why."""


def install(server: Server) -> dict[str, str]:
    """Install a server.

    Returns:
        What the placeholders of its command stand for, but the port.

    Raises:
        Unavailable: it cannot be installed.
    """
    places = {"apps": str(HERE / "apps")}
    if server.home is Home.FLOOR:
        return places | {"floor": str(compiled("floor"))}
    if server.home is Home.BUN:
        return places | {"bun": str(_bun())}
    python = _environment(server.home.value)
    if "roomcast" in server.needs:
        _install_ours(python, pure=server.home is Home.PURE)
    if packages := tuple(name for name in server.needs if name != "roomcast"):
        _install_packages(python, packages)
    return places | {"python": str(python)}


def version(server: Server, places: dict[str, str]) -> str:
    """Say which version of a server is installed; nothing where it has none."""
    if server.home is Home.BUN:
        return _run([places["bun"], "--version"]).strip()
    if server.home is Home.FLOOR:
        return ""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    versions = _run([places["python"], "-c", code, *server.needs]).split()
    return ", ".join(f"{name} {number}" for name, number in zip(server.needs, versions, strict=True))


def compiled(name: str) -> Path:
    """Compile one of the C programs here, and give where it is.

    Raises:
        Unavailable: there is no C compiler, or it refuses.
    """
    sources = [HERE / "c" / source for source in PROGRAMS[name]]
    program = BUILD / name
    if not program.exists() or program.stat().st_mtime < max(source.stat().st_mtime for source in sources):
        BUILD.mkdir(parents=True, exist_ok=True)
        units = [str(source) for source in sources if source.suffix == ".c"]
        _run([os.environ.get("CC", "cc"), "-O2", "-Wall", "-o", str(program), *units])
    return program


def _environment(name: str) -> Path:
    home = ROOT / ".venvs" / name
    python = home / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(home)])
    return python


def _install_packages(python: Path, packages: tuple[str, ...]) -> None:
    pinned = "".join(path.read_text() for path in CONSTRAINTS)
    stamp = python.parent.parent / "installed" / "-".join(packages)
    if _is_fresh(stamp, pinned):
        return
    _pip(python, *packages)
    _write(stamp, pinned)


def _install_ours(python: Path, *, pure: bool) -> None:
    """Install a copy: in place, what was compiled would be found by the interpreted one, too."""
    sources = sorted(
        path
        for path in (ROOT / "src" / "roomcast").rglob("*")
        if path.is_file() and path.suffix not in (".so", ".pyc")
    )
    sources += [ROOT / name for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE")]
    digest = sha256(b"".join(path.read_bytes() for path in (*sources, *CONSTRAINTS))).hexdigest()
    stamp = python.parent.parent / "installed" / "roomcast"
    if _is_fresh(stamp, digest):
        return
    copy = BUILD / f"source-{'pure' if pure else 'compiled'}"
    shutil.rmtree(copy, ignore_errors=True)
    for path in sources:
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    # Not in a build environment of pip's own, which knows no constraints.
    _pip(python, "setuptools", "wheel", "Cython")
    _run([str(python), "-m", "pip", "uninstall", "--quiet", "--yes", "roomcast"])
    _pip(python, "--no-build-isolation", str(copy), ROOMCAST_PURE="1" if pure else "0")
    is_compiled = "from roomcast.protocol import compiled; print(compiled())"
    if _run([str(python), "-c", is_compiled]).strip() == str(pure):
        raise Unavailable("there is no C compiler, or no Cython, to compile it with")
    _write(stamp, digest)


def _bun() -> Path:
    home = BUILD / "bun"
    stamp = home / "installed"
    if not _is_fresh(stamp, BUN):
        home.mkdir(parents=True, exist_ok=True)
        _run(["npm", "install", "--silent", "--no-save", "--ignore-scripts", "--prefix", str(home), BUN])
        _write(stamp, BUN)
    # npm takes the packages of every build that may run here: this processor's, and an older one's.
    for program in sorted(home.glob("node_modules/@oven/bun-*/bin/bun")):
        try:
            _run([str(program), "--version"])
        except Unavailable:
            continue
        return program
    raise Unavailable("npm brought no Bun that runs here")


def _pip(python: Path, *arguments: str, **environment: str) -> None:
    constraints = [part for path in CONSTRAINTS for part in ("--constraint", str(path))]
    quiet = ["--quiet", "--disable-pip-version-check"]
    _run([str(python), "-m", "pip", "install", *quiet, *constraints, *arguments], environment)


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=True,
            cwd=ROOT,
            env=os.environ | (environment or {}),
            text=True,
            timeout=TIMEOUT,
        )
    except FileNotFoundError:
        raise Unavailable(f"there is no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{Path(command[0]).name} took over {TIMEOUT:.0f} s") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in (error.stderr or error.stdout).splitlines() if line.strip()]
        why = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no reason given")
        raise Unavailable(f"{Path(command[0]).name} failed: {why[:200]}") from None
    return done.stdout


def _is_fresh(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted


def _write(stamp: Path, content: str) -> None:
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(content)
