"""Pages: the files of a page that comes with the package, served as they are."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def page_routes(package: str) -> list[Route]:
    """Give a route for each file in the folder `page` of a package; `index.html` is at `/`."""
    folder = resources.files(package).joinpath("page")
    return [_file_route(file.name, file.read_bytes()) for file in folder.iterdir() if file.is_file()]


def _file_route(name: str, content: bytes) -> Route:
    """Serve one file of the page from memory: they are few and small."""
    media_type = MEDIA_TYPES[name[name.rindex(".") :]]

    async def serve(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers=HEADERS)

    return Route("/" if name == "index.html" else f"/{name}", serve)
