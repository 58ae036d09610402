"""The real OpenCL driver behind an executor: the only package of node_agent that touches pyopencl.

Each device has its own context and two in-order queues: one for kernels, fills, copies and
snapshots, one for bytes to and from the host, so that a transfer isn't stuck behind unrelated
kernels. One thread per queue waits for events and reports what ended in batches; another thread
builds, packs changes and merges. Everything else is called from the shell's thread only.
"""
