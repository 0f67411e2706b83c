#!/usr/bin/env python3
"""The one entry: `up`, `test`, `check-all`, and Django's commands.

It runs on any Python 3 (so that an old one gets a plain answer) and with nothing installed: the bootstrap
makes the virtual environment and starts this file again inside it.
"""

import os
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))


def main():
    if sys.version_info < (3, 11):
        found = ".".join(str(part) for part in sys.version_info[:3])
        sys.exit("Waystone needs Python 3.11 or newer; this is %s (%s)." % (found, sys.executable))
    sys.path[:0] = [ROOT, os.path.join(ROOT, "platform"), os.path.join(ROOT, "clients", "python")]
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "waystone.settings")
    from waystone import bootstrap  # noqa: PLC0415  (an old Python could not even read it)

    bootstrap.enter_environment(sys.argv)
    from waystone import entry  # noqa: PLC0415  (it needs the environment that the line above entered)

    sys.exit(entry.main(sys.argv))


if __name__ == "__main__":
    main()
