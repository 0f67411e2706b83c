"""Examples of the OpenAPI document: operation → its request, and its answers by status. Data.

A new endpoint needs its example here: tests/integration/test_openapi_examples.py says so, and holds each
against its schema.
"""

from typing import Any

_ALICE = {
    "uid": "5b6f3a52-59a0-4c0c-8d2f-3f5b7a0c9e11",
    "email": "alice@example.org",
    "is_email_confirmed": True,
    "edition": "free",
    "limits": {
        "character_slots": 3,
        "level_cap": 15,
        "may_enter_premium_worlds": False,
        "may_enter_premium_zones": False,
        "queue_place": 1,
    },
    "banned_until": None,
}
_CREDENTIALS = {"email": "alice@example.org", "password": "moss on the north side"}
_CHARACTER = {
    "id": "0d6a1f4e-6a7e-4f0b-9a55-0a8f3d1c2b77",
    "name": "Tilda Fen",
    "level": 7,
    "is_locked": False,
    "places": {"lanternrest": "harbour"},
    "playing_in": "lanternrest",
    "version": 412,
    "created_at": "2026-10-02T17:20:11Z",
    "updated_at": "2026-11-23T19:04:55Z",
    "forks": [
        {
            "world": "thornwood",
            "level": 5,
            "zone": "glade",
            "version": 31,
            "updated_at": "2026-11-01T09:12:40Z",
        }
    ],
}
_WORLD = {
    "slug": "lanternrest",
    "name": "Lanternrest",
    "tagline": "A harbour town that never sleeps.",
    "tier": "official",
    "language": "en",
    "region": "eu",
    "ruleset": "co-op",
    "edition": "free",
    "players": 214,
    "max_players": 1000,
    "is_online": True,
    "is_suspended": False,
    "created_at": "2026-09-14T08:00:00Z",
    "restart": {"at": "2026-11-24T04:30:00Z", "kind": "rolling", "minutes": None},
    "maintenance": None,
    "tags": ["co-op", "story"],
    "gateway_url": "wss://play.example.org/world-link/",
    "banner": "",
}
_TOKEN = {
    "id": 12,
    "name": "Guild calendar",
    "hint": "wst_Q3v9xa",
    "scopes": ["characters:read"],
    "made_at": "2026-11-23T19:00:00Z",
    "expires_at": "2027-02-21T19:00:00Z",
    "last_used_at": None,
}
_WEBHOOK = {
    "id": "8f14e45f-ceea-467f-a1a1-91f7c1a9f0d2",
    "url": "https://bot.example.org/waystone",
    "events": ["world.online", "world.offline"],
    "is_on": True,
    "stopped_because": "",
    "made_at": "2026-11-23T19:00:00Z",
    "old_secret_until": None,
}
_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="  # noqa: S105  (an example)
_DELIVERY = {
    "id": "c9bf9e57-1685-4c89-bafb-ff5af830be8a",
    "event": "world.offline",
    "state": "delivered",
    "made_at": "2026-11-23T19:05:00Z",
    "attempts": 1,
    "status": 204,
    "error": "",
    "next_at": None,
    "ended_at": "2026-11-23T19:05:02Z",
}

_UPTIME = {"day": 1.0, "week": 0.9987, "quarter": 0.9991}
_INCIDENT = {
    "id": 3,
    "title": "Worlds in the east answer slowly",
    "impact": "minor",
    "state": "over",
    "began_at": "2026-11-20T08:10:00Z",
    "ended_at": "2026-11-20T09:00:00Z",
    "worlds": ["thornwood"],
    "updates": [{"at": "2026-11-20T09:00:00Z", "state": "over", "text": "A cable was mended."}],
}
_SPAN = {"at": "2026-11-23", "verdict": "up", "uptime": 1.0, "players": 180.5, "most_players": 231}


def _list(row: object, size: int = 50) -> dict[str, Any]:
    return {"count": 1, "page": 1, "page_size": size, "next": None, "previous": None, "results": [row]}


