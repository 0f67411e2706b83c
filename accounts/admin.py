"""Accounts in the admin: who they are, what they own, the entitlement ledger, the audit record."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db import IntegrityError
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RangeDateTimeFilter
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.views import ChangeList

from accounts import people_admin  # noqa: F401  (registers rows; the admin looks only for `admin`)
from accounts.account_levers import AccountLevers
from accounts.admin_parts import (
    NOTHING,
    AuditedAdmin,
    ViewOnlyAdmin,
    beside,
    changes_table,
    document,
    hex_text,
    link_to,
    link_to_list,
    links_to,
    rows_table,
    staff_of,
)
from accounts.devices import device_words
from accounts.levers import lever
from accounts.models import Account, AuditRecord, Entitlement
from accounts.rules import Edition
from accounts.selectors import edition_of, editions_of
from accounts.services import NoSuchGrant, ReferenceReused, grant_entitlement, revoke_entitlement
from accounts.shop import admin as shop_admin  # noqa: F401  (registers rows as well)

SHOWN = 20  # related rows on a page; the rest is behind a link
BELONGINGS = ("characters", "ledger", "payments", "worlds", "mail_addresses", "more")
EDITION_COLOURS = {"Free": "info", "Premium": "success"}


class AccountChangeList(ChangeList):
    """Adds editions to the rows of a page: they are computed from the ledger, in one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Any] = list(self.result_list)  # type: ignore[has-type]  # the stubs leave it open
        editions = editions_of(rows, timezone.now())
        for row in rows:
            row.shown_edition = editions[row.pk]
        self.result_list = rows  # type: ignore[assignment]  # a list serves as well


