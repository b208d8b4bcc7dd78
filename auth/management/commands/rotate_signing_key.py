"""`manage rotate_signing_key <project>`: sign its access tokens with a new key from now on."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from auth import signing_keys
from baas.kernel import projects
from baas.kernel.problems import NotFound


class Command(BaseCommand):
    help = "Sign a project's access tokens with a new key; tokens that are out stay valid."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("project", help="the project's slug")

    def handle(self, *args: Any, project: str, **options: Any) -> None:
        try:
            kid = signing_keys.rotate(projects.by_slug(project).id)
        except NotFound as error:
            raise CommandError(error.detail) from error
        self.stdout.write(f"{project} signs with key {kid}")
