"""The web process: pages, REST, admin, uplink."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")
django = get_wsgi_application()

from waystone.bodies import PatientBodies  # noqa: E402  (it logs, which Django has configured now)

application = PatientBodies(django)
