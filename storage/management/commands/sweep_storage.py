"""`manage.py sweep_storage`: what the hourly sweep does, now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from storage.sweeps import ORPHAN_AGE_S, sweep


class Command(BaseCommand):
    help = "Remove bytes that no object names, and report objects without bytes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=float,
            default=ORPHAN_AGE_S,
            metavar="SECONDS",
            help="age of orphans",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = sweep(options["older_than"])
        self.stdout.write(
            f"{found.orphans} orphans removed ({found.orphan_bytes} bytes),"
            f" {found.unfinished} unfinished uploads removed"
        )
        for key in found.missing:
            self.stderr.write(f"no bytes: {key}")
        if found.missing:
            raise SystemExit(1)
