"""Addresses of the uplink, below /api/v1/uplink/."""

from django.urls import path

from characters import uplink_api

urlpatterns = [
    path("redeem/", uplink_api.redeem, name="uplink_redeem"),
    path("acquire/", uplink_api.acquire, name="uplink_acquire"),
    path("renew/", uplink_api.renew, name="uplink_renew"),
    path("save/", uplink_api.save, name="uplink_save"),
    path("exchange/", uplink_api.exchange, name="uplink_exchange"),
    path("mailbox/", uplink_api.mailbox, name="uplink_mailbox"),
    path("release/", uplink_api.release, name="uplink_release"),
    path("reoffer/", uplink_api.reoffer, name="uplink_reoffer"),
    path("report/", uplink_api.report, name="uplink_report"),
]
