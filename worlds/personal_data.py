"""What worlds hold of a person: the names that worlds know them by, visits, worlds that they keep."""

from datetime import datetime

from accounts.models import Account
from accounts.personal_data import Holding, Rows, hold
from worlds.models import KeeperInvitation, Pseudonym, Ticket, Webhook, World, WorldKeeper, WorldSanction


def files(account: Account) -> dict[str, Rows]:
    """Return the rows for an export."""
    visits = Ticket.objects.filter(account=account).select_related("world").order_by("issued_at")
    names = Pseudonym.objects.filter(account=account).select_related("world").order_by("pk")
    kept = WorldKeeper.objects.filter(account=account).select_related("world").order_by("since")
    owned = World.objects.filter(owner=account).order_by("slug")
    return {
        "names_in_worlds": ({"world": row.world.slug, "name": row.value} for row in names),
        "visits": (
            {"world": row.world.slug, "asked_at": row.issued_at, "entered_at": row.redeemed_at}
            for row in visits.iterator()
        ),
        "bans_and_mutes": [
            {
                "world": row.world.slug,
                "kind": row.kind,
                "reason": row.reason,
                "since": row.made_at,
                "until": row.until,
            }
            for row in WorldSanction.objects.filter(account=account)
            .select_related("world")
            .order_by("made_at")
        ],
        "worlds": [
            {"world": slug, "role": role, "since": since}
            for slug, role, since in [
                *((row.slug, "owner", row.created_at) for row in owned),
                *((row.world.slug, row.role, row.since) for row in kept),
            ]
        ],
        "webhooks": (
            {
                "world": row.world.slug,
                "address": row.url,
                "events": row.events,
                "is_on": row.is_on,
                "made_at": row.made_at,
            }
            for row in Webhook.objects.filter(made_by=account).select_related("world").iterator()
        ),
        "invitations": (
            {"world": row.world.slug, "role": row.role}
            for row in KeeperInvitation.objects.filter(email__iexact=account.email).select_related("world")
        ),
    }


def forget(account: Account, now: datetime) -> None:
    """Cut the threads between the account and what worlds know: no visit can be followed back any more."""
    Ticket.objects.filter(account=account).delete()
    Pseudonym.objects.filter(account=account).delete()
    WorldKeeper.objects.filter(account=account).delete()
    WorldSanction.objects.filter(account=account).delete()
    KeeperInvitation.objects.filter(email__iexact=account.email).delete()


def obstacles(account: Account) -> list[str]:
    """Return that worlds of their own are to be given away first."""
    names = list(World.objects.filter(owner=account).order_by("name").values_list("name", flat=True))
    if not names:
        return []
    return [f"You own {', '.join(names)}. Give it to another keeper, or have the staff close it."]


hold(Holding("worlds", files, forget, obstacles))
