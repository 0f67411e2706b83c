"""Pages of webhooks, under /operate/<slug>/webhooks/."""

from django.urls import path

from worlds.webhooks import views

urlpatterns = [
    path("", views.webhooks_page, name="world_webhooks"),
    path("<uuid:webhook_id>/", views.webhook_page, name="world_webhook"),
    path("<uuid:webhook_id>/test/", views.test, name="world_webhook_test"),
    path("<uuid:webhook_id>/secret/", views.rotate, name="world_webhook_secret"),
    path("<uuid:webhook_id>/on/", views.switch_on, name="world_webhook_on"),
    path("<uuid:webhook_id>/remove/", views.remove, name="world_webhook_remove"),
]
