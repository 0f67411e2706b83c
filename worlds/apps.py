from importlib import import_module

from django.apps import AppConfig


class WorldsConfig(AppConfig):
    name = "worlds"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("worlds.personal_data")  # says what is held of a person
