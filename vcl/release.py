"""This vcl's version, for handshakes and `--version`. Must not know anything else."""

from __future__ import annotations

VERSION = "0.1.0"
