"""Backups: made, copied away, proven by a restore, kept for a while; and the ways back."""
