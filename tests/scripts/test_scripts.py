"""Every script in this folder is played, and what the master does is compared to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scripts.conversation import RULE, Player, parse

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_script(path: Path, rewrite: bool) -> None:
    player = Player()
    blocks = list(parse(path.read_text(encoding="utf-8")))
    played = [(block, player.play(block)) for block in blocks]
    if rewrite:
        text = "\n".join(block.text(effects) for block, effects in played)
        path.write_text(text, encoding="utf-8")
    for block, effects in played:
        if not rewrite:
            assert effects == block.expected, "\n".join([path.name, *block.inputs])


def test_there_are_scripts() -> None:
    assert len(list(FOLDER.glob("*.txt"))) >= 5


def test_a_script_that_expects_something_else_differs() -> None:
    script = f"# A comment.\n\n# Another.\nopen a agent\n{RULE}\na welcome node=2\n"
    (block,) = parse(script)
    assert block.comments == ["# A comment.", "", "# Another."]
    assert block.expected == ["a welcome node=2"]
    effects = Player().play(block)
    assert effects == ["a welcome node=1", "log: node a from host-of-a with 1 device"]
    assert next(iter(parse(block.text(effects)))).expected == effects
    assert block.text(block.expected) == script


@pytest.mark.parametrize("script", ["open a agent", f"open a agent\n{RULE}\n{RULE}", "# alone"])
def test_what_is_no_script(script: str) -> None:
    with pytest.raises(AssertionError):
        list(parse(script))
