"""The folder of a unit's files: what is in it, that nothing gets out of it, and its names."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from node_agent import includes
from node_agent.includes import Includes
from vcl.errors import RemoteProtocolError

FILES: list[Any] = [
    ["file", "/u/inc/x.h", b"\xff\r\n"],
    ["folder", "/u/inc/empty", b""],
    ["link", "/u/link", b"/u/inc"],
]


def made(cache: Path, source: str = "", options: str = "", folders: Any = ("/u/inc",),
         files: Any = FILES) -> Includes:  # fmt: skip
    return Includes([source, options, list(folders), files], cache)


def root_of(cache: Path) -> Path:
    [root] = cache.iterdir()
    return root


def test_what_includes_nothing_has_no_folder(tmp_path: Path) -> None:
    unit = made(tmp_path / "c", '#include "/a"', "-w", [], [])
    assert (unit.source, unit.options) == ('#include "/a"', "-w")
    assert unit.users_own("/a/b") == "/a/b" and not (tmp_path / "c").exists()


def test_the_folder(tmp_path: Path) -> None:
    unit = made(tmp_path, "x", "-w", ["/u/inc", "/u/link"])
    root = root_of(tmp_path)
    assert unit.options == f"-w -I {root}/0 -I {root}/1"
    for way in ("tree/u/inc", "tree/u/link", "0", "1", "0/empty/.."):
        assert (root / way / "x.h").read_bytes() == b"\xff\r\n"
    assert root.stat().st_mode & 0o77 == 0


def test_it_is_the_same_each_time_and_another_for_other_files(tmp_path: Path) -> None:
    first = made(tmp_path, "one").options
    inode = root_of(tmp_path).stat().st_ino
    assert made(tmp_path, "two").options == first
    assert root_of(tmp_path).stat().st_ino == inode
    assert made(tmp_path, files=[["file", "/u/inc/x.h", b""]]).options != first
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("damage", ["tree/u/inc/x.h", "tree/u/link", "0"])
def test_a_damaged_folder_is_made_anew(tmp_path: Path, damage: str) -> None:
    made(tmp_path)
    (root_of(tmp_path) / damage).unlink()
    made(tmp_path)
    assert (root_of(tmp_path) / "0" / "x.h").read_bytes() == b"\xff\r\n"
    assert (root_of(tmp_path) / "tree/u/link/x.h").exists()


def test_many_at_once(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def make() -> None:
        try:
            for _ in range(20):
                made(tmp_path)
                assert (root_of_hash / "0" / "x.h").exists()
        except BaseException as error:
            failures.append(error)

    made(tmp_path / "elsewhere")
    root_of_hash = tmp_path / "c" / root_of(tmp_path / "elsewhere").name
    tmp_path = tmp_path / "c"
    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and [p.name for p in tmp_path.iterdir()] == [root_of_hash.name]


@pytest.mark.parametrize(
    "files",
    [
        [["file", "/../../out", b""]],
        [["file", "out", b""]],
        [["link", "/a", b"/../../out"]],
        [["link", "/a", b"out"]],
    ],
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, files: Any) -> None:
    with pytest.raises(RemoteProtocolError):
        made(tmp_path / "c", files=files)
    assert not (tmp_path / "c").exists()


def test_nothing_is_written_by_way_of_a_link(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(OSError, match="exists"):
        made(tmp_path / "c", files=[["link", "/a", os.fsencode(out)], ["file", "/a/x", b""]])
    assert not list(out.iterdir()) and not list((tmp_path / "c").iterdir())


def test_a_link_leads_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "x.h").write_text("secret")
    made(tmp_path / "c", files=[["link", "/u/inc/l", os.fsencode(tmp_path)]])
    assert not (root_of(tmp_path / "c") / "0" / "l" / "x.h").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('#include "/u/inc/x.h"', '#include "TREE/u/inc/x.h"'),
        ("int a;\n # /* a */ include /* b */ </not/there.h> // c",
         "int a;\n # /* a */ include /* b */ <TREE/not/there.h> // c"),
        ('#if __has_include("/a") || __has_include( </b> )',
         '#if __has_include("TREE/a") || __has_include( <TREE/b> )'),
        ('#define H "/u/link/x.h"', '#define H "TREE/u/link/x.h"'),
        ('#define H "/u/inc/none.h"', '#define H "/u/inc/none.h"'),
        ('#include "x.h"', '#include "x.h"'),
        ('char *s = "/u/inc/x.h";', 'char *s = "/u/inc/x.h";'),
    ],
)  # fmt: skip
def test_absolute_includes_lead_below_the_folder(tmp_path: Path, before: str, after: str) -> None:
    unit = made(tmp_path, before, files=[*FILES, ["file", "/u/y.h", before.encode()]])
    tree = f"{root_of(tmp_path)}/tree"
    assert unit.source == after.replace("TREE", tree)
    assert (Path(tree) / "u/y.h").read_text() == after.replace("TREE", tree)


def test_a_name_in_an_option(tmp_path: Path) -> None:
    options = made(tmp_path, options="-DH=</u/inc/x.h>").options
    assert options.startswith(f"-DH=<{root_of(tmp_path)}/tree/u/inc/x.h> ")


def test_logs_name_the_user_s_paths(tmp_path: Path) -> None:
    files = [*FILES, ["file", "/.vcl/given/g.h", b""]]
    unit = made(tmp_path, folders=["/.vcl/given", "/u/inc"], files=files)
    root = root_of(tmp_path)
    log = f"{root}/1/x.h:1: {root}/tree/u/y.h {root}/0/g.h {root}/tree/.vcl/given/g.h /other"
    assert unit.users_own(log) == "/u/inc/x.h:1: /u/y.h g.h g.h /other"


def test_the_oldest_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(includes, "folders_kept_max", 2)
    roots = []
    for number in range(4):
        unit = made(tmp_path, files=[["file", "/u/inc/x.h", bytes([number])]])
        roots.append(Path(unit.options.split()[-1]).parent)
    assert all(root.exists() for root in roots), "they may be in use"
    for age, root in enumerate(roots):
        os.utime(root, (1000 - age, 1000 - age))
    made(tmp_path, files=[["file", "/u/inc/x.h", b"\0"]])  # the first again
    assert [root.exists() for root in roots] == [True, True, False, False]
