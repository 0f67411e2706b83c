"""What the shop holds of a person: their payments and gift codes, for the export; and how it forgets them.

Books have to be kept, so payments stay; the addresses on them do not.
"""

from datetime import datetime

from allauth.account.models import EmailAddress

from accounts.models import Account, GiftCode, Payment
from accounts.personal_data import Holding, Rows, hold

FORGOTTEN = "deleted@invalid.invalid"  # RFC 2606: nobody's


def files_of(account: Account) -> dict[str, Rows]:
    """Return what there is of an account, as files of the export."""
    return {
        "payments": (
            {
                "number": payment.number,
                "what": payment.description,
                "total": str(payment.total),
                "currency": payment.currency,
                "standing": payment.standing,
                "receipt_to": payment.billing_email,
                "for": payment.recipient_email,
                "begun_at": payment.created,
                "paid_at": payment.paid_at,
            }
            for payment in Payment.objects.filter(buyer=account).iterator()
        ),
        "payments_received": (
            {
                "number": payment.number,
                "what": payment.description,
                "standing": payment.standing,
                "for": payment.recipient_email,
                "paid_at": payment.paid_at,
            }
            for payment in Payment.objects.filter(account=account).exclude(buyer=account).iterator()
        ),
        "gift_codes": (
            {"code": str(code.uid), "days": code.days, "redeemed_at": code.redeemed_at}
            for code in GiftCode.objects.filter(redeemed_by=account).iterator()
        ),
    }


def forget(account: Account, now: datetime) -> None:
    """Take addresses off the account's payments, and off those that its person made without logging in.

    By confirmed addresses only: any other one may be somebody else's.
    """
    confirmed = EmailAddress.objects.filter(user=account, verified=True).values_list("email", flat=True)
    own = [address.lower() for address in confirmed]
    Payment.objects.filter(buyer=None, billing_email__in=own).update(billing_email=FORGOTTEN)
    Payment.objects.filter(account=None, recipient_email__in=own).update(recipient_email=FORGOTTEN)
    Payment.objects.filter(buyer=account).update(billing_email=FORGOTTEN)
    Payment.objects.filter(account=account).exclude(recipient_email="").update(recipient_email=FORGOTTEN)


hold(Holding("shop", files_of, forget))
