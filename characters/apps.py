from importlib import import_module

from django.apps import AppConfig


class CharactersConfig(AppConfig):
    name = "characters"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("characters.personal_data")  # says what is held of a person
