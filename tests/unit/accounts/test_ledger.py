"""An edition follows from the ledger alone: by example, and for any ledger."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from accounts.rules import LIMITS, Edition, LedgerEntry, edition_at

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOURS = st.integers(-50, 50).map(lambda hours: NOON + timedelta(hours=hours))


def entry(
    reference: str, *, is_grant: bool = True, starts: int = -1, ends: int | None = None, edition="premium"
) -> LedgerEntry:
    """An entry whose times are hours from noon."""
    return LedgerEntry(
        edition=Edition(edition),
        is_grant=is_grant,
        reference=reference,
        starts_at=NOON + timedelta(hours=starts),
        ends_at=None if ends is None else NOON + timedelta(hours=ends),
    )


ENTRIES = st.builds(
    entry,
    st.sampled_from("abc"),
    is_grant=st.booleans(),
    starts=st.integers(-40, 40),
    ends=st.none() | st.integers(-40, 40),
    edition=st.sampled_from(["free", "premium"]),
)


def test_nothing_is_free():
    assert edition_at([], NOON) is Edition.FREE


def test_a_grant_counts_from_its_start_to_just_before_its_end():
    ledger = [entry("a", starts=0, ends=2)]
    at = {hours: edition_at(ledger, NOON + timedelta(hours=hours)) for hours in (-1, 0, 1, 2)}
    assert at == {-1: Edition.FREE, 0: Edition.PREMIUM, 1: Edition.PREMIUM, 2: Edition.FREE}


def test_taking_back_undoes_its_own_grant_and_no_other():
    assert edition_at([entry("a"), entry("a", is_grant=False)], NOON) is Edition.FREE
    assert edition_at([entry("a"), entry("b"), entry("a", is_grant=False)], NOON) is Edition.PREMIUM


def test_premium_refund_premium_is_premium():
    ledger = [entry("buy-1"), entry("buy-1", is_grant=False), entry("buy-2")]
    assert edition_at(ledger, NOON) is Edition.PREMIUM


def test_premium_allows_no_less_than_free():
    free, premium = LIMITS[Edition.FREE], LIMITS[Edition.PREMIUM]
    assert premium.character_slots > free.character_slots
    assert free.level_cap is not None and premium.level_cap is None
    assert premium.may_enter_premium_worlds and not free.may_enter_premium_worlds


@given(st.lists(ENTRIES), HOURS, st.randoms())
def test_the_order_of_booking_and_double_booking_do_not_matter(ledger, now, random):
    shuffled = ledger * 2
    random.shuffle(shuffled)
    assert edition_at(shuffled, now) is edition_at(ledger, now)


@given(st.lists(ENTRIES), HOURS)
def test_taking_everything_back_leaves_free(ledger, now):
    taken_back = [entry(one.reference, is_grant=False) for one in ledger]
    assert edition_at([*ledger, *taken_back], now) is Edition.FREE


@given(st.lists(ENTRIES), ENTRIES, HOURS)
def test_a_further_grant_never_takes_an_edition_away(ledger, grant, now):
    if grant.is_grant and edition_at(ledger, now) is Edition.PREMIUM:
        assert edition_at([*ledger, grant], now) is Edition.PREMIUM


@given(st.lists(ENTRIES), HOURS)
def test_premium_always_has_a_grant_in_force_behind_it(ledger, now):
    if edition_at(ledger, now) is Edition.PREMIUM:
        revoked = {one.reference for one in ledger if not one.is_grant}
        assert any(
            one.is_grant
            and one.edition is Edition.PREMIUM
            and one.reference not in revoked
            and one.starts_at <= now
            and (one.ends_at is None or now < one.ends_at)
            for one in ledger
        )
