"""What the kernels of a program read and write, and so how a launch of them may be split.

Owns every answer that is drawn from kernel source alone. Must not know nodes, residency or plans.
"""