EXAMPLES: dict[str, dict[str, Any]] = {
    "register": {
        "request": _CREDENTIALS,
        "202": {"email": "alice@example.org", "detail": "You can log in now."},
    },
    "log_in": {
        "request": _CREDENTIALS,
        "201": {
            "token": "k3v0c5y1r4m8x2p7q9z6w0t5n1b3d8f2",
            "expires_at": "2026-12-07T19:00:00Z",
            "account": _ALICE,
        },
    },
    "log_out": {},
    "me": {"200": _ALICE},
    "tokens_list": {"200": _list(_TOKEN, 20)},
    "tokens_create": {
        "request": {"name": "Guild calendar", "scopes": ["characters:read"], "days": 90},
        "201": {**_TOKEN, "key": "wst_Q3v9xaJ0dT7mB2kYw8LrC5nEoZ1sVfHgUiPqAtXy4M0"},
    },
    "tokens_destroy": {},
    "worlds_list": {"200": _list(_WORLD)},
    "worlds_retrieve": {
        "200": {
            **_WORLD,
            "description": "Ropes, lamps and old stones above a quiet bay.",
            "motd": "The ferry runs again.",
            "house_rules": "Be kind at the pier.",
            "zones": [
                {
                    "slug": "harbour",
                    "name": "Harbour",
                    "description": "Where everybody arrives.",
                    "size": 512.0,
                    "is_entry": True,
                }
            ],
        }
    },
    "characters_list": {"200": {"edition": "free", "slots": 3, "free_slots": 2, "characters": [_CHARACTER]}},
    "characters_create": {"request": {"name": "Tilda Fen"}, "201": _CHARACTER},
    "characters_open": {
        "request": {"characters": [_CHARACTER["id"]]},
        "200": {"edition": "free", "slots": 3, "free_slots": 0, "characters": [_CHARACTER]},
    },
    "characters_retrieve": {"200": _CHARACTER},
    "characters_destroy": {},
    "worlds_tickets_create": {
        "201": {
            "ticket": "eyJhbGciOiJFZERTQSIsInR5cCI6Indh…",
            "gateway_url": "wss://play.example.org/world-link/",
            "expires_at": "2026-11-23T19:01:00Z",
        }
    },
    "shop": {
        "200": {
            "is_open": True,
            "checkout": "https://play.example.org/premium/buy/",
            "products": [
                {
                    "slug": "year",
                    "title": "Premium for a year",
                    "days": 365,
                    "amount": "39.00",
                    "currency": "EUR",
                }
            ],
        }
    },
    "gift_code_redeem": {
        "request": {"code": "WAY-7K3M-9QXD-2FTA"},
        "200": {"edition": "premium", "premium_until": "2027-11-23T19:00:00Z"},
    },
    "payments_list": {
        "200": _list(
            {
                "number": "W-2026-000042",
                "title": "Premium for a year",
                "total": "39.00",
                "refunded": "0.00",
                "currency": "EUR",
                "standing": "paid",
                "created_at": "2026-11-23T19:00:00Z",
                "paid_at": "2026-11-23T19:00:31Z",
                "receipt": "https://play.example.org/account/receipts/W-2026-000042/",
            }
        )
    },
    "status_retrieve": {
        "200": {
            "counted_at": "2026-11-23T19:04:00Z",
            "players": 412,
            "worlds": 17,
            "worlds_online": 15,
            "parts": [{"part": "site", "name": "Site and log-in", "is_up": True, "uptime": _UPTIME}],
            "incidents": [_INCIDENT],
        }
    },
    "worlds_status_retrieve": {
        "200": {
            "slug": "lanternrest",
            "name": "Lanternrest",
            "is_online": True,
            "is_suspended": False,
            "maintenance": None,
            "players": 214,
            "uptime": _UPTIME,
            "days": [_SPAN],
            "hours": [{**_SPAN, "at": "2026-11-23T18:00:00+00:00"}],
            "incidents": [],
        }
    },
    "webhooks_list": {"200": _list(_WEBHOOK, 5)},
    "webhooks_create": {
        "request": {"url": "https://bot.example.org/waystone", "events": ["world.online", "world.offline"]},
        "201": {**_WEBHOOK, "secret": _SECRET},
    },
    "webhooks_retrieve": {"200": _WEBHOOK},
    "webhooks_destroy": {},
    "webhooks_test": {
        "202": {**_DELIVERY, "event": "test", "state": "waiting", "attempts": 0, "status": None}
    },
    "webhooks_rotate": {"200": {**_WEBHOOK, "old_secret_until": "2026-11-24T19:00:00Z", "secret": _SECRET}},
    "webhooks_resume": {"200": _WEBHOOK},
    "webhook_deliveries_list": {"200": _list(_DELIVERY)},
}

PROBLEM_CODES = {
    400: "invalid",
    401: "not_authenticated",
    403: "scope_missing",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    410: "gone",
    415: "unsupported_media_type",
    429: "throttled",
    500: "server_error",
    503: "busy",
}
PROBLEM_DETAILS = {
    400: "Some fields are not right.",
    401: "Authentication credentials were not provided.",
    403: "This token lacks the scope characters:write.",
    404: "There is no such thing, or it is not yours.",
    409: "It conflicts with what is there.",
    415: 'Unsupported media type "text/plain" in request.',
    429: "Request was throttled. Expected available in 41 seconds.",
    503: "Many people are logging in at this moment. Try again in a few seconds.",
}
