"""POST /api/v1/uplink/join/: a machine becomes a world's. The one verb of the uplink before a key is known.

Permission: whoever holds the key that the body names, and a code for the world (or a known key).
No cookie is looked at. The request is signed as every other one (worlds/uplink/proof.py), by the new key.
"""

from datetime import datetime

import msgspec
import structlog
from allauth.account.adapter import get_adapter
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from worlds.models import World, WorldSetup
from worlds.operating.joining import JoinRefused, join_world
from worlds.outward import is_local_deployment
from worlds.uplink.joining import Join
from worlds.uplink.keys import thumbprint
from worlds.uplink.messages import Refusal, encoder
from worlds.uplink.proof import BadProof, check_request
from zonecluster.protocol.unreadable import UNREADABLE

log = structlog.get_logger(__name__)

MAX_BYTES = 4096  # the body has some 200
_SCHEME = "bearer "
_decoder = msgspec.json.Decoder(Join)


@csrf_exempt
def join(request: HttpRequest) -> HttpResponse:
    """Let a machine join; 200 with Joined, or a problem with `code` and `detail`."""
    if request.method != "POST":
        answer = _problem(Refusal("bad_request", "use POST"), 405)
        answer["Allow"] = "POST"
        return answer
    now = timezone.now()
    try:
        body = request.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            return _problem(Refusal("bad_request", f"the body has more than {MAX_BYTES} bytes"), 413)
        message = _decoder.decode(body)
        kid = _check_proof(request, message, body, now)
        joined = join_world(
            slug=message.slug,
            code=message.code,
            kid=kid,
            public_key=message.public_key,
            address=str(get_adapter().get_client_ip(request)),
            is_local=is_local_deployment(),
            now=now,
        )
    except UNREADABLE as error:
        return _problem(Refusal("bad_request", f"not a request to join: {error}"), 400)
    except UnreadablePostError:
        return _problem(Refusal("bad_request", "the body did not arrive whole"), 400)
    except BadProof as error:
        _note_fault(message.slug, f"A machine called, but its proof does not hold: {error}.", now)
        return _problem(Refusal("bad_proof", str(error)), 401)
    except JoinRefused as error:
        return _problem(Refusal("not_admitted", str(error)), 403)
    return HttpResponse(encoder.encode(joined), content_type="application/json")


def _check_proof(request: HttpRequest, message: Join, body: bytes, now: datetime) -> str:
    """Check that the caller holds the key that it names. Returns: its kid. Raises: BadProof."""
    key = Ed25519PublicKey.from_public_bytes(message.public_key)
    kid = thumbprint(key)
    header = request.headers.get("Authorization", "")
    if header[: len(_SCHEME)].lower() != _SCHEME:
        raise BadProof("the request has no proof: send Authorization: Bearer <JWT signed by the new key>")
    proof = check_request(
        header[len(_SCHEME) :].strip(),
        lambda named: key if named == kid else None,
        method="POST",
        path=request.path,
        body=body,
        now=now,
    )
    if proof.world != message.slug:
        raise BadProof(f"the proof is of the world {proof.world!r}")
    return kid


def _note_fault(slug: str, fault: str, now: datetime) -> None:
    """Show on the set-up page why a machine could not join, while it waits for one."""
    waiting = WorldSetup.objects.filter(
        world__in=World.objects.filter(slug=slug), code_until__gt=now, code_used_at=None
    )
    waiting.update(called_at=now, call_fault=fault[:300])
    log.warning("join_proof_refused", world=slug[:40], cause=fault)


def _problem(refusal: Refusal, status: int) -> JsonResponse:
    problem = {
        "type": "about:blank",
        "title": refusal.code.replace("_", " "),
        "status": status,
        "code": refusal.code,
        "detail": refusal.detail,
    }
    return JsonResponse(problem, status=status, content_type="application/problem+json")
