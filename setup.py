"""Compiles the hot path, where there is a C compiler.

The modules below are plain Python, and run as such. A `.pxd` beside each gives Cython the types to make C of
the same source. Where that cannot be done (no Cython, no compiler), the package is installed all the same,
interpreted; `ROOMCAST_PURE=1` asks for that. `roomcast.protocol.compiled()` says which it is.

An installation in place (`pip install --editable`) puts what it compiles beside the sources, and Python takes
that and not the source: change a source, and install again.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

HOT_PATH = [
    "roomcast.rooms.fanout",
    "roomcast.rooms.member",
    "roomcast.server.inbox",
    "roomcast.server.outbox",
    "roomcast.server.rate",
    "roomcast.server.session",
    "roomcast.server.waiters",
    "roomcast.server.wire",
    "roomcast.protocol.connection",
    "roomcast.protocol.frames",
    "roomcast.protocol.long_frame",
    "roomcast.protocol.masking",
    "roomcast.protocol.message",
    "roomcast.protocol.prepared",
    "roomcast.protocol.sending",
]

PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

DIRECTIVES = {
    # The types are the .pxd's. Annotations are for readers and for mypy: an `int` there has no bound.
    "annotation_typing": False,
    "embedsignature": True,
    "embedsignature.format": "python",
    "language_level": 3,
}


def notice(why: str) -> None:
    """Say that the package will run interpreted."""
    print(f"Roomcast runs interpreted: {why}", file=sys.stderr)


def remove_what_was_compiled_before() -> None:
    """Remove from beside the sources what was compiled of a module that is compiled no more: it would hide it."""
    for built in Path("src", "roomcast").rglob("*.so"):
        if ".".join([*built.parent.parts[1:], built.name.partition(".")[0]]) not in HOT_PATH:
            built.unlink()


class BuildAllOrNone(build_ext):
    """Compiles every module of the hot path, or none: they call each other in C."""

    def finalize_options(self) -> None:
        """Compile as many at once as there are processors, unless told otherwise."""
        super().finalize_options()
        if self.parallel is None:
            self.parallel = PROCESSORS

    def run(self) -> None:
        """Compile; where that fails, leave nothing of it."""
        remove_what_was_compiled_before()
        try:
            super().run()
        except (BaseError, CCompilerError, OSError) as error:
            notice(f"compiling failed ({error})")
            for extension in self.extensions:
                source = Path("src", *extension.name.split("."))
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
                for built in source.parent.glob(f"{source.name}.*.so"):
                    built.unlink()
            self.extensions = []


def extensions() -> list[Extension]:
    """Return what to compile: nothing where that was declined or cannot be."""
    if os.environ.get("ROOMCAST_PURE", "0") not in ("", "0"):
        return []
    try:
        from Cython.Build import cythonize  # noqa: PLC0415 - there may be none
    except ImportError:
        notice("there is no Cython to compile with")
        return []
    modules = [
        Extension(name, [f"src/{name.replace('.', '/')}.py"], extra_compile_args=["-g0"]) for name in HOT_PATH
    ]
    return list(cythonize(modules, build_dir="build/cython", compiler_directives=DIRECTIVES, nthreads=PROCESSORS))


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNone})
