"""TLS sessions that began on a control connection and go on, on its data connections.

Clients resume the control connection's session to show that both ends of a data connection are the same as
before: FileZilla warns of a server with which it can't. OpenSSL encrypts sessions into tickets with keys that
each context has of its own; two contexts with the same keys take each other's. Python has no word for that,
so it is said to OpenSSL itself, where that is known to work. Elsewhere data connections begin sessions anew.
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl
import sys

TRIED = ((3, 11), (3, 12), (3, 13))
"""The Pythons in which a context is an object that begins with the pointer to OpenSSL's, after its head."""

_GET_KEYS, _SET_KEYS = 58, 59
"""SSL_CTRL_GET_TLSEXT_TICKET_KEYS and SSL_CTRL_SET_TLSEXT_TICKET_KEYS of OpenSSL's tls1.h."""


def share(source: ssl.SSLContext, target: ssl.SSLContext) -> bool:
    """Have one context take the sessions that another one began, and say whether it does.

    Args:
        source: Its ticket keys are used.
        target: Has the same keys from now on.
    """
    if sys.implementation.name != "cpython" or sys.version_info[:2] not in TRIED:
        return False
    try:
        control = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    except (AttributeError, OSError):
        return False  # OpenSSL is inside of Python's own binary, and can't be reached
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    control.restype = ctypes.c_long
    length = control(_pointer(source), _GET_KEYS, 0, None)
    if length <= 0:
        return False
    keys = ctypes.create_string_buffer(length)
    return bool(
        control(_pointer(source), _GET_KEYS, length, keys) == 1
        and control(_pointer(target), _SET_KEYS, length, keys) == 1
    )


def _pointer(context: ssl.SSLContext) -> int | None:
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
