"""REST addresses of accounts, under /api/v1/."""

from django.urls import path

from accounts import api

urlpatterns = [
    path("accounts/", api.AccountsView.as_view(), name="api_accounts"),
    path("sessions/", api.SessionsView.as_view(), name="api_sessions"),
    path("sessions/current/", api.CurrentSessionView.as_view(), name="api_current_session"),
    path("me/", api.MeView.as_view(), name="api_me"),
]
