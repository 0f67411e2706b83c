"""Accounts: people, their e-mail and password, editions from a ledger of entitlements, the audit record."""
