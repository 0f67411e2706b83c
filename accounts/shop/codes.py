"""Gift codes: how they are made, written and read. Pure.

A code is derived from its row's uid by the deployment's secret, and the row keeps the code's SHA-256 alone:
who reads the database, or a backup, cannot redeem any; the site can show a buyer his own again. 80 bits:
not to be guessed, throttle or not.
"""

import hashlib
import hmac
from uuid import UUID

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
LENGTH = 16  # letters of 5 bits
GROUP = 4
ALIKE = str.maketrans("OIL", "011")
IGNORED = str.maketrans("", "", "- \t\r\n\u2010\u2011\u2012\u2013\u2014\u00a0")


def code_for(uid: UUID, secret: str) -> str:
    """Return a row's code: XXXX-XXXX-XXXX-XXXX."""
    digest = hmac.digest(b"waystone gift code" + secret.encode(), uid.bytes, "sha256")
    number = int.from_bytes(digest[:10], "big")
    letters = "".join(ALPHABET[number >> shift & 31] for shift in range(0, 5 * LENGTH, 5))
    return "-".join(letters[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def read_code(typed: str) -> str | None:
    """Return what somebody typed as it was printed; None: no code. Case, blanks, O for 0 do not matter."""
    letters = typed.translate(IGNORED).upper().translate(ALIKE)
    if len(letters) != LENGTH or any(letter not in ALPHABET for letter in letters):
        return None
    return "-".join(letters[at : at + GROUP] for at in range(0, LENGTH, GROUP))


def digest_of(code: str) -> str:
    """Return what the row keeps of a code."""
    return hashlib.sha256(code.encode()).hexdigest()
