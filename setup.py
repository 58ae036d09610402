"""The description on PyPI: README.md without links to files, which are dead there.

All else is in pyproject.toml. Links to files are relative, for whoever reads a checkout, and there
is no public address of the files that they could be replaced with; their texts name the files.
"""

import re
from pathlib import Path

from setuptools import setup


def description(readme: str) -> str:
    """The text, with what a link to a file shows in its place; pictures that are files are left
    out."""
    to_a_file = r"\[([^\]]*)\]\((?!#|https?://)[^)]*\)"
    without_pictures = re.sub(rf"^!{to_a_file}\n\n", "", readme, flags=re.MULTILINE)
    return re.sub(to_a_file, r"\1", without_pictures)


if __name__ == "__main__":
    setup(
        long_description=description(
            (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
        ),
        long_description_content_type="text/markdown",
    )
