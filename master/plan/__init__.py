"""Plans: what a command makes of the cluster, as a value, and the one place that carries it out.

`planner` makes a `plan.Plan` from a command and a view that changes nothing; `commit` alone gives
it ids and waits, notes what it changes, and puts its messages into the outboxes.
"""
