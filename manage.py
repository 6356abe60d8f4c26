#!/usr/bin/env python
"""Runboard's command line: `manage.py help` lists what it can do."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["up"]:
        start_house()
    else:
        run_command()


def start_house() -> None:
    """Without Django: the supervisor stays small, and the house is up sooner."""
    from config import env
    from workers import supervisor

    sys.exit(supervisor.main(env.house()))


def run_command() -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
