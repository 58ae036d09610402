"""OpenCL's rules: arguments checked, messages made, objects that live as OpenCL says.

A face (`vcl.pyopencl_cl` is one) gives these the shapes that its program knows. Functions take
plain values (integers, sequences, memoryviews, objects of this package) and a `Runtime` to speak
through; what a call refuses is a `vcl.errors.CallError` with the routine, the status and a text.
Must not know: pyopencl, numpy's types, or any face.

A face may derive its own classes from these, so that a command costs no second object. Names with
an underscore are for faces and for this package's modules: pyopencl, for one, puts properties of
the plain names on its classes.
"""
