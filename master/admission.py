"""Who may connect as a client or an agent, and which names of nodes are whose.

Owns: the comparison of tokens, the memory of names, and the words of refusals. Must not know:
connections, sessions, or where tokens come from.
"""

from __future__ import annotations

import hashlib
import hmac

from vcl.text import plain
from vcl.wire.messages.handshake import Hello, Knock

names_remembered_max = 10_000


class Admission:
    """token: what clients must present. agent_token: what agents must.

    Two, because an agent is given kernels and bytes of whoever launches: to launch isn't to be
    allowed to see what others do.
    """

    def __init__(self, token: str, agent_token: str) -> None:
        self._token = token
        self._agent_token = agent_token
        # Name -> the host whose it is, as a hash, and where that dialled from. In the order in
        # which they were last admitted.
        self._names: dict[str, tuple[str, str]] = {}

    def token_problem(self, knock: Knock, peer: str) -> str:
        """Why the token of a client or an agent isn't good enough; "" if it is."""
        is_user = same(knock.token, self._token)
        is_agent = same(knock.token, self._agent_token)
        if is_user if knock.role == "client" else is_agent:
            return ""
        if knock.role == "client":
            wanted = "`token` in its state directory, with VCL_TOKEN or connect(token=...)"
            other = "this is the agents' token; a client needs the users', the one that the"
        else:
            wanted = "`agent-token` in its state directory, with --token-file or VCL_AGENT_TOKEN"
            other = "this is the users' token; an agent needs another, the one that the"
        if is_user or is_agent:
            return f"{other} master made as {wanted}"
        wrong = "the token is wrong" if knock.token else "no token was given"
        return f"{wrong} (from {peer}): give the one that the master made, {wanted}"

    def name_problem(self, hello: Hello) -> str:
        """Why an agent may not have the name that it wants; "" if it may.

        A name belongs to the host that had it first, also while it is away: programs, and people
        who read reports, take a name for a machine.
        """
        if not hello.name.isprintable():
            return f"the name {plain(hello.name)!r} has characters that can't be shown"
        known = self._names.get(hello.name)
        if known is None or same(_hash(hello.host), known[0]):
            return ""
        # What the host is known by isn't told: it is what proves that a name is one's own.
        return (
            f"the name {hello.name!r} belongs to another host, last seen at {known[1]}: choose "
            "another --name, or restart the master if that host is gone for good"
        )

    def admitted(self, hello: Hello, peer: str) -> None:
        """An agent is a node now, and its name its host's. Of too many names, the one forgotten
        is that which was last admitted the longest ago."""
        if hello.name:
            self._names.pop(hello.name, None)
            self._names[hello.name] = (_hash(hello.host), peer.rpartition(":")[0] or peer)
            if len(self._names) > names_remembered_max:
                del self._names[next(iter(self._names))]


def same(given: str, expected: str) -> bool:
    """Compare secrets in a time that doesn't depend on where they differ."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _hash(text: str) -> str:
    """Of one size, however long the text."""
    return hashlib.sha256(text.encode()).hexdigest()
