"""The web process: pages, REST, admin, uplink."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")
django = get_wsgi_application()

from django.conf import settings  # noqa: E402  (all below needs the settings that the lines above set up)

from characters.checking import checking  # noqa: E402
from waystone.bodies import PatientBodies  # noqa: E402
from waystone.observing.web import observe_web  # noqa: E402

if settings.CONFIG.role != "world":  # a world without its master takes no saves
    checking.prepare_beside(settings.CONFIG.packet_path)
observe_web()
application = PatientBodies(django)
