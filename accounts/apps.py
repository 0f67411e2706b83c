"""Accounts: people, their e-mail and password, editions from a ledger of entitlements, the audit record."""

from importlib import import_module

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("accounts.openapi")  # drf-spectacular finds its extensions by their being imported
        import_module("accounts.deeds")  # hears allauth's signals
        import_module("accounts.access_log")  # and those of log-ins
        import_module("accounts.exporting")  # what accounts itself holds of a person
        import_module("accounts.shop.holding")  # and the shop
