"""vcl-master: who is connected, the command graph, where each byte is, how a launch is split."""
