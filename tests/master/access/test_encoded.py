"""What was encoded is decoded to the same, for kernels of all kinds."""

from __future__ import annotations

import json
from random import Random

from master.access.analyser.frontend import parse
from master.access.encoded import decode, encode
from master.access.kernels import BUFFER, footprint
from tests.master.access.generated import Maker
from vcl.ndrange import NDRange


def test_what_travels_is_the_same_at_its_end() -> None:
    kinds = set()
    for seed in range(40):
        program = parse(Maker(Random(seed)).make(), "")
        number = (seed - 20).to_bytes(4, "little", signed=True)
        found = footprint(
            program, "k", [BUFFER, BUFFER, number, number], NDRange((0,), (8,), (4,))
        )
        assert decode(encode(found)) == found
        kinds |= {definition.kind for definition in found.definitions}
    assert len(kinds) > 8, "symbols of most kinds"


def test_it_is_json() -> None:
    program = parse("kernel void k(global int *a) { a[get_global_id(0)] = 1; }", "")
    data = encode(footprint(program, "k", [BUFFER], NDRange((0,), (8,), (4,))))
    assert json.loads(data)[1] == [[0, True, [0, [[0, 4]]], 4, [], 1, None, False]]
