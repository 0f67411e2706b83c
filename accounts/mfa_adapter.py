"""What allauth's second factors ask of this project: names, words, and secrets that lie encrypted."""

import base64

import qrcode
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes
from qrcode.image.svg import SvgPathFillImage

from accounts.models import Account

PURPOSE = b"waystone: secrets of second factors"  # no other use of the secret key gives these bytes


def _fernet(secret_key: str | bytes) -> Fernet:
    derived = HKDF(hashes.SHA256(), length=32, salt=None, info=PURPOSE).derive(force_bytes(secret_key))
    return Fernet(base64.urlsafe_b64encode(derived))


class MFAAdapter(DefaultMFAAdapter):
    """allauth's adapter of second factors (MFA_ADAPTER)."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "That did not work. A code of an app counts for half a minute and only once: "
        "take the next one. A recovery code counts once, too.",
        "unverified_email": "First confirm your e-mail address: the link is in our letter.",
        "cannot_generate_recovery_codes": "Recovery codes need an authenticator app or a passkey first.",
    }

    def build_totp_svg(self, url: str) -> str:
        """Draw the picture for an app black on white: allauth's has no ground, and a dark page hides it."""
        return qrcode.make(url, image_factory=SvgPathFillImage).to_string(encoding="unicode")

    def encrypt(self, text: str) -> str:
        """Encrypt a secret for its row, by a key that follows from SECRET_KEY."""
        return self._keys().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Raises: cryptography.fernet.InvalidToken: of another SECRET_KEY (see docs/operating.md)."""
        return self._keys().decrypt(encrypted_text.encode()).decode()

    def generate_authenticator_name(self, user: Account, type: Authenticator.Type) -> str:
        """Return a name for a new passkey that the account does not have yet, for people to replace."""
        count = Authenticator.objects.filter(user=user, type=type).count()
        return "My passkey" if count == 0 else f"My passkey {count + 1}"

    def _keys(self) -> MultiFernet:
        return MultiFernet([_fernet(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])

    def _get_site_name(self) -> str:
        return "Waystone"
