"""The collector's settings, in a process of its own."""

from __future__ import annotations

from tests.processes import run_program


def test_only_young_objects_are_looked_at_unasked() -> None:
    done = run_program(
        """
        import gc
        from master import garbage

        class Node:
            pass

        def cycles(count):
            for _ in range(count):
                node = Node()
                node.itself = node

        garbage.set_up()
        full = []
        gc.callbacks.append(lambda phase, info: full.append(info["generation"] == 2))
        kept = [[n] for n in range(100_000)]
        cycles(50_000)
        assert full and not any(full), "young ones only"
        assert sum(isinstance(o, Node) for o in gc.get_objects()) < 10_000
        garbage.collect()
        assert not any(isinstance(o, Node) for o in gc.get_objects())
        print("good")
        """
    )
    assert (done.stdout, done.returncode) == ("good\n", 0), done.stderr
