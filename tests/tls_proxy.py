"""A cluster whose master is behind a proxy that ends TLS, as a user may have it.

Owns: that proxy and the cluster. Must not know: what goes through it.
"""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vcl.local import LocalCluster


class TlsProxy:
    """Takes encrypted connections on loopback and hands their bytes to another port, and back."""

    def __init__(self, certificate: Path, port: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._to = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port: int = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        """Where it listens."""

    async def _serve(self) -> int:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._to)
        await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))

    def close(self) -> None:
        """End it, with all its connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # the other way's end is this one's
    writer.close()


class EncryptedCluster(LocalCluster):
    """A LocalCluster at a wss:// URL. SSL_CERT_FILE must name the certificate."""

    def __init__(self, certificate: Path, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._certificate = certificate
        self._proxy: TlsProxy | None = None

    def _await_ready(self, process: subprocess.Popen[str], what: str) -> Any:
        ready = super()._await_ready(process, what)
        if what == "vcl-master":
            port = urlsplit(ready["url"]).port
            assert port is not None
            self._proxy = TlsProxy(self._certificate, port)
            ready["url"] = f"wss://127.0.0.1:{self._proxy.port}"
        return ready

    def close(self) -> None:
        super().close()
        if self._proxy is not None:
            self._proxy.close()
            self._proxy = None
