"""Pages of operators, below /operate/."""

from django.urls import include, path

from worlds.operating import register_views

urlpatterns = [
    path("", register_views.my_worlds, name="operate"),
    path("register/", register_views.register, name="operate_register"),
    path("<slug:slug>/setup/", register_views.setup_page, name="world_setup"),
    path("<slug:slug>/setup/check/", register_views.check_again, name="world_check_again"),
    path("<slug:slug>/setup/code/", register_views.new_code, name="world_new_code"),
    path("<slug:slug>/keys/", register_views.keys_page, name="world_keys"),
    path("<slug:slug>/keys/<str:kid>/revoke/", register_views.revoke_key, name="world_key_revoke"),
    path("<slug:slug>/webhooks/", include("worlds.webhooks.urls")),
]
