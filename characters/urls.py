"""Pages of characters."""

from django.urls import path

from characters import open_views, own_views, views

urlpatterns = [
    path("", views.my_characters, name="my_characters"),
    path("open/", open_views.open_characters, name="open_characters"),
    path("<uuid:character_id>/history/", views.character_history, name="character_history"),
    path("<uuid:character_id>/rename/", own_views.rename, name="character_rename"),
    path("<uuid:character_id>/delete/", own_views.delete, name="character_delete"),
]
