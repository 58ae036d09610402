"""How kernels that nobody here wrote are split: `python -m benchmarks.coverage`.

Owns: packages of PyPI, their kernels, and the answer that a plausible launch of each gets. Must not
know: how answers are found. None of the kernels is kept in the repository.
"""
