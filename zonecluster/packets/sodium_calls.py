"""libsodium's functions as compiled code calls them: by name, with addresses in memory for arguments.

sodium.py must have exposed the library before the first call.
"""

from numba import types

_POINTER, _LONG = types.uintp, types.uint64
# plain, secret nonce (none), sealed, its length, tag, associated data, its length, nonce, key
_OPEN = types.int32(_POINTER, _POINTER, _POINTER, _LONG, _POINTER, _POINTER, _LONG, _POINTER, _POINTER)
# sealed with tag, its length (not asked for), plain, its length, associated data, its length, secret nonce
# (none), nonce, key
_SEAL = types.int32(_POINTER, _POINTER, _POINTER, _LONG, _POINTER, _LONG, _POINTER, _POINTER, _POINTER)

sodium_open = types.ExternalFunction("crypto_aead_chacha20poly1305_ietf_decrypt_detached", _OPEN)
sodium_seal = types.ExternalFunction("crypto_aead_chacha20poly1305_ietf_encrypt", _SEAL)
# With no place for the plain text it only compares the tag.
sodium_open_token = types.ExternalFunction("crypto_aead_xchacha20poly1305_ietf_decrypt_detached", _OPEN)
