"""What `vcl.cluster()` shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from vcl.summary import ClusterSummary, NodeSummary


def device(node: str, name: str) -> Any:
    return SimpleNamespace(node_name=node, description=SimpleNamespace(info={"NAME": name}))


def summary(embedded: bool = False) -> ClusterSummary:
    devices = [device("b", "GPU <1>"), device("a", "CPU"), device("b", "GPU 2")]
    return ClusterSummary.of("ws://m:7470", embedded, cast(Any, devices))


def test_nodes_have_their_devices() -> None:
    nodes = (NodeSummary("a", ("CPU",)), NodeSummary("b", ("GPU <1>", "GPU 2")))
    assert summary().nodes == nodes


def test_a_prompt_shows_a_line_a_node() -> None:
    assert repr(summary()) == (
        "<cluster at ws://m:7470, 2 nodes>\n  a: CPU\n  b: GPU <1>, GPU 2"
    )
    assert repr(summary(embedded=True)).startswith("<embedded cluster at")


def test_a_notebook_shows_a_table_without_what_names_could_do_to_it() -> None:
    shown = summary()._repr_html_()
    assert "<td>GPU &lt;1&gt;, GPU 2</td>" in shown and shown.count("<tr>") == 3
