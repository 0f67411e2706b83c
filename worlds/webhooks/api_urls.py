"""REST addresses of webhooks, under /api/v1/worlds/<slug>/webhooks/."""

from django.urls import path

from worlds.webhooks import api

urlpatterns = [
    path("", api.WebhooksView.as_view(), name="api_webhooks"),
    path("<uuid:webhook_id>/", api.WebhookView.as_view(), name="api_webhook"),
    path("<uuid:webhook_id>/test/", api.WebhookTestView.as_view(), name="api_webhook_test"),
    path("<uuid:webhook_id>/secret/", api.WebhookSecretView.as_view(), name="api_webhook_secret"),
    path("<uuid:webhook_id>/resume/", api.WebhookResumeView.as_view(), name="api_webhook_resume"),
    path("<uuid:webhook_id>/deliveries/", api.DeliveriesView.as_view(), name="api_webhook_deliveries"),
]
