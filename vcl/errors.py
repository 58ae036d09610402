"""The exception tree of vcl, and the few OpenCL status codes that the cores themselves raise.

Owns: every exception class that crosses a module boundary. Must not know: pyopencl (the faces
translate an `OperatingError` into pyopencl's own classes), nor anything that does I/O.

    VclError
     |- ProtocolError
     |   |- LocalProtocolError    we were asked to say something that the protocol forbids
     |   '- RemoteProtocolError   the peer said something malformed, out of order or too big
     |- OperatingError            an OpenCL status with a text: build failed, node lost, ...
     |   '- CallError             the same, of a call of OpenCL's whose routine is known
     |- AccessError               a kernel touches what vcl.access doesn't declare
     '- ConnectionProblem         no cluster to talk to: wrong address, nobody there
         |- NotReached            nobody answers at the address, as yet
         '- HandshakeRefused      a master is there and doesn't want us: wrong token, wrong version
"""

from __future__ import annotations

# OpenCL 3.0 API specification, appendix "OpenCL error codes".
SUCCESS = 0
DEVICE_NOT_AVAILABLE = -2
MEM_OBJECT_ALLOCATION_FAILURE = -4
OUT_OF_RESOURCES = -5
OUT_OF_HOST_MEMORY = -6
PROFILING_INFO_NOT_AVAILABLE = -7
BUILD_PROGRAM_FAILURE = -11
EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST = -14
INVALID_VALUE = -30
INVALID_OPERATION = -59


class VclError(Exception):
    """Base of all exceptions that vcl raises itself."""


class ProtocolError(VclError):
    """Base of the two protocol errors (RFC 6455 leaves the content of messages to us)."""


class LocalProtocolError(ProtocolError):
    """This side tried to send what the protocol doesn't allow: a programmer's error."""


class RemoteProtocolError(ProtocolError):
    """The peer sent what the protocol doesn't allow; its session is closed with this text."""


class AccessError(VclError):
    """A kernel touches an element that isn't declared by vcl.access, or can't be checked for it.

    Raised where a launch is enqueued that is checked.
    """


class ConnectionProblem(VclError):
    """There is no usable connection to a cluster; the text says what, where and how to mend it."""


class NotReached(ConnectionProblem):
    """Nobody answers there, and somebody may later."""


class HandshakeRefused(ConnectionProblem):
    """The master answered the handshake with a refusal.

    code: as in Refused; "version" also where this side is the one that doesn't want the other's.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class OperatingError(VclError):
    """Something failed as OpenCL things may fail.

    code: an OpenCL status code (negative). message: for the user, with the node's name.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.message = message


class CallError(OperatingError):
    """What an OpenCL routine returns in place of success.

    routine: its name, as clCreateBuffer. code, message: as of an OperatingError; the message may
    be empty.
    """

    def __init__(self, routine: str, code: int, message: str = "") -> None:
        super().__init__(code, message)
        self.routine = routine
