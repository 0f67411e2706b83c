"""The site's map."""

from importlib.util import find_spec

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from waystone import site

admin.autodiscover()
admin.site.login = secure_admin_login(admin.site.login)  # one log-in, with its limits, for the admin as well


def include_if_there(route: str, module: str) -> list:
    return [path(route, include(module))] if find_spec(module) else []


urlpatterns = [
    path("", site.home, name="home"),
    path("population/", site.population, name="population"),
    path("worlds/", site.world_list, name="world_list"),
    path("worlds/<slug:slug>/", site.world_page, name="world_page"),
    path("how-to-play/", site.how_to_play, name="how_to_play"),
    path("account/", include("accounts.urls")),
    *include_if_there("characters/", "characters.urls"),
    path("healthz", site.healthz, name="healthz"),
    path("api/v1/", include("accounts.api_urls")),
    *include_if_there("api/v1/", "worlds.api_urls"),
    *include_if_there("api/v1/", "characters.api_urls"),
    *include_if_there("api/v1/uplink/", "characters.uplink_urls"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api_docs"),
    path("admin/", admin.site.urls),
]
if find_spec("worlds.jwks"):
    from worlds.jwks import jwks

    urlpatterns.append(path(".well-known/jwks.json", jwks, name="jwks"))
