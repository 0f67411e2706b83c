from django.apps import AppConfig


class ZoneclusterConfig(AppConfig):
    name = "zonecluster"
