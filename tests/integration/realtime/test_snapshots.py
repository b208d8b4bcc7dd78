"""Windows as the database has them."""

import pytest

from baas.kernel import db
from baas.kernel.principals import Principal
from baas.kernel.problems import TooLarge
from baas.kernel.projects import by_slug
from documents.access import Caller
from realtime import snapshots
from realtime.frames import Subscribe
from realtime.resolve import resolve
from tests.installation import Client, TestProject


def test_a_window_that_is_too_large_is_refused_and_not_fetched(
    client: Client, project: TestProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = [{"_id": str(n), "text": "x" * 100} for n in range(9)]
    client.post(f"{project.path}/db/c/docs", docs, token=project.secret_key)
    caller = Caller(by_slug(project.slug), Principal(kind="key", project_id=project.id))
    frame = Subscribe(id=1, collection="c", filter=None, sort=["-_id"], limit=9, since=None)
    query = resolve(caller, frame)
    assert [entry.id for entry in snapshots.load(query).entries] == [*"876543210"]

    fetched: list[int] = []
    execute = db.execute

    def counted(*given: object) -> object:
        result = execute(*given)  # type: ignore[arg-type]
        fetched.append(result.rowcount)
        return result

    monkeypatch.setattr(snapshots, "MAX_CHARACTERS", 250)
    monkeypatch.setattr(snapshots.db, "execute", counted)
    with pytest.raises(TooLarge) as refused:
        snapshots.load(query)
    assert refused.value.code == "window_too_large"
    assert max(fetched) == 3
