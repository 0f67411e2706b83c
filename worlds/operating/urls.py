"""Pages of operators, below /operate/."""

from django.urls import include, path

from worlds.operating import keeper_views, keeping_views, player_views, register_views

urlpatterns = [
    path("", register_views.my_worlds, name="operate"),
    path("register/", register_views.register, name="operate_register"),
    path("<slug:slug>/setup/", register_views.setup_page, name="world_setup"),
    path("<slug:slug>/setup/check/", register_views.check_again, name="world_check_again"),
    path("<slug:slug>/setup/code/", register_views.new_code, name="world_new_code"),
    path("<slug:slug>/keys/", register_views.keys_page, name="world_keys"),
    path("<slug:slug>/keys/<str:kid>/revoke/", register_views.revoke_key, name="world_key_revoke"),
    path("<slug:slug>/webhooks/", include("worlds.webhooks.urls")),
    path("<slug:slug>/", keeping_views.overview_page, name="kept_world"),
    path("<slug:slug>/announce/", keeping_views.announce, name="kept_announce"),
    path("<slug:slug>/maintenance/", keeping_views.maintenance, name="kept_maintenance"),
    path("<slug:slug>/page/", keeping_views.page, name="kept_page"),
    path("<slug:slug>/page/banner/", keeping_views.banner, name="kept_banner"),
    path("<slug:slug>/restarts/", keeping_views.restarts, name="kept_restarts"),
    path("<slug:slug>/history/", keeping_views.history, name="kept_history"),
    path("<slug:slug>/players/", player_views.players_page, name="kept_players"),
    path("<slug:slug>/players/find/", player_views.find, name="kept_find"),
    path("<slug:slug>/players/<uuid:character>/", player_views.player_page, name="kept_player"),
    path("<slug:slug>/sanctions/<int:number>/lift/", player_views.lift, name="kept_lift"),
    path("<slug:slug>/keepers/", keeper_views.keepers_page, name="kept_keepers"),
    path("<slug:slug>/keepers/<int:number>/", keeper_views.change_keeper, name="kept_keeper"),
    path("<slug:slug>/invitations/<int:number>/withdraw/", keeper_views.withdraw, name="kept_withdraw"),
    path("<slug:slug>/leave/", keeper_views.leave, name="kept_leave"),
    path("invitations/<int:number>/", keeper_views.answer, name="keeper_invitation"),
]
