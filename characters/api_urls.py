"""Addresses of characters and tickets, below /api/v1/."""

from django.urls import path

from characters.api import CharactersView, CharacterView, OpenCharactersView, TicketsView

urlpatterns = [
    path("characters/", CharactersView.as_view(), name="api_characters"),
    path("characters/open/", OpenCharactersView.as_view(), name="api_open_characters"),
    path("characters/<uuid:character_id>/", CharacterView.as_view(), name="api_character"),
    path("worlds/<slug:slug>/tickets/", TicketsView.as_view(), name="api_tickets"),
]
