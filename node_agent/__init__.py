"""vcl-agent: the host's devices, and one executor process per client session."""
