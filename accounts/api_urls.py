"""REST addresses of accounts, under /api/v1/."""

from django.urls import path

from accounts import api, token_api
from accounts.shop import api as shop_api

urlpatterns = [
    path("accounts/", api.AccountsView.as_view(), name="api_accounts"),
    path("sessions/", api.SessionsView.as_view(), name="api_sessions"),
    path("sessions/current/", api.CurrentSessionView.as_view(), name="api_current_session"),
    path("me/", api.MeView.as_view(), name="api_me"),
    path("me/tokens/", token_api.TokensView.as_view(), name="api_tokens_of_me"),
    path("me/tokens/<int:token_id>/", token_api.TokenView.as_view(), name="api_token_of_me"),
    path("shop/", shop_api.ShopView.as_view(), name="api_shop"),
    path("me/gift-codes/", shop_api.GiftCodesView.as_view(), name="api_gift_codes"),
    path("me/payments/", shop_api.PaymentsView.as_view(), name="api_payments"),
]
