"""The certificate of a listener: what is in it, and that its key stays nowhere."""

from __future__ import annotations

import datetime
import hashlib
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from vcl.direct import certificate


def test_what_is_made() -> None:
    key, made = certificate._made()
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    found = x509.load_der_x509_certificate(made)
    public = found.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name == "secp256r1"
    now = datetime.datetime.now(datetime.UTC)
    an_hour = datetime.timedelta(hours=1)
    assert found.not_valid_before_utc < now - an_hour, "clocks differ"
    assert found.not_valid_after_utc > now + an_hour
    assert certificate._made()[0] != key, "each listener has its own"


def test_the_fingerprint_is_of_the_certificate_that_is_shown() -> None:
    assert certificate.AVAILABLE
    before = set(os.listdir("/proc/self/fd"))
    context, fingerprint = certificate.listening_context()
    assert set(os.listdir("/proc/self/fd")) == before, "the key is in no file any more"
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    dialling.check_hostname, dialling.verify_mode = False, ssl.CERT_NONE
    one, other = (ssl.MemoryBIO() for _ in range(2))
    client = dialling.wrap_bio(one, other)
    server = context.wrap_bio(other, one, server_side=True)
    for end in (client, server, client):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    shown = client.getpeercert(binary_form=True)
    assert shown is not None and hashlib.sha256(shown).hexdigest() == fingerprint
