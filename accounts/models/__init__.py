"""Tables of accounts: fields and constraints only."""

from accounts.models.account import Account, AccountManager
from accounts.models.api_token import ApiToken
from accounts.models.audit import AuditRecord
from accounts.models.leaving import Leaving
from accounts.models.ledger import Entitlement
from accounts.models.shop import GiftCode, Payment, PaymentNotice

__all__ = [
    "Account",
    "AccountManager",
    "ApiToken",
    "AuditRecord",
    "Entitlement",
    "GiftCode",
    "Leaving",
    "Payment",
    "PaymentNotice",
]
