import argparse
import json
import secrets

from django.core.management.base import BaseCommand

from baas.kernel import operators
from baas.kernel.models import Operator


class Command(BaseCommand):
    help = "Create an operator with a random password; prints it with a token as JSON."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--email", default="operator@localhost.local")
        parser.add_argument(
            "--if-missing", action="store_true", help="do nothing when there is any operator"
        )

    def handle(self, *, email: str, if_missing: bool, **options: object) -> None:
        if if_missing and Operator.objects.exists():
            return
        password = secrets.token_urlsafe(18)
        operator = operators.create(email=email, password=password)
        _, token = operators.create_token(operator, name="first start")
        self.stdout.write(json.dumps({"email": email, "password": password, "token": token}))
