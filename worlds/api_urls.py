"""REST addresses of worlds, under /api/v1/."""

from django.urls import include, path

from worlds import api, status_api

urlpatterns = [
    path("worlds/", api.WorldsView.as_view(), name="api_worlds"),
    path("worlds/<slug:slug>/", api.WorldView.as_view(), name="api_world"),
    path("worlds/<slug:slug>/status/", status_api.WorldStatusView.as_view(), name="api_world_status"),
    path("status/", status_api.StatusView.as_view(), name="api_status"),
    path("worlds/<slug:slug>/webhooks/", include("worlds.webhooks.api_urls")),
]
