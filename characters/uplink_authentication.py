"""Who calls the uplink: a world with a valid proof by a key that is not revoked. Nobody else gets in."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.http import HttpRequest

from worlds.models import World, WorldKey
from worlds.uplink.proof import BadProof, Proof, check_body, check_head

_SCHEME = "bearer "


@dataclass(frozen=True)
class Caller:
    """A world whose proof holds so far; the body is still to be checked."""

    world: World
    proof: Proof

    def check_body(self, body: bytes) -> None:
        """Raises: BadProof: the body is not the one that was signed."""
        check_body(self.proof, body)


def authenticate(request: HttpRequest, now: datetime) -> Caller:
    """Return the world that signed this request, judged by its head alone: no body of a stranger is read.

    Raises: BadProof.
    """
    header = request.headers.get("Authorization", "")
    if header[: len(_SCHEME)].lower() != _SCHEME:
        raise BadProof("the request has no proof: send Authorization: Bearer <JWT signed by the world's key>")
    found: dict[str, WorldKey] = {}

    def key_of(kid: str) -> Ed25519PublicKey | None:
        key = WorldKey.objects.select_related("world").filter(kid=kid, revoked_at=None).first()
        if key is None:
            return None
        found[kid] = key
        return Ed25519PublicKey.from_public_bytes(bytes(key.public_key))

    token = header[len(_SCHEME) :].strip()
    proof = check_head(token, key_of, method=request.method or "", path=request.path, now=now)
    world = found[proof.kid].world
    if world.slug != proof.world:
        raise BadProof(f"the key is not one of the world {proof.world!r}")
    return Caller(world, proof)
