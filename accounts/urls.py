"""Pages of accounts. Of allauth's pages only these can be reached; each has a template of ours."""

from allauth.account import views as allauth
from django.contrib.auth.decorators import login_required
from django.urls import include, path, re_path

from accounts import own_views, token_views, views
from accounts.allauth_pages import confirm_address, page

urlpatterns = [
    path("", views.account_page, name="account_page"),
    path("api-tokens/", token_views.tokens_page, name="api_tokens_page"),
    path("api-tokens/<int:token_id>/revoke/", token_views.revoke, name="api_token_revoke"),
    path("devices/", own_views.devices, name="account_devices"),
    path("devices/<int:session_id>/end/", own_views.end_device, name="account_end_device"),
    path("devices/end/", own_views.end_devices, name="account_end_devices"),
    path("data/", own_views.data, name="account_data"),
    path("data/file/", own_views.export, name="account_export"),
    path("leave/", own_views.leave, name="account_leave"),
    path("leave/stay/", own_views.stay, name="account_stay"),
    path("security/", include("accounts.security_urls")),
    path("again/", page(allauth.reauthenticate), name="account_reauthenticate"),
    path("e-mail/", page(login_required(views.Address.as_view())), name="account_email"),
    path("sign-up/", views.sign_up, name="account_signup"),
    path("log-in/", page(views.LogIn.as_view()), name="account_login"),
    path("log-out/", allauth.logout, name="account_logout"),
    path("closed/", allauth.account_inactive, name="account_inactive"),
    path("e-mail/sent/", allauth.email_verification_sent, name="account_email_verification_sent"),
    re_path(r"^e-mail/confirm/(?P<key>[-:\w]+)/$", confirm_address, name="account_confirm_email"),
    path("password/", page(allauth.password_change), name="account_change_password"),
    path("password/lost/", page(allauth.password_reset), name="account_reset_password"),
    path("password/lost/sent/", allauth.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/new/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        page(allauth.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path(
        "password/new/done/",
        allauth.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
]
