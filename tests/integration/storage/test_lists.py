"""Lists: by path, in pages, folder by folder."""

from typing import Any

import pytest

from tests.integration.storage.conftest import BucketClient, MakeBucket

PATHS = (
    "a.txt",
    "b/1",
    "b/2/x",
    "b/2/y",
    "b/3",
    "c",
    "c/1",
    "\u00e9/1",
    "\u76f8\u518c/1",
    "\U0001f600",
)


@pytest.fixture
def full(bucket: BucketClient) -> BucketClient:
    for path in PATHS:
        assert bucket.put(path, path.encode()).status == 201
    return bucket


def everything(bucket: BucketClient, **query: Any) -> tuple[list[str], list[str]]:
    """All pages together: the items' paths and the prefixes."""
    items: list[str] = []
    prefixes: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = bucket.page(**query, **cursor).json
        items += [item["path"] for item in page["items"]]
        prefixes += page["prefixes"]
        assert len(page["items"]) + len(page["prefixes"]) <= int(query.get("limit", 20))
        if page["next_cursor"] is None:
            return items, prefixes
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 2, 3, 20, 1000])
def test_pages_join_without_gap_or_repeat(full: BucketClient, limit: int) -> None:
    assert everything(full, limit=limit) == (sorted(PATHS, key=str.encode), [])
    assert everything(full, limit=limit, delimiter="/") == (
        ["a.txt", "c", "\U0001f600"],
        ["b/", "c/", "\u00e9/", "\u76f8\u518c/"],
    )
    assert everything(full, limit=limit, delimiter="/", prefix="b/") == (["b/1", "b/3"], ["b/2/"])
    assert everything(full, limit=limit, prefix="b/2") == (["b/2/x", "b/2/y"], [])
    assert everything(full, limit=limit, delimiter="/", prefix="b") == ([], ["b/"])
    assert everything(full, limit=limit, prefix="\u00e9") == (["\u00e9/1"], [])
    assert everything(full, limit=limit, prefix="e\u0301") == (["\u00e9/1"], [])
    assert everything(full, limit=limit, prefix="nothing") == ([], [])


def test_items_are_whole_objects(full: BucketClient) -> None:
    item = full.page(limit=1).json["items"][0]
    assert item["path"] == "a.txt"
    assert item["size"] == 5
    assert item["content_type"] == "text/plain"


def test_a_folder_of_many_objects_is_one_prefix(bucket: BucketClient) -> None:
    from baas.kernel import db

    bucket.put("big/0")
    bucket.put("z")
    db.execute(
        "INSERT INTO storage_object SELECT project_id, bucket, 'big/' || n, version || n, size,"
        " content_type, etag, sha256, owner, metadata, created_at, updated_at"
        " FROM storage_object, generate_series(1, 3000) n"
        " WHERE project_id = %s AND path = 'big/0'",
        (bucket.project.id,),
    )
    page = bucket.page(delimiter="/", limit=2).json
    assert (page["prefixes"], [item["path"] for item in page["items"]]) == (["big/"], ["z"])
    assert page["next_cursor"] is None
    assert len(everything(bucket, limit=1000)[0]) == 3002
    db.execute("DELETE FROM storage_object WHERE project_id = %s", (bucket.project.id,))


def test_a_list_reads_the_index_and_not_the_bucket(make_bucket: MakeBucket) -> None:
    from psycopg import sql as psql

    from baas.kernel import db

    bucket = make_bucket()
    bucket.put("m/1")
    db.execute(
        "INSERT INTO storage_object SELECT project_id, bucket, 'p' || n, version || n, size,"
        " content_type, etag, sha256, owner, metadata, created_at, updated_at"
        " FROM storage_object, generate_series(1, 5000) n"
        " WHERE project_id = %s AND path = 'm/1'",
        (bucket.project.id,),
    )
    db.execute("ANALYZE storage_object")
    plan = db.fetch_all(
        psql.SQL(
            "EXPLAIN SELECT path FROM storage_object WHERE project_id = {} AND bucket = 'photos'"
            " AND path >= 'm/' AND path < 'm0' ORDER BY path LIMIT 21"
        ).format(psql.Literal(bucket.project.id))
    )
    text = "\n".join(row[0] for row in plan)
    assert "Index" in text
    assert "Sort" not in text
    db.execute("DELETE FROM storage_object WHERE project_id = %s", (bucket.project.id,))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 0}, "invalid_limit"),
        ({"limit": 1001}, "invalid_limit"),
        ({"cursor": "@@@"}, "invalid_cursor"),
        ({"cursor": "NQ"}, "invalid_cursor"),
        ({"delimiter": "-"}, "invalid"),
        ({"prefix": "x" * 2000}, "invalid_path"),
        ({"prefix": "\x01"}, "invalid_path"),
    ],
)
def test_it_refuses_wrong_queries(bucket: BucketClient, query: dict[str, Any], code: str) -> None:
    assert bucket.page(**query).code == code
