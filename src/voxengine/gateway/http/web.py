"""The playground: a page to talk to the gateway, at `/`, and the files that it is made of.

The files are read once, when the router is made, into memory: what is not among them is not there, whatever a path
says. There is no build step, so their names carry no hash; a browser keeps them and asks each time whether they have
changed, which is answered by their ETag.

The content-security-policy allows the page what it needs and nothing else: its own scripts, styles and pictures, and
calls to the gateway that it came from. Nothing is inline.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

__all__ = ["web_router"]

#: The types of the files; one that is not here is not served.
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
#: What the page may do. `blob:` is for the files that it offers to save.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob:",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Asset(msgspec.Struct, frozen=True):
    """A file of the page. `etag` is made of its content, in the quotes of the header."""

    body: bytes
    media_type: str
    etag: str


def web_router() -> APIRouter:
    """Routes for `GET` and `HEAD` of `/` and of `/playground/...`."""
    assets = _read(files("voxengine.gateway") / "web")
    router = APIRouter(include_in_schema=False)

    async def page(request: Request) -> Response:
        return _answer(request, assets["index.html"])

    async def part(request: Request, path: str) -> Response:
        asset = assets.get(path)
        if asset is None or path == "index.html":
            return Response("There is no such file.\n", 404, HEADERS, "text/plain")
        return _answer(request, asset)

    router.add_api_route("/", page, methods=["GET", "HEAD"])
    router.add_api_route("/playground/{path:path}", part, methods=["GET", "HEAD"])
    return router


def _read(folder: Traversable, prefix: str = "") -> dict[str, Asset]:
    """The files below a folder, by their paths from it."""
    found: dict[str, Asset] = {}
    for entry in folder.iterdir():
        name = prefix + entry.name
        if entry.is_dir():
            found.update(_read(entry, f"{name}/"))
            continue
        media_type = MEDIA_TYPES.get(name[name.rfind(".") :])
        if media_type is not None:
            body = entry.read_bytes()
            found[name] = Asset(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


def _answer(request: Request, asset: Asset) -> Response:
    """The file, or 304 where the browser has it."""
    headers = {**HEADERS, "ETag": asset.etag}
    known = request.headers.get("if-none-match", "")
    if asset.etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
        return Response(status_code=304, headers=headers)
    body = b"" if request.method == "HEAD" else asset.body
    if request.method == "HEAD":
        headers["Content-Length"] = str(len(asset.body))
    return Response(body, headers=headers, media_type=asset.media_type)
