"""Tables of accounts: fields and constraints only."""

from accounts.models.account import Account, AccountManager
from accounts.models.audit import AuditRecord
from accounts.models.ledger import Entitlement

__all__ = ["Account", "AccountManager", "AuditRecord", "Entitlement"]
