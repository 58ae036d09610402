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

        gc.disable()
        cycles(100)
        gc.enable()
        garbage.set_up()
        assert gc.get_freeze_count() > 10 * len(gc.get_objects())
        gc.unfreeze()
        assert not any(isinstance(o, Node) for o in gc.get_objects()), "only then what is left"
        gc.freeze()
        looked = []
        gc.callbacks.append(lambda phase, info: looked.append(info["generation"]))
        kept = [[n] for n in range(100_000)]
        cycles(50_000)
        assert set(looked) == {0, 1}, "young ones only, and the youngest more often"
        assert looked.count(0) > 3 * looked.count(1)
        assert sum(isinstance(o, Node) for o in gc.get_objects()) < 10_000
        garbage.collect()
        assert not any(isinstance(o, Node) for o in gc.get_objects())
        print("good")
        """
    )
    assert (done.stdout, done.returncode) == ("good\n", 0), done.stderr
