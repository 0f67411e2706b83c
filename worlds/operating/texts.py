"""What a world's page says: its texts, tags and banner, as its keepers write them."""

import hashlib
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any, BinaryIO

from django.db import transaction
from PIL import Image, ImageOps, UnidentifiedImageError

from accounts.models import Account
from accounts.services import record_audit
from worlds.models import World, WorldBanner

# Tags are chosen, not typed: so lists can be filtered by them, and nobody's eyes are offended.
TAGS: dict[str, str] = {
    "beginners": "For beginners",
    "casual": "Unhurried",
    "hardcore": "Demanding",
    "role-play": "Role-play",
    "exploration": "Exploration",
    "crafting": "Trade and crafts",
    "co-op": "Together",
    "duels": "Duels",
    "events": "Regular events",
    "story": "Story",
    "families": "For families",
    "adults": "For adults",
    "small": "Small and personal",
    "experimental": "Experimental",
    "long-running": "Here to stay",
}
MAX_TAGS = 6
TEXTS = ("tagline", "description", "motd", "house_rules", "appeals", "language", "region", "ruleset")
FIELDS = (*TEXTS, "tags", "is_listed")

MAX_UPLOAD = 1_500_000  # bytes: a body of the site has at most 2 MiB (waystone.bodies)
MAX_PIXELS = 40_000_000  # of an upload: more costs memory, and no camera's picture has it
FORMATS = ("JPEG", "PNG", "WEBP")
WIDTH, HEIGHT = 1440, 480  # of a banner, three to one
MAX_BYTES = 60_000  # of a banner: a page with it stays light
QUALITIES = (82, 70, 55, 40)


class BannerRefused(ValueError):
    """This cannot be a banner; the text says why and what to do."""


def change_page(*, world: World, values: Mapping[str, Any], by: Account, now: datetime) -> list[str]:
    """Write what the page says. Args: values: of FIELDS, checked. Returns: names of what changed."""
    with transaction.atomic():
        row = World.objects.select_for_update(no_key=True).get(pk=world.pk)
        changed = [name for name in FIELDS if name in values and getattr(row, name) != values[name]]
        if not changed:
            return []
        before = {name: _short(getattr(row, name)) for name in changed}
        for name in changed:
            setattr(row, name, values[name])
        row.save(update_fields=changed)
        after = {name: _short(getattr(row, name)) for name in changed}
        detail: dict[str, object] = {"before": before, "after": after}
        record_audit(action="world_page_changed", account=by, target=world.slug, detail=detail, now=now)
    return changed


def _short(value: object) -> object:
    return value[:200] if isinstance(value, str) else value


def set_banner(*, world: World, upload: BinaryIO, by: Account, now: datetime) -> WorldBanner:
    """Make a banner of an uploaded picture.

    Raises: BannerRefused: it is none, or too large.
    """
    image = banner_of(upload)
    digest = hashlib.sha256(image).hexdigest()[:16]
    with transaction.atomic():
        values = {"image": image, "digest": digest, "width": WIDTH, "height": HEIGHT, "made_at": now}
        banner, _ = WorldBanner.objects.update_or_create(world=world, defaults=values)
        detail: dict[str, object] = {"digest": digest, "bytes": len(image)}
        record_audit(action="world_banner_set", account=by, target=world.slug, detail=detail, now=now)
    return banner


def remove_banner(*, world: World, by: Account, now: datetime) -> bool:
    """Take the banner away. Returns: whether there was one."""
    with transaction.atomic():
        if not WorldBanner.objects.filter(world=world).delete()[0]:
            return False
        record_audit(action="world_banner_removed", account=by, target=world.slug, now=now)
    return True


def banner_of(upload: BinaryIO) -> bytes:
    """Draw an uploaded picture anew as WebP of WIDTH × HEIGHT: nothing of the file itself is kept.

    Raises: BannerRefused
    """
    data = upload.read(MAX_UPLOAD + 1)
    if len(data) > MAX_UPLOAD:
        raise BannerRefused("The picture is larger than 1.5 MB. Save it smaller, and try again.")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise BannerRefused("The picture has too many pixels. 1440 by 480 is enough.")
            picture.draft("RGB", (2 * WIDTH, 2 * HEIGHT))  # a large JPEG is decoded smaller
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except BannerRefused:
        raise
    except Image.DecompressionBombError as error:
        raise BannerRefused("The picture has too many pixels. 1440 by 480 is enough.") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as error:
        raise BannerRefused(
            "This is no picture that can be read. Choose a JPEG, PNG or WebP file."
        ) from error
    return _encoded(ImageOps.fit(upright, (WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def _encoded(picture: Image.Image) -> bytes:
    """Encode it so that it fits: first at a lower quality, then smaller (noise does not compress)."""
    encoded = b""
    for parts in (1, 2, 3):
        smaller = picture.resize((WIDTH // parts, HEIGHT // parts)) if parts > 1 else picture
        for quality in QUALITIES:
            out = io.BytesIO()
            smaller.save(out, "WEBP", quality=quality, method=4)
            encoded = out.getvalue()
            if len(encoded) <= MAX_BYTES:
                return encoded
    return encoded
