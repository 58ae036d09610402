"""The option that rewrites what scripts expect: `pytest tests/scripts --rewrite-scripts`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-scripts",
        action="store_true",
        help="write what the master really does into the scripts; read the difference afterwards",
    )


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether to rewrite scripts. The option is unknown where no path names this folder."""
    return bool(request.config.getoption("--rewrite-scripts", default=False))
