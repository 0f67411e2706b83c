"""Addresses of the shop, under /premium/."""

from django.urls import path

from accounts.shop import views

urlpatterns = [
    path("", views.premium, name="premium"),
    path("checkout/", views.checkout, name="checkout"),
    path("code/", views.redeem, name="redeem_code"),
    path("payments/", views.payments_page, name="account_receipts"),
    path("payments/<uuid:token>/", views.payment_page, name="payment"),
    path("payments/<uuid:token>/try/", views.try_payment, name="try_payment"),
    path("webhooks/stripe/", views.stripe_webhook, name="stripe_webhook"),
]
