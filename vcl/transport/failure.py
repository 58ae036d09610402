"""Why a connection could not be made, in one sentence for a person.

Owns the words for the causes that all transports share. Must not know a WebSocket library; what
only a library can tell (HTTP status, bad handshake) its adapter puts into words.
"""

from __future__ import annotations

import errno
import re
import socket
import ssl

NOT_WEBSOCKET = "not a WebSocket endpoint"
HANDSHAKE_CUT = f"{NOT_WEBSOCKET}: the server closed the connection during the handshake"
TLS_CUT = "TLS failed: the server closed the connection during the handshake; does it speak TLS?"


def explain(error: OSError, url: str, open_timeout_s: float) -> str:
    """Return what `error`, raised while connecting to `url`, means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS failed: the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"name not known: {error.strerror}"
    if isinstance(error, TimeoutError):
        return f"timed out: no answer within {open_timeout_s:g} s"
    if isinstance(error, ConnectionRefusedError) or _all_refused(error):
        return "refused: nothing listens at that address"
    if isinstance(error, (ConnectionResetError, BrokenPipeError)):
        return TLS_CUT if url.startswith("wss:") else HANDSHAKE_CUT
    return error.strerror or str(error)


def may_pass(error: BaseException | None) -> bool:
    """Whether what was raised while connecting means that nobody is there, and may be later."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    someone = (ssl.SSLError, ConnectionResetError, BrokenPipeError)
    return isinstance(error, OSError) and not isinstance(error, someone)


def http_status(status: int, phrase: str) -> str:
    """Return what an HTTP answer other than 101 means."""
    return f"{NOT_WEBSOCKET}: HTTP status {status} {phrase}".rstrip()


def _all_refused(error: OSError) -> bool:
    # A name with several addresses gives one OSError that has the others only in its text.
    numbers = re.findall(r"\[Errno (\d+)\]", str(error))
    return bool(numbers) and set(numbers) == {str(errno.ECONNREFUSED)}
