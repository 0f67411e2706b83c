"""Makes the libsodium that PyNaCl's wheel carries callable by name from compiled code.

PyNaCl's extension module is itself the shared object with libsodium's symbols in it. Importing
`nacl.bindings` also runs sodium_init, which picks the fastest implementation for this CPU.
"""

import ctypes

import nacl.bindings  # noqa: F401  (its import initialises libsodium)
from nacl import _sodium

NEEDED = (
    "crypto_aead_chacha20poly1305_ietf_encrypt",
    "crypto_aead_chacha20poly1305_ietf_decrypt_detached",
    "crypto_aead_xchacha20poly1305_ietf_decrypt_detached",
)


class NoSodium(RuntimeError):
    """PyNaCl of this machine does not export libsodium's functions."""


def sodium_path() -> str:
    """Return the file of the shared object."""
    return str(_sodium.__file__)


def expose_sodium() -> None:
    """Put libsodium's symbols where the linker of compiled code finds them.

    Raises: NoSodium: the wheel is built differently (as a distribution's package may be).
    """
    try:
        library = ctypes.CDLL(sodium_path(), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise NoSodium(f"{sodium_path()} cannot be loaded: {error}") from error
    missing = [name for name in NEEDED if not hasattr(library, name)]
    if missing:
        raise NoSodium(f"{sodium_path()} lacks {', '.join(missing)}")
