"""The OpenCL objects as the program sees them: what `pyopencl._cl` is on the cluster.

`module.build()` assembles the pieces. Must not know: how messages travel (`vcl.runtime`).
"""
