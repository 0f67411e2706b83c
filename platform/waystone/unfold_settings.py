"""The admin's look and sidebar. Colours as on the site (static/site/site.css): warm stone, and moss."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

STONE = {
    "50": "oklch(98% .006 95)",
    "100": "oklch(95.5% .009 92)",
    "200": "oklch(90.5% .014 88)",
    "300": "oklch(84% .02 86)",
    "400": "oklch(70% .024 86)",
    "500": "oklch(55% .024 86)",
    "600": "oklch(44.5% .022 86)",
    "700": "oklch(36.5% .019 88)",
    "800": "oklch(28% .016 105)",
    "900": "oklch(21.5% .014 115)",
    "950": "oklch(16.5% .012 118)",
}
MOSS = {
    "50": "oklch(97% .018 125)",
    "100": "oklch(93.5% .035 125)",
    "200": "oklch(87.5% .06 126)",
    "300": "oklch(80% .09 127)",
    "400": "oklch(73% .105 129)",
    "500": "oklch(64% .11 132)",
    "600": "oklch(46.5% .085 136)",
    "700": "oklch(40% .075 137)",
    "800": "oklch(34% .06 138)",
    "900": "oklch(28.5% .05 138)",
    "950": "oklch(21% .04 138)",
}


def may_view(*models: str) -> Callable[[HttpRequest], bool]:
    """Return a test whether the caller may view any of these models (app.model)."""

    def permission(request: HttpRequest) -> bool:
        user = request.user
        return any(user.has_perm("{}.view_{}".format(*model.split("."))) for model in models)

    return permission


def item(title: str, icon: str, model: str) -> dict[str, Any]:
    """Return a sidebar entry for a model's list."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": may_view(model),
    }


def style_sheet(request: HttpRequest) -> str:
    return static("waystone_admin/admin.css")


def logo(request: HttpRequest) -> str:
    return static("site/favicon.svg")


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Waystone admin",
    "SITE_HEADER": "Waystone",
    "SITE_SUBHEADER": "Administration",
    "SITE_URL": "/",
    "SITE_ICON": logo,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": logo}],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {"base": STONE, "primary": MOSS},
    "STYLES": [style_sheet],
    "DASHBOARD_CALLBACK": "waystone.dashboard.dashboard_callback",
    "SIDEBAR": {
        "show_search": True,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": "Now", "icon": "monitoring", "link": reverse_lazy("admin:index")},
                    {"title": "Find", "icon": "search", "link": reverse_lazy("admin:find")},
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    item("Accounts", "group", "accounts.account"),
                    item("Entitlements", "workspace_premium", "accounts.entitlement"),
                    item("Payments", "payments", "accounts.payment"),
                    item("What providers told", "receipt_long", "accounts.paymentnotice"),
                    item("Gift codes", "redeem", "accounts.giftcode"),
                    item("E-mail addresses", "mail", "account.emailaddress"),
                    item("Sessions", "devices", "usersessions.usersession"),
                    item("API tokens", "vpn_key", "accounts.apitoken"),
                    item("Leaving", "person_remove", "accounts.leaving"),
                ],
            },
            {
                "title": "Characters",
                "separator": True,
                "items": [
                    item("Characters", "person", "characters.character"),
                    item("Lines", "timeline", "characters.line"),
                    item("Versions", "history", "characters.version"),
                    item("Falls to forks", "call_split", "characters.fall"),
                    item("Valuables", "diamond", "characters.valuable"),
                    item("Ways of valuables", "conversion_path", "characters.valuableevent"),
                    item("Budgets of worlds", "savings", "characters.worldbudget"),
                    item("Gains on main", "trending_up", "characters.gain"),
                    item("Thinned versions", "compress", "characters.thinnedversions"),
                    item("Incarnations", "restore", "characters.incarnation"),
                    item("Offers after a restore", "upload", "characters.reoffer"),
                    item("Offers that wait", "hourglass_empty", "characters.waitingoffer"),
                ],
            },
            {
                "title": "Worlds",
                "separator": True,
                "items": [
                    item("Worlds", "public", "worlds.world"),
                    item("Keys", "key", "worlds.worldkey"),
                    item("Tickets", "confirmation_number", "worlds.ticket"),
                    item("Pseudonyms", "theater_comedy", "worlds.pseudonym"),
                    item("Keepers", "supervisor_account", "worlds.worldkeeper"),
                    item("Invitations", "forward_to_inbox", "worlds.keeperinvitation"),
                    item("Bans and mutes", "block", "worlds.worldsanction"),
                    item("Orders", "assignment", "worlds.worldorder"),
                    item("Setting up", "checklist", "worlds.worldsetup"),
                    item("Pictures", "image", "worlds.worldbanner"),
                    item("Availability", "monitor_heart", "worlds.availability"),
                    item("Incidents", "campaign", "worlds.incident"),
                    item("What was said of incidents", "history", "worlds.incidentupdate"),
                    item("Webhooks", "webhook", "worlds.webhook"),
                    item("Deliveries", "send", "worlds.webhookdelivery"),
                ],
            },
            {
                "title": "This world's own",
                "separator": True,
                "items": [
                    item("Zone clusters", "dns", "worlds.zonecluster"),
                    item("Hosts", "computer", "worlds.host"),
                    item("Alarms", "notifications_active", "worlds.alarm"),
                    item("Backups", "backup", "worlds.backup"),
                    item("Placement plans", "balance", "worlds.placementplan"),
                    item("Moves of zones", "move_down", "worlds.zonemove"),
                    item("Slow handlers", "hourglass_disabled", "worlds.slowhandler"),
                    item("Zone costs", "speed", "worlds.zonecost"),
                    item("Population by hour", "groups", "worlds.populationhour"),
                    item("Zones", "map", "worlds.zone"),
                    item("Zone links", "route", "worlds.zonelink"),
                    item("Creatures", "cruelty_free", "worlds.creaturekind"),
                    item("Spawns", "scatter_plot", "worlds.creaturespawn"),
                    item("Items", "diamond", "worlds.itemkind"),
                    item("Content packs", "inventory_2", "worlds.contentpack"),
                    item("Play sessions", "sports_esports", "worlds.playsession"),
                    item("Waiting players", "hourglass_top", "worlds.waitingplayer"),
                    item("Announcements", "campaign", "worlds.announcement"),
                    item("Restarts", "restart_alt", "worlds.restart"),
                    item("Restart policies", "event_repeat", "worlds.restartpolicy"),
                    item("Quarantined characters", "coronavirus", "worlds.quarantine"),
                    item("Receipts", "receipt_long", "worlds.storedreceipt"),
                ],
            },
            {
                "title": "Platform",
                "separator": True,
                "items": [
                    item("Audit record", "gavel", "accounts.auditrecord"),
                    item("Groups", "badge", "auth.group"),
                    item("Scheduled tasks", "schedule", "django_celery_beat.periodictask"),
                    item("Intervals", "timer", "django_celery_beat.intervalschedule"),
                    item("Crontabs", "calendar_month", "django_celery_beat.crontabschedule"),
                ],
            },
        ],
    },
}
