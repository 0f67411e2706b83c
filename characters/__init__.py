"""The character repository: the one home of characters."""
