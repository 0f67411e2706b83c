"""The web process: pages, REST, admin, uplink."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")
application = get_wsgi_application()
