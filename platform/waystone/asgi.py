"""The gateway process: everything that is a WebSocket. `manage.py gateway` serves this under Daphne."""

import os

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")
django.setup()

from waystone.gateway.application import gateway_name, make_application  # noqa: E402  after django.setup()
from waystone.gateway.hub import Hub  # noqa: E402

hub = Hub(world=settings.CONFIG.world, name=gateway_name(settings.CONFIG))
application = make_application(hub, settings.ALLOWED_HOSTS)
