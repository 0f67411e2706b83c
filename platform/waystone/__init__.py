"""The project: settings, the site's map, the gateway, Celery, and the supervisor behind `manage.py up`."""
