"""REST for players: own characters, and tickets to worlds. Translates and calls."""

from uuid import UUID

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Account
from accounts.openapi import problems
from accounts.rules import Edition
from accounts.scopes import Scope
from characters.name_rules import MAX_NAME, BadName
from characters.opening import BadChoice, ChosenLately, choose_open
from characters.selectors import CharacterList, CharacterRow, character_of, characters_of
from characters.services import (
    CharacterInPlay,
    NameTaken,
    NoFreeSlot,
    NoSuchCharacter,
    create_character,
    delete_character,
)
from worlds.models import World
from worlds.tickets import NoTicket, issue_ticket

NO_TICKET_STATUSES = {
    "account_banned": status.HTTP_403_FORBIDDEN,
    "email_not_confirmed": status.HTTP_403_FORBIDDEN,
    "edition_needed": status.HTTP_403_FORBIDDEN,
    "world_suspended": status.HTTP_403_FORBIDDEN,
    "world_maintenance": status.HTTP_503_SERVICE_UNAVAILABLE,
    "world_offline": status.HTTP_503_SERVICE_UNAVAILABLE,
    "too_many_tickets": status.HTTP_429_TOO_MANY_REQUESTS,
}


class Problem(APIException):
    """A refusal with a status and a code, as problem+json."""

    def __init__(self, status_code: int, code: str, detail: str) -> None:
        super().__init__(detail, code)
        self.status_code = status_code


class ForkSerializer(serializers.Serializer):
    world = serializers.CharField(help_text="Slug of the world whose own line this is.")
    level = serializers.IntegerField()
    zone = serializers.CharField(allow_null=True, help_text="Where the character stands there.")
    version = serializers.IntegerField()
    updated_at = serializers.DateTimeField()


class CharacterSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    level = serializers.IntegerField(help_text="On the main line.")
    is_locked = serializers.BooleanField(help_text="Over the edition's slots: kept, not playable.")
    places = serializers.DictField(
        child=serializers.CharField(), help_text="World slug → zone, on the main line."
    )
    playing_in = serializers.CharField(allow_null=True, help_text="Slug of the world that plays it now.")
    version = serializers.IntegerField(help_text="Newest version of the main line.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField(help_text="Of the newest write to the main line.")
    forks = ForkSerializer(many=True)


class CharacterListSerializer(serializers.Serializer):
    edition = serializers.ChoiceField(choices=[edition.value for edition in Edition])
    slots = serializers.IntegerField()
    free_slots = serializers.IntegerField()
    characters = CharacterSerializer(many=True)


class OpenCharactersSerializer(serializers.Serializer):
    characters = serializers.ListField(
        child=serializers.UUIDField(),
        max_length=100,
        help_text="Ids of those to keep open, at most as many as the edition has slots.",
    )


class NewCharacterSerializer(serializers.Serializer):
    name = serializers.CharField(
        max_length=100, help_text=f"3 to {MAX_NAME} letters; see docs/characters.md."
    )


class TicketSerializer(serializers.Serializer):
    ticket = serializers.CharField(help_text="For Hello on the world link: once, within 60 s.")
    gateway_url = serializers.CharField(help_text="Where to open the world link.")
    expires_at = serializers.DateTimeField()


def character_values(row: CharacterRow) -> dict[str, object]:
    """Return the values of CharacterSerializer."""
    return {
        "id": row.id,
        "name": row.name,
        "level": row.level,
        "is_locked": row.is_locked,
        "places": row.places,
        "playing_in": row.playing_in,
        "version": row.main.version,
        "created_at": row.created_at,
        "updated_at": row.main.updated_at,
        "forks": [
            {
                "world": fork.world,
                "level": fork.level,
                "zone": fork.places.get(fork.world or ""),
                "version": fork.version,
                "updated_at": fork.updated_at,
            }
            for fork in row.forks
        ],
    }


def list_values(found: CharacterList) -> dict[str, object]:
    """Return the values of CharacterListSerializer."""
    return {
        "edition": found.edition.value,
        "slots": found.slots,
        "free_slots": found.free_slots,
        "characters": [character_values(row) for row in found.characters],
    }


class CharactersView(APIView):
    """The caller's characters."""

    permission_classes = [IsAuthenticated]
    scopes = {"GET": Scope.CHARACTERS_READ, "POST": Scope.CHARACTERS_WRITE}

    @extend_schema(
        operation_id="characters_list",
        tags=["characters"],
        responses={200: CharacterListSerializer, **problems(401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        """List my characters, oldest first."""
        found = characters_of(_caller(request), timezone.now())
        return Response(CharacterListSerializer(list_values(found)).data)

    @extend_schema(
        tags=["characters"],
        request=NewCharacterSerializer,
        responses={
            201: CharacterSerializer,
            **problems(400, 401, 403, 415, 429, _409="The name is taken, or no character slot is free."),
        },
    )
    def post(self, request: Request) -> Response:
        """Make a character."""
        account = _caller(request)
        wanted = NewCharacterSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        now = timezone.now()
        try:
            character = create_character(
                account=account, name=wanted.validated_data["name"], by=account, now=now
            )
        except BadName as error:
            raise serializers.ValidationError({"name": [str(error)]}, code="bad_name") from error
        except NameTaken as error:
            raise Problem(status.HTTP_409_CONFLICT, "name_taken", str(error)) from error
        except NoFreeSlot as error:
            raise Problem(status.HTTP_409_CONFLICT, "no_free_slot", str(error)) from error
        values = character_values(_own_character(request, character.id))
        return Response(CharacterSerializer(values).data, status=status.HTTP_201_CREATED)


class OpenCharactersView(APIView):
    """Which of the caller's characters stay open, when there are more than the edition has slots."""

    permission_classes = [IsAuthenticated]
    scopes = {"PUT": Scope.CHARACTERS_WRITE}

    @extend_schema(
        operation_id="characters_open",
        tags=["characters"],
        request=OpenCharactersSerializer,
        responses={
            200: CharacterListSerializer,
            **problems(
                400,
                401,
                403,
                404,
                415,
                429,
                _409="Chosen less than a day ago, or one that would be locked is in a world.",
            ),
        },
    )
    def put(self, request: Request) -> Response:
        """Choose which characters stay open. The others are locked, and nothing of them changes."""
        account, now = _caller(request), timezone.now()
        wanted = OpenCharactersSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            choose_open(account=account, characters=wanted.validated_data["characters"], by=account, now=now)
        except BadChoice as error:
            raise serializers.ValidationError({"characters": [str(error)]}, code="bad_choice") from error
        except NoSuchCharacter as error:
            raise Http404(str(error)) from error
        except ChosenLately as error:
            raise Problem(status.HTTP_409_CONFLICT, "chosen_lately", str(error)) from error
        except CharacterInPlay as error:
            raise Problem(status.HTTP_409_CONFLICT, "character_in_play", str(error)) from error
        return Response(CharacterListSerializer(list_values(characters_of(account, now))).data)


class CharacterView(APIView):
    """One of the caller's characters; everybody else's do not exist here."""

    permission_classes = [IsAuthenticated]
    scopes = {"GET": Scope.CHARACTERS_READ, "DELETE": Scope.CHARACTERS_WRITE}

    @extend_schema(tags=["characters"], responses={200: CharacterSerializer, **problems(401, 403, 404, 429)})
    def get(self, request: Request, character_id: UUID) -> Response:
        """Look at one of my characters."""
        return Response(CharacterSerializer(character_values(_own_character(request, character_id))).data)

    @extend_schema(
        tags=["characters"],
        request=None,
        responses={204: None, **problems(401, 403, 404, 429, _409="It is in a world; log out there first.")},
    )
    def delete(self, request: Request, character_id: UUID) -> Response:
        """Delete one of my characters. Its name is free again; its history is kept."""
        account = _caller(request)
        try:
            delete_character(account=account, character_id=character_id, by=account, now=timezone.now())
        except NoSuchCharacter as error:
            raise Http404(str(error)) from error
        except CharacterInPlay as error:
            raise Problem(status.HTTP_409_CONFLICT, "character_in_play", str(error)) from error
        return Response(status=status.HTTP_204_NO_CONTENT)


class TicketsView(APIView):
    """Tickets to one world."""

    permission_classes = [IsAuthenticated]
    scopes = {"POST": Scope.TICKETS}

    @extend_schema(
        tags=["tickets"],
        request=None,
        responses={
            201: TicketSerializer,
            **problems(
                401,
                404,
                429,
                _403="Banned, address not confirmed, edition too small, or the world is suspended.",
                _503="The world does not answer, or is being worked on.",
            ),
        },
    )
    def post(self, request: Request, slug: str) -> Response:
        """Get a ticket that lets me enter this world once, within 60 s."""
        world = World.objects.filter(slug=slug).first()
        if world is None:
            raise Http404(f"There is no world {slug!r}.")
        try:
            issued = issue_ticket(account=_caller(request), world=world, now=timezone.now())
        except NoTicket as error:
            raise Problem(NO_TICKET_STATUSES[error.code], error.code, error.detail) from error
        answer = Response(TicketSerializer(issued).data, status=status.HTTP_201_CREATED)
        answer["Cache-Control"] = "no-store"
        return answer


def _caller(request: Request) -> Account:
    """Return the account that is logged in; the permission has let nobody else through."""
    if not isinstance(request.user, Account):
        raise NotAuthenticated
    return request.user


def _own_character(request: Request, character_id: UUID) -> CharacterRow:
    found = character_of(_caller(request), character_id, timezone.now())
    if found is None:
        raise Http404("You have no such character.")
    return found
