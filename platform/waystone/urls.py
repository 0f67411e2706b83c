"""The site's map."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from waystone import site, status_pages
from waystone.find_page import with_find
from worlds.jwks import jwks
from worlds.operating.joining_api import join
from worlds.operating.keeping_views import world_banner

admin.autodiscover()
# One log-in, with its limits, for the admin as well.
admin.site.get_urls = with_find(admin.site.get_urls)  # type: ignore[method-assign]
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

handler400 = "waystone.problems.bad_request"
handler403 = "waystone.problems.forbidden"
handler404 = "waystone.problems.not_found"
handler500 = "waystone.problems.server_error"

urlpatterns = [
    path("", site.home, name="home"),
    path("population/", site.population, name="population"),
    path("worlds/", site.world_list, name="world_list"),
    path("worlds/<slug:slug>/", site.world_page_view, name="world_page"),
    path("worlds/<slug:slug>/banner/<slug:digest>.webp", world_banner, name="world_banner"),
    path("worlds/<slug:slug>/now/", site.world_now, name="world_now"),
    path("worlds/<slug:slug>/badge.svg", status_pages.world_badge, name="world_badge"),
    path("status/", status_pages.status, name="status"),
    path("status-now/", status_pages.status_now, name="status_now"),
    path("status/<slug:slug>/", status_pages.world_status, name="world_status"),
    path("how-to-play/", site.how_to_play, name="how_to_play"),
    path("characters/", include("characters.urls")),
    path("account/", include("accounts.urls")),
    path("premium/", include("accounts.shop.urls")),
    path("operate/", include("worlds.operating.urls")),
    path("healthz", site.healthz, name="healthz"),
    path("api/v1/", include("accounts.api_urls")),
    path("api/v1/", include("worlds.api_urls")),
    path("api/v1/", include("characters.api_urls")),
    path("api/v1/uplink/join/", join, name="uplink_join"),
    path("api/v1/uplink/", include("characters.uplink_urls")),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api_docs"),
    path(".well-known/jwks.json", jwks, name="jwks"),
    path("admin/", admin.site.urls),
]
