"""The messages themselves, one module a conversation.

handshake: the first exchange on every connection. session: client and master. part: master and
executor. node: agent and master. Must not know: what either end does with them.
"""
