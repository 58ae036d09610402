"""The packages whose kernels are looked at, and how to come by their source distributions.

Owns: names, versions and hashes. Must not know: what is in a file.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

INDEX = "https://pypi.org/simple"
TIMEOUT_S = 60
TEXTS = (".cl", ".h", ".clh", ".py")


class Package(NamedTuple):
    """sha256: of the source distribution. clij: whether images are macros that the host defines."""

    name: str
    version: str
    sha256: str
    clij: bool = False


PYOPENCL = Package(
    "pyopencl", "2026.1.4", "6cb9544a004609061e86873fe36500da6c2101042e9c7b9c3b804a29a12b98bf"
)
PACKAGES = (
    PYOPENCL,
    Package(
        "silx", "3.1.3", "10b6505422f98c5f8798cd1bba0ab0b836ad91f28b39979f1eb09e13ba87ac1c"
    ),
    Package(
        "pyfai", "2026.9.0", "a0cfb92208d73143f1ff03cf1183efd95562bca37d73d8af0578ff0b2940cc29"
    ),
    Package(
        "pyclesperanto-prototype",
        "0.24.6",
        "07e292867df39cd809e46e6ca033494e437c0f6f012a56540a765f649c056ead",
        clij=True,
    ),
    Package(
        "gputools", "0.3.1", "cc01a320dbecb022bddf75749467b61ff5bf7abeef50b93de2e06ccd84fe2c02"
    ),
    Package(
        "netcl", "0.4.4", "bc7f7e5eda3498c352d9aebaf4ff3f63ae03eeea8efe743b73191f7caf9a510e"
    ),
    Package(
        "peripy", "1.0.0", "b88874ae777454a794700a2b105713d47869c302d9201c058528dd9f16c759cb"
    ),
    Package(
        "clogmaneo", "1.2.0", "f40b58d79527b5d56b7a0e0eee45c7ebd3b17f83abc37fc56e96e6aa6370eb2a"
    ),
    Package(
        "qcgpu", "0.1.1", "161be0900b9cab726f43bd0f9c6a73b0f870e1381f5412e226581948e5809e45"
    ),
    Package(
        "spimagine", "0.1.3", "f6a28d971a7b14749c70ae472da0aa1cda146c72c4aa2610cad92fe9294c0f7e"
    ),
    Package(
        "pyrqa", "8.1.0", "86881e2bf60e086fc963af525956978655b896233b9fd3b5820cceeb4cd9952e"
    ),
    Package(
        "kde-ocl", "0.1.0", "54284e78b5a2cb1e09d2372bae19174c4a7542573e2883ef2fec90db8a81fb79"
    ),
    Package(
        "parallelbrot", "0.2.1", "4b6ae384fcd758d0bd81b4ebed091b4951693bf53e54a909681c40a0b7f9d525"
    ),
    Package(
        "krnl", "0.2.1", "bcdcf89adf8b5e5475866251b5e0409eb9644a873e949d8e780215c35acca24c"
    ),
)


class NotDownloaded(Exception):
    """The index hasn't the distribution that is asked for."""


def archive(package: Package, folder: Path) -> Path:
    """Its source distribution; raises NotDownloaded, or OSError if there is no way to the index.

    folder: keeps it for the next time.
    """
    path = folder / f"{package.name}-{package.version}.tar.gz"
    if not path.exists():
        data = _download(package)
        part = path.with_suffix(".part")
        part.write_bytes(data)
        part.rename(path)
    return path


def _download(package: Package) -> bytes:
    asked = urllib.request.Request(
        f"{INDEX}/{package.name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
        files = json.load(answer)["files"]
    url = next((f["url"] for f in files if f["hashes"].get("sha256") == package.sha256), None)
    if url is None:
        raise NotDownloaded(f"{package.name} {package.version} is not on {INDEX}")
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        data: bytes = answer.read()
    if hashlib.sha256(data).hexdigest() != package.sha256:
        raise NotDownloaded(f"{url} is not what it was")
    return data


def texts(path: Path) -> dict[str, bytes]:
    """Of an archive the files that may hold kernels, by their paths below /."""
    found = {}
    with tarfile.open(path) as opened:
        for member in opened:
            if member.isfile() and member.name.endswith(TEXTS):
                content = opened.extractfile(member)
                assert content is not None
                found["/" + member.name] = content.read()
    return found
