"""Pages of characters."""

from django.urls import path

from characters import views

urlpatterns = [
    path("", views.my_characters, name="my_characters"),
    path("<uuid:character_id>/history/", views.character_history, name="character_history"),
]
