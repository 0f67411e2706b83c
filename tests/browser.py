"""Finds the Chromium that browser tests drive."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str:
    """Return the path of an installed Chromium.

    Raises: AssertionError: there is none; says how to get one.
    """
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    assert found, "Browser tests need Chromium. As root: apt-get update && apt-get install chromium"
    return found
