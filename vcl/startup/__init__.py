"""A folder for PYTHONPATH: what is in it runs at the start of the children of `vcl run`."""
