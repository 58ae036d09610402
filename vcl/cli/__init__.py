"""The command line `vcl`."""
