"""Reads OpenCL C as a compiler does: `expand` runs the preprocessor, `frontend` parses. `rewrite`
makes of what was read a program whose kernels may run in parts and see the whole launch.

Owns what may crash or take long on odd input, and so runs in a process of its own. Must not know:
devices, launches or buffers.
"""
