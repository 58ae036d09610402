"""WebSocket connections for all programs: `connect`, `serve`, and the types of the port.

Owns the choice of the library. `picows` (extra `fast`) is used when it is installed, `websockets`
otherwise; an argument or the environment variable VCL_TRANSPORT forces one. Must not know what the
messages mean.
"""

from __future__ import annotations

import importlib.util
import os
import ssl as tls
from types import ModuleType
from typing import cast
from urllib.parse import urlsplit

from vcl.text import how_to_install
from vcl.transport.connection import (
    ByHand,
    ConnectFailed,
    Connection,
    ConnectionClosed,
    Data,
    Handler,
    HttpAnswer,
    Server,
    Settings,
)

__all__ = [
    "ByHand",
    "ConnectFailed",
    "Connection",
    "ConnectionClosed",
    "Data",
    "Handler",
    "HttpAnswer",
    "Server",
    "Settings",
    "by_hand",
    "connect",
    "is_encrypted",
    "serve",
]

ENVIRONMENT_VARIABLE = "VCL_TRANSPORT"
LIBRARIES = ("picows", "websockets")


async def connect(
    url: str,
    settings: Settings | None = None,
    ssl: tls.SSLContext | None = None,
    library: str | None = None,
) -> Connection:
    """Open a connection to a ws:// or wss:// URL.

    ssl: for wss:// only; without it the system's certificates decide.
    library: "websockets" or "picows"; None leaves it to VCL_TRANSPORT, then to what is installed.
    Redirects and proxies are not followed. Raises ConnectFailed.
    """
    try:
        target = urlsplit(url)
        usable = target.scheme in ("ws", "wss") and bool(target.hostname) and target.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConnectFailed(url, "not a WebSocket URL: it must be ws://HOST:PORT or wss://HOST:PORT")
    if ssl is not None and target.scheme != "wss":
        raise ConnectFailed(url, "a TLS context was given, but the URL is not wss://")
    return cast(Connection, await _module(library).connect(url, settings or Settings(), ssl))


def is_encrypted(url: str) -> bool:
    """Whether who connects to this URL speaks TLS."""
    return url.startswith("wss:")


def by_hand(url: str | None, settings: Settings) -> ByHand:
    """One end of a WebSocket whose link is the caller's: of who dials `url`, or with None of who is
    dialled, which refuses requests with an Origin as `serve` does. Always by `websockets`."""
    return cast(ByHand, _module("websockets").ByHand(url, settings))


async def serve(
    handler: Handler,
    host: str,
    port: int,
    settings: Settings | None = None,
    ssl: tls.SSLContext | None = None,
    library: str | None = None,
    http: HttpAnswer | None = None,
) -> Server:
    """Listen on one address and run `handler` for each connection, whatever its path.

    Of a name with several addresses it's one of IPv4, if there is any. While the process has no
    descriptors left, new connections are closed at once.
    http: answers plain GET requests (health checks); None, or None from it, is 404. A request with
    an Origin comes from a browser's page, which has no business here, and gets 403.
    Raises OSError when the address can't be listened on.
    """
    module = _module(library)
    return cast(Server, await module.serve(handler, host, port, settings or Settings(), ssl, http))


def _module(library: str | None) -> ModuleType:
    name = library or os.environ.get(ENVIRONMENT_VARIABLE)
    installed = importlib.util.find_spec("picows") is not None
    if not name:
        name = "picows" if installed else "websockets"
    if name not in LIBRARIES:
        known = " or ".join(LIBRARIES)
        raise ValueError(f"no WebSocket library {name!r}: {ENVIRONMENT_VARIABLE} may be {known}")
    if name == "websockets":
        return importlib.import_module("vcl.transport.websocket")
    if not installed:
        advice = how_to_install("picows")
        raise ImportError(f"the WebSocket library picows is not installed: {advice}")
    return importlib.import_module("vcl.transport.fast")
