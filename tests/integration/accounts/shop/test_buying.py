"""Buying at the dummy till: pages, who may see what, what waits, gift codes, receipts."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.test import Client
from django.utils import timezone

from accounts.letters import send_letter
from accounts.models import AuditRecord, Entitlement, GiftCode, Payment
from accounts.rules import Edition
from accounts.selectors import edition_of
from accounts.shop.booking import give_waiting
from accounts.shop.buying import make_codes, shown_code
from accounts.shop.holding import FORGOTTEN, files_of, forget
from accounts.shop.pages import page_of
from tests.integration.accounts.conftest import register
from tests.queries import assert_same_queries

pytestmark = pytest.mark.django_db

CHECKOUT = "/premium/checkout/"
MINE = {"product": "month", "recipient": "buyer", "recipient_email": ""}


@pytest.fixture
def mallory(db: None):
    return register("mallory@example.org")


def confirm(account) -> None:
    EmailAddress.objects.filter(user=account).update(verified=True)


def edition(account) -> Edition:
    return edition_of(account, timezone.now())


def buy(client: Client, outcome: str = "paid", **form: str) -> Payment:
    """Go through checkout and till. Returns: the payment as it then is."""
    answer = client.post(CHECKOUT, {**MINE, **form})
    assert answer.status_code == 302, answer.content.decode()
    assert urlsplit(answer.headers["Location"]).path.endswith("/try/")
    done = client.post(answer.headers["Location"], {"outcome": outcome})
    assert done.status_code == 302
    return Payment.objects.latest("created")


class TestOneself:
    def test_paying_makes_premium_at_once(self, client, bob):
        client.force_login(bob)
        assert edition(bob) is Edition.FREE
        payment = buy(client)
        assert edition(bob) is Edition.PREMIUM
        entry = Entitlement.objects.get(account=bob)
        assert (entry.source, entry.reference) == ("purchase", f"payment:{payment.token}")
        assert entry.ends_at - entry.starts_at == timedelta(days=30)
        page = client.get(page_of(payment)).content.decode()
        assert "Receipt W-" in page and "€5.00" in page
        deeds = set(AuditRecord.objects.filter(target=payment.token).values_list("action", flat=True))
        assert deeds == {"payment_opened", "payment_paid"}

    def test_paying_twice_by_a_double_click_is_paying_once(self, client, bob):
        client.force_login(bob)
        payment = buy(client)
        again = client.post(page_of(payment, "try_payment"), {"outcome": "paid"})
        assert again.status_code == 400
        assert Entitlement.objects.filter(account=bob).count() == 1

    def test_half_of_it_grants_nothing_and_says_so(self, client, bob):
        client.force_login(bob)
        payment = buy(client, "less")
        assert (payment.standing, edition(bob)) == ("held", Edition.FREE)
        page = client.get(page_of(payment)).content.decode()
        assert "€2.50 of €5.00" in page

    def test_what_the_bank_refused_can_be_tried_again(self, client, bob):
        client.force_login(bob)
        payment = buy(client, "refused")
        assert (payment.standing, edition(bob)) == ("failed", Edition.FREE)
        assert "Nothing was charged" in client.get(page_of(payment)).content.decode()

    def test_dispute_won_gives_the_time_back(self, client, bob):
        client.force_login(bob)
        payment = buy(client)
        address = page_of(payment, "try_payment")
        for outcome, expected in (
            ("dispute", Edition.FREE),
            ("won", Edition.PREMIUM),
            ("refund", Edition.FREE),
        ):
            assert client.post(address, {"outcome": outcome}).status_code == 302
            assert edition(bob) is expected
        assert client.post(address, {"outcome": "won"}).status_code == 400
        assert edition(bob) is Edition.FREE

    def test_a_second_month_begins_after_the_first(self, client, bob):
        client.force_login(bob)
        buy(client)
        buy(client)
        first, second = Entitlement.objects.filter(account=bob).order_by("starts_at")
        assert second.starts_at == first.ends_at

    def test_a_receipt_goes_out_by_letter(self, client, bob, django_capture_on_commit_callbacks):
        client.force_login(bob)
        with django_capture_on_commit_callbacks(execute=True):
            payment = buy(client)
        letter = mail.outbox[-1]
        assert letter.to == [bob.email]
        assert payment.number in letter.subject
        assert page_of(payment) in letter.body

    def test_more_payments_ask_the_database_no_more(self, client, bob):
        client.force_login(bob)
        buy(client)
        assert_same_queries(client, "/premium/payments/", lambda: [buy(client) for _ in range(3)])
        assert_same_queries(client, "/premium/", lambda: [buy(client) for _ in range(3)])


class TestForms:
    def test_what_was_typed_stays(self, client):
        answer = client.post(
            CHECKOUT, {"product": "year", "recipient": "email", "email": "alice@", "recipient_email": "bob"}
        )
        html = answer.content.decode()
        assert answer.status_code == 400
        assert 'value="alice@"' in html and 'value="bob"' in html
        assert re.search(r'value="year"[^>]*checked', html)
        assert html.count("not a complete e-mail address") == 2
        assert not Payment.objects.exists()

    @pytest.mark.parametrize(
        "form",
        [
            {"product": ""},
            {"product": "nothing"},
            {"recipient": "everybody"},
            {"recipient": "email"},
            {"recipient_email": "bob\x00@example.org"},
        ],
    )
    def test_hostile_forms_buy_nothing(self, client, bob, form):
        client.force_login(bob)
        assert client.post(CHECKOUT, {**MINE, **form, "total": "0.01"}).status_code == 400
        assert not Payment.objects.exists()

    def test_a_price_sent_along_is_ignored(self, client, bob):
        client.force_login(bob)
        client.post(CHECKOUT, {**MINE, "amount": "0.01", "total": "0.01", "days": "9999"})
        payment = Payment.objects.get()
        assert (str(payment.total), payment.days) == ("5.00", 30)

    def test_who_has_premium_for_good_is_told(self, client, bob):
        Entitlement.objects.create(account=bob, edition="premium", source="staff", reference="thanks")
        client.force_login(bob)
        answer = client.post(CHECKOUT, MINE)
        assert answer.status_code == 400
        assert "for good already" in answer.content.decode()

    def test_a_closed_shop_sells_nothing_but_takes_codes(self, client, bob, staff, settings, shop_closed):
        client.force_login(bob)
        assert client.post(CHECKOUT, MINE).status_code == 503
        assert "Nothing is sold here" in client.get("/premium/").content.decode()
        code = make_codes(count=1, days=30, note="", ends_at=None, by=staff, now=timezone.now())[0]
        client.post("/premium/code/", {"code": shown_code(code)})
        assert edition(bob) is Edition.PREMIUM


@pytest.fixture
def shop_closed(settings):
    settings.SHOP = settings.SHOP.__class__(**{**settings.SHOP.__dict__, "till": "closed"})


class TestForOthers:
    def test_without_an_account_it_waits_for_the_confirmed_address(self, client, mallory):
        payment = buy(client, recipient="buyer", email="Alice@example.org")
        assert payment.buyer is None and payment.account is None
        alice = register("alice@example.org")
        assert give_waiting(account=alice, now=timezone.now()) == 0, "anybody can type an address"
        assert edition(alice) is Edition.FREE
        confirm(alice)
        assert give_waiting(account=alice, now=timezone.now()) == 1
        assert edition(alice) is Edition.PREMIUM
        assert give_waiting(account=alice, now=timezone.now()) == 0

    def test_a_confirmed_account_has_it_at_once(self, client, bob):
        confirm(bob)
        payment = buy(client, recipient="email", recipient_email="bob@EXAMPLE.org", email="alice@example.org")
        assert edition(bob) is Edition.PREMIUM
        refused = Client()
        refused.force_login(bob)
        assert refused.get(page_of(payment)).status_code == 200, "bought by nobody's account"

    def test_confirming_by_the_letter_gives_it(self, client, django_capture_on_commit_callbacks):
        buy(client, recipient="buyer", email="alice@example.org")
        with django_capture_on_commit_callbacks(execute=True):
            alice = register("alice@example.org")
        key = re.search(r"/e-mail/confirm/([^/\s]+)/", mail.outbox[-1].body).group(1)
        client.post(f"/account/e-mail/confirm/{key}/")
        assert edition(alice) is Edition.PREMIUM

    def test_the_answers_do_not_tell_whether_an_address_has_an_account(self, client, bob):
        confirm(bob)
        pages = []
        for address in (bob.email, "alice@example.org"):
            payment = buy(client, recipient="email", recipient_email=address, email="carol@example.org")
            html = client.get(page_of(payment)).content.decode()
            pages.append(html.replace(address, "@").replace(payment.token, "").replace(payment.number, ""))
        cut = [re.sub(r"<time.*?</time>|csrfmiddlewaretoken.*?>|key=[0-9a-f]+", "", page) for page in pages]
        assert cut[0] == cut[1]

    def test_a_payment_is_its_buyers_alone(self, client, bob, mallory, staff):
        client.force_login(bob)
        payment = buy(client)
        for other in (mallory, staff, None):
            stranger = Client()
            if other is not None:
                stranger.force_login(other)
            for path in (page_of(payment), page_of(payment, "try_payment")):
                assert stranger.get(path).status_code == 404
                assert stranger.post(path, {"outcome": "refund"}).status_code in (404, 405)
        assert edition(bob) is Edition.PREMIUM
        assert payment.number not in Client().get("/premium/payments/", follow=True).content.decode()


class TestGiftCodes:
    def test_who_knows_the_token_alone_gets_no_code(self, client, bob, staff):
        """Staff sees tokens of payments in the admin and in the audit record; Stripe has them as well."""
        payment = buy(client, recipient="code", email="carol@example.org")
        page = page_of(payment)
        bare, key = page.split("?key=")
        stranger = Client()
        stranger.force_login(staff)
        for address in (
            bare,
            f"{bare}?key=",
            f"{bare}?key={key[:-1]}",
            f"{bare}?key=%C3%BC",
            f"{bare}?key=%00",
        ):
            assert stranger.get(address).status_code == 404, address
        other = buy(client, recipient="code", email="carol@example.org")
        assert stranger.get(f"{page_of(other).split('?')[0]}?key={key}").status_code == 404
        assert stranger.post(f"{bare}try/", {"outcome": "refund"}).status_code == 404
        assert shown_code(payment.gift_code) in Client().get(page).content.decode()
        kept = [str(row.target) + str(row.detail) for row in AuditRecord.objects.all()]
        assert not any(key in each for each in kept)

    def test_the_pages_of_letters_go_on_with_another_secret(self, client, settings):
        payment = buy(client, recipient="code", email="carol@example.org")
        page, before = page_of(payment), settings.SECRET_KEY
        settings.SECRET_KEY = "another one"  # noqa: S105
        assert client.get(page).status_code == 404
        settings.SECRET_KEY_FALLBACKS = [before]
        assert client.get(page).status_code == 200

    def test_a_bought_code_is_shown_to_its_buyer_and_redeemed_once(self, client, bob, mallory):
        payment = buy(client, recipient="code", email="carol@example.org")
        html = client.get(page_of(payment)).content.decode()
        code = re.search(r'class="secret">([0-9A-Z-]{19})<', html).group(1)
        assert not GiftCode.objects.filter(digest=code).exists(), "the code itself is nowhere in the database"
        player = Client()
        player.force_login(bob)
        assert player.post("/premium/code/", {"code": code.lower()}).status_code == 302
        assert edition(bob) is Edition.PREMIUM
        assert player.post("/premium/code/", {"code": code}).status_code == 302, "again: the same answer"
        assert Entitlement.objects.filter(account=bob).count() == 1
        thief = Client()
        thief.force_login(mallory)
        answer = thief.post("/premium/code/", {"code": code})
        assert answer.status_code == 400 and "used already" in answer.content.decode()
        assert edition(mallory) is Edition.FREE

    def test_a_refunded_code_takes_premium_back_from_who_redeemed_it(self, client, bob):
        payment = buy(client, recipient="code", email="carol@example.org")
        code = shown_code(payment.gift_code)
        player = Client()
        player.force_login(bob)
        player.post("/premium/code/", {"code": code})
        client.post(page_of(payment, "try_payment"), {"outcome": "refund"})
        assert edition(bob) is Edition.FREE

    def test_a_refunded_code_that_nobody_used_is_worthless(self, client, bob):
        payment = buy(client, recipient="code", email="carol@example.org")
        code = shown_code(payment.gift_code)
        client.post(page_of(payment, "try_payment"), {"outcome": "refund"})
        player = Client()
        player.force_login(bob)
        answer = player.post("/premium/code/", {"code": code})
        assert answer.status_code == 400 and "not valid any more" in answer.content.decode()

    def test_codes_of_staff_end_when_they_should(self, client, bob, staff):
        now = timezone.now()
        late = make_codes(count=1, days=30, note="fair", ends_at=now - timedelta(days=1), by=staff, now=now)[
            0
        ]
        client.force_login(bob)
        answer = client.post("/premium/code/", {"code": shown_code(late)})
        assert answer.status_code == 400 and "could be used until" in answer.content.decode()

    def test_another_secret_shows_no_code_but_redeems_it(self, client, bob, staff, settings):
        code = make_codes(count=1, days=None, note="", ends_at=None, by=staff, now=timezone.now())[0]
        printed = shown_code(code)
        settings.SECRET_KEY = "another one"  # noqa: S105
        assert shown_code(code) is None
        player = Client()
        player.force_login(bob)
        player.post("/premium/code/", {"code": printed})
        assert edition(bob) is Edition.PREMIUM

    def test_guessing_is_throttled(self, client, bob):
        client.force_login(bob)
        statuses = [
            client.post("/premium/code/", {"code": "7K2M-9QXA-4DTR-HW3B"}).status_code for _ in range(21)
        ]
        assert statuses[:20] == [400] * 20 and statuses[20] == 429


class TestRest:
    def test_the_shop_is_public(self, call):
        answer = call("GET", "/api/v1/shop/")
        assert answer.status_code == 200
        assert [each["slug"] for each in answer.json()["products"]] == ["month", "year"]
        assert answer.json()["products"][0]["amount"] == "5.00"

    def test_redeeming_by_rest(self, call, bob, staff, token_of):
        code = make_codes(count=1, days=30, note="", ends_at=None, by=staff, now=timezone.now())[0]
        body = {"code": shown_code(code)}
        assert call("POST", "/api/v1/me/gift-codes/", body).status_code == 401
        answer = call("POST", "/api/v1/me/gift-codes/", body, token=token_of(bob))
        assert answer.status_code == 200, answer.content
        assert answer.json()["edition"] == "premium"
        wrong = call("POST", "/api/v1/me/gift-codes/", {"code": "no code"}, token=token_of(bob))
        assert wrong.status_code == 400 and "sixteen" in wrong.json()["errors"]["code"][0]

    def test_payments_are_ones_own(self, client, call, bob, mallory, token_of):
        client.force_login(bob)
        buy(client)
        assert call("GET", "/api/v1/me/payments/").status_code == 401
        mine = call("GET", "/api/v1/me/payments/", token=token_of(bob)).json()
        assert (mine["count"], mine["results"][0]["standing"]) == (1, "paid")
        assert call("GET", "/api/v1/me/payments/", token=token_of(mallory)).json()["count"] == 0


class TestForgetting:
    def test_who_leaves_is_forgotten_in_what_was_bought_without_logging_in_too(self, client, bob):
        """And nobody else is: an address that was never confirmed may be another person's."""
        alice = register("alice@example.org")
        confirm(alice)
        gift = buy(client, recipient="email", recipient_email=alice.email, email="carol@example.org")
        own = buy(client, recipient="buyer", email=alice.email)
        failed = buy(client, "refused", recipient="buyer", email=alice.email)
        bobs = buy(client, recipient="buyer", email=bob.email)
        for account in (alice, bob):
            forget(account, timezone.now())
        for payment in (gift, own, failed, bobs):
            payment.refresh_from_db()
        nobody = FORGOTTEN
        assert (gift.billing_email, gift.recipient_email) == ("carol@example.org", nobody)
        assert (own.billing_email, own.recipient_email) == (nobody, nobody)
        assert (failed.billing_email, failed.recipient_email) == (nobody, nobody)
        assert (bobs.billing_email, bobs.recipient_email) == (bob.email, bob.email), "not confirmed"

    def test_no_letter_goes_to_where_an_address_stood(self):
        assert send_letter(template="shop/email/receipt", to=FORGOTTEN, context={}) is False
        assert mail.outbox == []

    def test_what_was_bought_for_somebody_is_in_their_export(self, client):
        alice = register("alice@example.org")
        confirm(alice)
        gift = buy(client, recipient="email", recipient_email=alice.email, email="carol@example.org")
        (row,) = files_of(alice)["payments_received"]
        assert row["number"] == gift.number and "carol" not in str(row)
