"""The certificate by which who listens for encrypted links is known, made for this run alone.

Owns: it and its key. Must not know: sockets, or who is told the fingerprint. Nobody vouches for the
certificate: its fingerprint reaches who dials through the master, over connections that are
authenticated already.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.util
import os
import ssl

from vcl.direct.tls import TlsSocket
from vcl.text import how_to_install

AVAILABLE = importlib.util.find_spec("cryptography") is not None and hasattr(os, "memfd_create")
"""Whether one can be made here."""

WHY_NOT = (
    f"the library cryptography is missing ({how_to_install('cryptography')}), or this isn't Linux"
)

_valid_days = 30
"""Of no matter to our own ends, which compare fingerprints; what reads a date is to find a sane
one."""


def listening_context() -> tuple[ssl.SSLContext, str]:
    """For who listens: how it speaks TLS, with a certificate of its own, and the SHA-256 of that
    certificate in hexadecimal. Only where AVAILABLE."""
    key, certificate = _made()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # each link is a session of its own
    context.sslsocket_class = TlsSocket
    # The key has to come from a file: one that is in no file system, and is gone at once.
    descriptor = os.memfd_create("vcl-certificate")
    with open(descriptor, "wb") as file:
        file.write(key + ssl.DER_cert_to_PEM_cert(certificate).encode())
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context, hashlib.sha256(certificate).hexdigest()


def _made() -> tuple[bytes, bytes]:
    """A new key, as PEM, and its certificate, as DER."""
    # Not before it is needed: to load it takes a while.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vcl direct links")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_valid_days))
        .sign(key, hashes.SHA256())
    )
    packed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return packed, certificate.public_bytes(serialization.Encoding.DER)
