"""Second factors: allauth's pages under /account/security/, each with a template of ours."""

from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.urls import path
from django.views.generic import RedirectView

from accounts.allauth_pages import page

urlpatterns = [
    path("", page(mfa.index), name="mfa_index"),
    path("second-step/", page(mfa.authenticate), name="mfa_authenticate"),
    path("code-again/", page(mfa.reauthenticate), name="mfa_reauthenticate"),
    path("app/", page(totp.activate_totp), name="mfa_activate_totp"),
    path("app/remove/", page(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("codes/", page(codes.view_recovery_codes), name="mfa_view_recovery_codes"),
    path("codes/new/", page(codes.generate_recovery_codes), name="mfa_generate_recovery_codes"),
    path("codes/file/", page(codes.download_recovery_codes), name="mfa_download_recovery_codes"),
    # allauth goes here after each change of a passkey.
    path("passkeys/", RedirectView.as_view(pattern_name="mfa_index"), name="mfa_list_webauthn"),
    path("passkeys/new/", page(passkeys.add_webauthn), name="mfa_add_webauthn"),
    path("passkeys/log-in/", page(passkeys.login_webauthn), name="mfa_login_webauthn"),
    path("passkeys/again/", page(passkeys.reauthenticate_webauthn), name="mfa_reauthenticate_webauthn"),
    path("passkeys/<int:pk>/", page(passkeys.edit_webauthn), name="mfa_edit_webauthn"),
    path("passkeys/<int:pk>/remove/", page(passkeys.remove_webauthn), name="mfa_remove_webauthn"),
]
