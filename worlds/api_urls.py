"""REST addresses of worlds, under /api/v1/."""

from django.urls import path

from worlds import api

urlpatterns = [
    path("worlds/", api.WorldsView.as_view(), name="api_worlds"),
    path("worlds/<slug:slug>/", api.WorldView.as_view(), name="api_world"),
]
