"""The shapes of `pyopencl._cl` on the cluster: its classes, names, warnings and use of numpy.

`module.build()` assembles the pieces. Must not know: OpenCL's rules (`vcl.api`), or how messages
travel (`vcl.runtime`).
"""
