"""The master's public keys at /.well-known/jwks.json: public, cacheable."""

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from worlds.signing import signing_keys

MAX_AGE_S = 300  # worlds ask again at once when they meet an unknown kid, so this may be long


@require_safe
@cache_control(public=True, max_age=MAX_AGE_S)
def jwks(request: HttpRequest) -> JsonResponse:
    """Return the JWKS. For everybody."""
    keys = signing_keys(settings.CONFIG.signing_keys_dir).jwks()
    return JsonResponse(keys, content_type="application/jwk-set+json")