@admin.register(Account)
class AccountAdmin(AccountLevers, AuditedAdmin):
    actions_detail = AccountLevers.account_levers
    list_display = ("email", "edition", "character_count", "is_active", "is_staff", "ban", "date_joined")
    list_filter = ("is_active", "is_staff", ("date_joined", RangeDateTimeFilter))
    search_fields = ("email", "uid", "characters__name")
    ordering = ("-date_joined",)
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("email", "uid", "edition_now", "date_joined", "last_login")}),
        ("Standing", {"fields": ("is_active", "banned_until")}),
        ("Staff", {"fields": ("is_staff", "is_superuser", "groups")}),
        ("Belongs to it", {"fields": BELONGINGS}),
        ("Logged in", {"fields": ("second_factors", "sessions")}),
        ("Bans of worlds", {"fields": ("sanctions",)}),
        ("History", {"fields": ("history", "deeds")}),
    )
    own_fields = ("email", "uid", "date_joined", "last_login", "edition_now", "is_active", "banned_until")
    related_fields = (*BELONGINGS, "second_factors", "sessions", "sanctions", "history", "deeds")
    privilege_fields = ("is_staff", "is_superuser", "groups")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # people register on the site, which checks address and password and writes to them

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> tuple[str, ...]:
        """Only superusers hand out rights: staff must not be able to promote themselves."""
        locked = () if request.user.is_superuser else self.privilege_fields
        return (*self.own_fields, *self.related_fields, *locked)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AccountChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return super().get_queryset(request).annotate(character_total=Count("characters", distinct=True))

    def audit_target(self, obj: Account) -> str:
        return str(obj.uid)

    @display(description="edition", label=EDITION_COLOURS)
    def edition(self, account: Any) -> str:
        return account.shown_edition.name.title()

    @display(description="edition now")
    def edition_now(self, account: Account) -> str:
        return edition_of(account, timezone.now()).name.title()

    @display(description="characters", ordering="character_total")
    def character_count(self, account: Any) -> int:
        return account.character_total

    @display(description="ban", label={"banned": "danger"})
    def ban(self, account: Account) -> str:
        return "banned" if account.banned_until and account.banned_until > timezone.now() else NOTHING

    @display(description="characters")
    def characters(self, account: Any) -> SafeString | str:
        return links_to(account.characters.order_by("created_at")[:SHOWN])

    @display(description="entitlements")
    def ledger(self, account: Account) -> SafeString | str:
        return links_to(account.entitlements.all()[:SHOWN])

    @display(description="worlds of its own")
    def worlds(self, account: Any) -> SafeString | str:
        return links_to(account.worlds.all()[:SHOWN])

    @display(description="e-mail addresses")
    def mail_addresses(self, account: Any) -> SafeString | str:
        return links_to(account.emailaddress_set.all()[:SHOWN])

    @display(description="more")
    def more(self, account: Any) -> SafeString:
        related = {"sessions": "usersession_set", "tickets": "tickets", "pseudonyms": "pseudonyms"}
        links = []
        for text, accessor in related.items():
            rows = getattr(account, accessor)
            links.append(link_to_list(rows.model, text, **{f"{rows.field.name}__id__exact": account.pk}))
        return beside(links)

    @display(description="payments")
    def payments(self, account: Any) -> SafeString | str:
        rows = account.payments.all()[:SHOWN]
        return rows_table(
            ("when", "payment", "amount", "standing"),
            (
                (f"{row.created:%Y-%m-%d %H:%M}", _linked(row), f"{row.total} {row.currency}", row.standing)
                for row in rows
            ),
        )

    @display(description="second factors")
    def second_factors(self, account: Any) -> str:
        kinds = [str(row.get_type_display()) for row in account.authenticator_set.all()]
        return ", ".join(kinds) or "none"

    @display(description="sessions")
    def sessions(self, account: Any) -> SafeString | str:
        rows = account.usersession_set.order_by("-last_seen_at")[:SHOWN]
        return rows_table(
            ("since", "last seen", "address", "client"),
            (
                (
                    link_to(row, f"{row.created_at:%Y-%m-%d %H:%M}"),
                    f"{row.last_seen_at:%Y-%m-%d %H:%M}",
                    row.ip,
                    device_words(row.user_agent),
                )
                for row in rows
            ),
        )

    @display(description="bans and mutes")
    def sanctions(self, account: Any) -> SafeString | str:
        rows = account.sanctions.select_related("world")[:SHOWN]
        return rows_table(
            ("made", "kind", "world", "until", "reason"),
            (
                (
                    f"{row.made_at:%Y-%m-%d %H:%M}",
                    row.kind if row.ended_at is None else f"{row.kind}, ended",
                    link_to(row.world),
                    f"{row.until:%Y-%m-%d %H:%M}" if row.until else "for good",
                    row.reason,
                )
                for row in rows
            ),
        )

    @display(description="what was done to it")
    def history(self, account: Account) -> SafeString | str:
        rows = AuditRecord.objects.filter(target=str(account.uid)).select_related("account").order_by("-pk")
        return rows_table(
            ("when", "deed", "by", "reason"),
            (
                (
                    f"{row.at:%Y-%m-%d %H:%M:%S}",
                    link_to(row, row.action),
                    row.account or row.world_slug or "the platform",
                    row.detail.get("reason", NOTHING),
                )
                for row in rows[:SHOWN]
            ),
        )

    @display(description="its own deeds")
    def deeds(self, account: Any) -> SafeString | str:
        rows = account.deeds.all()[:SHOWN]
        return rows_table(
            ("when", "deed", "target"),
            ((f"{row.at:%Y-%m-%d %H:%M:%S}", link_to(row, row.action), row.target) for row in rows),
        )


def _linked(row: Model) -> SafeString | str:
    """Return a link to a row's page if it has one in the admin."""
    return link_to(row) if admin.site.is_registered(type(row)) else str(row)


class EntitlementForm(forms.ModelForm):
    """A new row of the ledger: a grant, or taking one back. Refuses what the service would refuse."""

    class Meta:
        model = Entitlement
        fields = ("account", "edition", "is_grant", "reference", "ends_at")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not {"account", "edition", "reference"} <= data.keys():
            return data
        booked = Entitlement.objects.filter(
            account=data["account"], edition=data["edition"], reference=data["reference"]
        )
        grant = booked.filter(is_grant=True).first()
        if not data.get("is_grant"):
            if grant is None:
                self.add_error("reference", "Nothing was granted to this account under this reference.")
            data["ends_at"] = None
        elif grant is not None:
            self.add_error("reference", "This reference is booked already; a new grant needs a new one.")
        if data.get("ends_at") and data["ends_at"] <= timezone.now():
            self.add_error("ends_at", "The end must lie in the future.")
        return data


