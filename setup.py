"""Compiles the hot path, where there is a C compiler.

The modules below are plain Python, and run as such. A `.pxd` beside each gives Cython the types to make C of
the same source. Where that fails (no compiler, no Cython), the package installs all the same, interpreted;
`ROOMCAST_PURE=1` asks for that. `roomcast.protocol.compiled()` says which it is.
"""

from __future__ import annotations

import os
import sys

from setuptools import Extension, setup

HOT_PATH = [
    "roomcast.protocol.connection",
    "roomcast.protocol.frames",
    "roomcast.protocol.masking",
    "roomcast.protocol.message",
    "roomcast.protocol.prepared",
    "roomcast.protocol.sending",
]

DIRECTIVES = {
    # The types are the .pxd's. Annotations are for the reader and the type checker: an `int` there has no bound.
    "annotation_typing": False,
    "embedsignature": True,
    "embedsignature.format": "python",
    "language_level": 3,
}


def extensions() -> list[Extension]:
    """Return what to compile: nothing where that was declined or cannot be."""
    if os.environ.get("ROOMCAST_PURE", "0") not in ("", "0"):
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        print("Roomcast: no Cython here, so it runs interpreted.", file=sys.stderr)
        return []
    # All or none: modules that are compiled call each other in C. An optional extension that fails to build is
    # left out, with the compiler's message; the check in `roomcast.protocol` catches a mixture.
    modules = [
        Extension(name, [f"src/{name.replace('.', '/')}.py"], optional=True, extra_compile_args=["-O3"])
        for name in HOT_PATH
    ]
    compiled: list[Extension] = cythonize(modules, build_dir="build/cython", compiler_directives=DIRECTIVES)
    return compiled


setup(ext_modules=extensions())
