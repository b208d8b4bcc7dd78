"""A photo album, from an empty server to a working app, in one go.

    python examples/photo_album/run.py --operator .baas/operator.json

Needs a running server (`make up`), httpx, websockets and Pillow. Prints each step with its time
and ends with status 1 at the first thing that is not as it should be.
"""

import argparse
import hashlib
import io
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from baas_client import Client, LiveQuery, Refused

FUNCTIONS = Path(__file__).parent / "functions"
TAKEN = "2026:07:14 18:30:05"


class Album:
    """The steps, in order; each leaves what the next ones need on `self`."""

    def __init__(self, operator: Client, photos: int) -> None:
        self.operator = operator
        self.photos = photos
        self.slug = f"photo-album-{secrets.token_hex(3)}"
        self.base = f"/v1/projects/{self.slug}"

    def create_project(self) -> str:
        made = self.operator.call(
            "POST", "/v1/admin/projects", {"slug": self.slug, "name": "Photo album"}
        )
        self.service = Client(self.operator.url, made["secret_key"])
        return self.slug

    def create_collections(self) -> str:
        mine = "doc.owner == auth.uid"
        closed = {"create": "closed", "update": "closed", "delete": "closed"}
        collections = {
            "photos": {"rules": {"read": mine, **closed}, "indexes": [{"fields": ["owner"]}]},
            "counters": {"rules": {"read": "doc._id == auth.uid", **closed}},
            "counted": {"rules": {"read": "closed", **closed}},
            "jobs": {"rules": {"read": "closed", **closed}},
        }
        for name, body in collections.items():
            self.service.call("PUT", f"{self.base}/collections/{name}", body)
        rules = {
            "read": "object.owner == auth.uid",
            "write": "authenticated",
            "delete": "object.owner == auth.uid",
        }
        bucket = {"rules": rules, "max_size": 10_000_000, "allowed_types": ["image/*"]}
        self.service.call("PUT", f"{self.base}/buckets/photos", bucket)
        return f"{', '.join(collections)} and the bucket photos"

    def deploy(self, name: str, source: str) -> int:
        code = (FUNCTIONS / f"{source}.py").read_text()
        deployed = self.service.call(
            "PUT",
            f"{self.base}/functions/{name}",
            {
                "runtime": "python3",
                "handler": "main.handler",
                "timeout_s": 10,
                "memory_mb": 128,
                "code": {"inline": {"main.py": code}},
            },
        )
        if deployed["state"] != "ready":
            raise AssertionError(f"{name} is {deployed['state']}: {deployed.get('build_log')}")
        return int(deployed["version"])

    def deploy_functions(self) -> str:
        uploads = {"type": "storage", "bucket": "photos", "operations": ["create"]}
        new_photos = {"type": "db", "collection": "photos", "operations": ["create"]}
        jobs = {"type": "db", "collection": "jobs", "operations": ["create"]}
        plan: list[tuple[str, str, dict[str, Any], int]] = [
            ("index-photo", "index_photo", uploads, 5),
            ("count-photos", "count_photos", new_photos, 5),
            ("flaky", "flaky", jobs, 5),
            ("broken", "broken", jobs, 2),
        ]
        for name, source, event_source, attempts in plan:
            self.deploy(name, source)
            retry = {"max_attempts": attempts, "max_age_s": 600, "backoff_s": 0.2}
            self.service.call(
                "PUT",
                f"{self.base}/triggers/on-{name}",
                {"function": name, "source": event_source, "retry": retry},
            )
        return ", ".join(name for name, *_ in plan)

    def sign_up_users(self) -> str:
        self.users: dict[str, Client] = {}
        self.uids: dict[str, str] = {}
        for name in ("alice", "bob"):
            anonymous = Client(self.operator.url)
            session = anonymous.call(
                "POST",
                f"{self.base}/auth/sign-up",
                {"email": f"{name}@example.com", "password": secrets.token_urlsafe(12)},
            )
            self.users[name] = Client(self.operator.url, session["access_token"])
            self.uids[name] = session["user"]["id"]
            self.service.call(
                "PUT", f"{self.base}/db/counters/docs/{self.uids[name]}", {"photos": 0}
            )
        return "alice and bob"

    def subscribe(self) -> str:
        token = self.users["alice"].token
        assert token is not None
        self.live = LiveQuery(self.operator.url + self.base, token, "photos")
        self.live.start()
        if not self.live.ready.wait(30):
            raise AssertionError("no snapshot within 30 s")
        return f"snapshot of {len(self.live.docs)} photos"

    def upload(self) -> str:
        self.files: dict[str, bytes] = {}
        for number in range(self.photos):
            path = f"{self.uids['alice']}/holiday-{number}.jpg"
            data = self.files[path] = jpeg(640 + 16 * number, 480, number)
            address = f"{self.base}/storage/photos/objects/{path}"
            alice = self.users["alice"]
            if number % 2:
                # The way of mini programs: a form with one file.
                alice.call("POST", address, files={"file": ("photo.jpg", data, "image/jpeg")})
            else:
                alice.call("PUT", address, content=data, headers={"Content-Type": "image/jpeg"})
        return f"{len(self.files)} JPEGs, {sum(map(len, self.files.values())) // 1024} KiB"

    def see_changes(self) -> str:
        self.wait("all photos on the websocket", lambda: len(self.live.docs) == self.photos)
        for doc in self.live.docs.values():
            data = self.files[doc["path"]]
            with Image.open(io.BytesIO(data)) as image:
                wanted = {
                    "width": image.width,
                    "height": image.height,
                    "taken": TAKEN,
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "bytes": len(data),
                }
            got = {name: doc[name] for name in wanted}
            if got != wanted:
                raise AssertionError(f"{doc['path']} is described as {got}, not {wanted}")
        return f"{len(self.live.docs)} photos described, with size, EXIF date and SHA-256"

    def count(self) -> str:
        alice, uid = self.users["alice"], self.uids["alice"]
        address = f"{self.base}/db/counters/docs/{uid}"
        self.wait("the counter", lambda: alice.call("GET", address)["photos"] == self.photos)
        return f"alice's counter is {self.photos}"

    def refuse_bob(self) -> str:
        bob = self.users["bob"]
        photo = next(iter(self.live.docs.values()))
        for address in (
            f"{self.base}/db/photos/docs/{photo['_id']}",
            f"{self.base}/storage/photos/objects/{photo['path']}",
        ):
            try:
                bob.call("GET", address)
            except Refused as refusal:
                if refusal.status != 404:
                    raise
            else:
                raise AssertionError(f"bob can read {address}")
        seen = bob.call("POST", f"{self.base}/db/photos/query", {"filter": {}})["items"]
        if seen:
            raise AssertionError(f"bob sees {len(seen)} photos")
        mine = self.users["alice"].call(
            "GET", f"{self.base}/storage/photos/objects/{photo['path']}"
        )
        if mine != self.files[photo["path"]]:
            raise AssertionError("alice does not get back what she uploaded")
        return "404 for the document, 404 for the picture, an empty list; alice gets hers"

    def retry(self) -> str:
        self.service.call("POST", f"{self.base}/db/jobs/docs", {"_id": "job-1"})
        delivery = self.delivery("flaky", "succeeded")
        if delivery["attempts"] < 3:
            raise AssertionError(f"flaky succeeded after {delivery['attempts']} attempts")
        return f"succeeded at attempt {delivery['attempts']}"

    def dead_letter(self) -> str:
        delivery = self.delivery("broken", "dead")
        return f"dead after {delivery['attempts']} attempts: {delivery['errors'][-1]['message']}"

    def redrive(self) -> str:
        version = self.deploy("broken", "fixed")
        self.service.call("POST", f"{self.base}/deliveries:redrive", {"function": "broken"})
        self.delivery("broken", "succeeded")
        return f"succeeded with version {version}"

    def delivery(self, function: str, state: str) -> dict[str, Any]:
        """The function's one delivery, once it is in this state."""
        address = f"{self.base}/deliveries?function={function}&state={state}"
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = self.service.call("GET", address)["items"]
            return bool(found)

        self.wait(f"a {state} delivery of {function}", there)
        return found[0]

    def wait(self, what: str, condition: Callable[[], bool], patience_s: float = 90) -> None:
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {patience_s:.0f} s")
            time.sleep(0.02)

    def run(self) -> None:
        began = time.monotonic()
        steps: list[tuple[str, Callable[[], str]]] = [
            ("create a project", self.create_project),
            ("collections, rules, bucket", self.create_collections),
            ("functions and triggers", self.deploy_functions),
            ("users sign up", self.sign_up_users),
            ("alice subscribes", self.subscribe),
            ("alice uploads", self.upload),
            ("alice sees the changes", self.see_changes),
            ("the counter follows", self.count),
            ("bob is refused", self.refuse_bob),
            ("a crash is retried", self.retry),
            ("a failure ends as dead letter", self.dead_letter),
            ("fixed and redriven", self.redrive),
        ]
        for name, step in steps:
            start = time.monotonic()
            result = step()
            print(f"{(time.monotonic() - start) * 1000:7.0f} ms  {name}: {result}", flush=True)
        self.live.stop()
        print(f"done in {time.monotonic() - began:.1f} s")


def jpeg(width: int, height: int, seed: int) -> bytes:
    """A real JPEG with a colour gradient and an EXIF date."""
    image = Image.new("RGB", (width, height))
    image.putdata(
        [
            ((x + seed * 40) % 256, y % 256, (x * y) % 256)
            for y in range(height)
            for x in range(width)
        ]
    )
    exif = Image.Exif()
    exif[0x0132] = TAKEN
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85, exif=exif)
    return out.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--operator", type=Path, default=Path(".baas/operator.json"))
    parser.add_argument("--photos", type=int, default=4)
    options = parser.parse_args()
    operator = json.loads(options.operator.read_text())
    album = Album(Client(operator["url"], operator["token"]), options.photos)
    try:
        album.run()
    except (AssertionError, Refused) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
