#!/usr/bin/env python3
"""The one entry: `up`, `test`, and Django's commands."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT / "platform"), str(ROOT / "clients" / "python")]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