@admin.register(Entitlement)
class EntitlementAdmin(ViewOnlyAdmin):
    """The ledger: rows are added through the services, never changed, never deleted."""

    form = EntitlementForm
    autocomplete_fields = ("account",)
    races = (IntegrityError, NoSuchGrant, ReferenceReused)
    list_display = ("account_link", "edition", "kind", "source", "reference", "starts_at", "ends_at")
    list_filter = ("edition", "is_grant", "source", ("account", AutocompleteSelectFilter))
    search_fields = ("account__email", "reference")
    list_select_related = ("account", "created_by")
    actions_detail = ("take_back",)
    shown_fields = (
        *("account", "edition", "is_grant", "source", "reference"),
        *("starts_at", "ends_at", "created_at", "created_by"),
    )

    def get_fields(self, request: HttpRequest, obj: Entitlement | None = None) -> tuple[str, ...]:
        return EntitlementForm.Meta.fields if obj is None else self.shown_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Entitlement | None = None) -> tuple[str, ...]:
        return () if obj is None else self.shown_fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_entitlement")

    def has_book_permission(self, request: HttpRequest, object_id: str | None = None) -> bool:
        return self.has_add_permission(request)

    def save_model(self, request: HttpRequest, obj: Entitlement, form: EntitlementForm, change: bool) -> None:
        data, now = form.cleaned_data, timezone.now()
        account, edition, reference = data["account"], Edition(data["edition"]), data["reference"]
        if data["is_grant"]:
            entry = grant_entitlement(
                account=account,
                edition=edition,
                source=Entitlement.Source.STAFF,
                reference=reference,
                ends_at=data["ends_at"],
                by=staff_of(request),
                now=now,
            )
        else:
            entry = revoke_entitlement(
                account=account, edition=edition, reference=reference, by=staff_of(request), now=now
            )
        obj.pk = entry.pk

    @lever(
        "Take back",
        title="Take this grant back?",
        text="Adds a row to the ledger that ends the grant at once, for good.",
        icon="undo",
        allowed="book",
        form_class=BaseDialogForm,
        refused=(NoSuchGrant,),
    )
    def take_back(self, entry: Entitlement, **deed: Any) -> str:
        edition = Edition(entry.edition)
        revoke_entitlement(account=entry.account, edition=edition, reference=entry.reference, **deed)
        return f"{entry.reference} is taken back."

    @display(description="account", ordering="account__email")
    def account_link(self, entry: Entitlement) -> SafeString | str:
        return link_to(entry.account)

    @display(description="kind", label={"grant": "success", "taken back": "danger"})
    def kind(self, entry: Entitlement) -> str:
        return "grant" if entry.is_grant else "taken back"


@admin.register(AuditRecord)
class AuditRecordAdmin(ViewOnlyAdmin):
    list_display = ("at", "action", "who", "target_link", "place")
    list_filter = ("action", ("at", RangeDateTimeFilter), ("account", AutocompleteSelectFilter))
    search_fields = ("action", "target", "world_slug", "account__email")
    list_select_related = ("account",)
    date_hierarchy = "at"
    fields = ("at", "action", "who", "target_link", "changes", "readable_detail", "place", "seal")

    @display(description="target", ordering="target")
    def target_link(self, record: AuditRecord) -> SafeString | str:
        """Lead from one row to all of the same target."""
        if not record.target:
            return NOTHING
        return link_to_list(AuditRecord, record.target, q=record.target)

    @display(description="changes")
    def changes(self, record: AuditRecord) -> SafeString | str:
        return changes_table(record.before, record.after)

    @display(description="place in the chain", ordering="position")
    def place(self, record: AuditRecord) -> str:
        return "not sealed yet" if record.position is None else f"{record.position:,}"

    @display(description="chain")
    def seal(self, record: AuditRecord) -> SafeString | str:
        return hex_text(record.chain)

    @display(description="by")
    def who(self, record: AuditRecord) -> SafeString | str:
        if record.account is not None:
            return link_to(record.account)
        return f"world {record.world_slug}" if record.world_slug else NOTHING

    @display(description="detail")
    def readable_detail(self, record: AuditRecord) -> SafeString | str:
        return document(record.detail)
