"""Importing: an upload becomes documents, a batch at a time.

A batch and the position behind it commit together. Whatever interrupts an import (the network, a
killed process), what is before the position is stored exactly once and nothing behind it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final

import psycopg
from django.db import DatabaseError, transaction

from baas.kernel import config_cache, locks
from baas.kernel.events import Event, emit
from baas.kernel.problems import Malformed, Problem, TooLarge
from baas.kernel.projects import ProjectConfig
from documents import collections, values
from documents.schemas import Validator
from documents.transfer import items, metrics, progress, splitter, uploads, writes
from documents.transfer.items import Item
from documents.transfer.progress import MAX_ERRORS, Progress
from documents.transfer.splitter import Piece
from documents.transfer.writes import Mode, Written

IMPORTED: Final = "baas.db.collection.imported"
BATCH: Final = 2000  # documents
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
_WAIT_S: Final = 10  # for a request of the same import that is still there
_ATTEMPTS: Final = 4
_MAX_SPACE: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    collection: str | None = None  # None: each line names its own
    mode: Mode = "insert"
    announce: bool = False  # an event for each document

    def as_dict(self) -> dict[str, Any]:
        return {"collection": self.collection, "mode": self.mode, "events": self.announce}


def run(
    project: ProjectConfig,
    import_id: str | None,
    options: Options,
    chunks: Iterable[bytes],
    offset: int,
) -> Progress:
    """Import the upload whose bytes from `offset` on are the chunks; those done before are skipped.

    Documents that cannot be stored are counted and named in `errors`. Raises Malformed when the
    upload breaks off or is no JSON array although it begins like one, with the progress as
    members; Conflict `import_in_progress`; Invalid `import_mismatch`.
    """
    begun = progress.begin(project.id, import_id, options.as_dict())
    with locks.held(lock_number(project.id, begun.id), wait_s=_WAIT_S, busy=progress.in_progress):
        begun = progress.get(project.id, begun.id)
        if begun.done:
            return begun
        if offset > begun.position:
            raise Malformed(
                f"The import is at byte {begun.position}: send the upload from there on, or from"
                " any byte before.",
                code="invalid_offset",
                members=begun.as_dict(),
            )
        run = _Import(project, options, begun)
        try:
            run.take(uploads.behind(chunks, begun.position - offset))
        except Problem as problem:
            problem.members |= run.progress.as_dict()
            raise
        return run.progress


def lock_number(project_id: int, import_id: str) -> int:
    digest = blake2b(f"import:{project_id}:{import_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    number: int
    end: int
    id: str | None
    problem: Problem

    def as_dict(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"number": self.number, "position": self.end}
        if self.id is not None:
            shown["_id"] = self.id
        shown |= {"code": self.problem.code, "detail": self.problem.detail[:500]}
        if self.problem.errors:
            shown["errors"] = [
                {"field": e.field, "code": e.code, "detail": e.detail}
                for e in self.problem.errors[:10]
            ]
        return shown


class _Import:
    """One request's part of an import."""

    def __init__(self, project: ProjectConfig, options: Options, begun: Progress) -> None:
        self.progress = begun  # as stored
        self._project = project
        self._options = options
        self._form = begun.form
        self._number = begun.read
        self._begin_batch()

    def _begin_batch(self) -> None:
        self._items: dict[str, list[Item]] = {}  # by collection
        self._failures: list[_Failure] = []
        self._count = self._size = 0
        self._end = self.progress.position

    def take(self, chunks: Iterable[bytes]) -> None:
        try:
            for piece in self._pieces(chunks):
                self._add(piece)
                if self._count >= BATCH or self._size >= MAX_BATCH_BYTES:
                    self._store()
        except Malformed:
            self._store()  # what came before is whole
            raise
        self._store(done=True)

    def _pieces(self, chunks: Iterable[bytes]) -> Iterator[Piece]:
        begun = self.progress
        cutter = splitter.resume(begun.form, begun.position) if begun.form is not None else None
        start = b""
        try:
            for chunk in chunks:
                data, start = start + chunk, b""
                cutter = cutter or splitter.begin(data)
                if cutter is None and len(data) <= _MAX_SPACE:
                    start = data
                    continue
                cutter = cutter or splitter.Lines()
                self._form = cutter.form
                yield from cutter.feed(data)
            if cutter is not None:
                yield from cutter.finish()
        except ValueError as error:
            raise Malformed(
                f"The upload begins like a JSON array, but {error}.", code="malformed_json"
            ) from error

    def _add(self, piece: Piece) -> None:
        self._end = piece.end
        self._number += 1
        document: Any = None
        try:
            if piece.text is None:
                raise TooLarge("The document is far too long.", code="document_too_large")
            name = self._options.collection
            if name is not None:
                document = values.parse_body(piece.text)
            else:
                name, document = items.parse(piece.text)
                if name is None:  # the end of our own export
                    self._number -= 1
                    return
                collections.check_name(name)
            item = items.item(document, piece.text, self._number, piece.end, self._validator(name))
        except Problem as problem:
            id = document.get("_id") if isinstance(document, dict) else None
            self._fail(piece.end, id if isinstance(id, str) else None, problem)
            return
        self._items.setdefault(name, []).append(item)
        self._count += 1
        self._size += len(piece.text)

    def _validator(self, name: str) -> Validator | None:
        found = collections.find(self._project.id, name)
        return found.validator if found is not None else None

    def _fail(self, end: int, id: str | None, problem: Problem) -> None:
        self._count += 1
        self._failures.append(_Failure(number=self._number, end=end, id=id, problem=problem))

    def _store(self, *, done: bool = False) -> None:
        """Commit the batch with the position behind it; try again when others are in its way."""
        if self._end == self.progress.position and not done:
            return
        for attempt in range(_ATTEMPTS):
            try:
                with transaction.atomic():
                    after = self._write(done)
            except (psycopg.Error, DatabaseError) as error:
                if attempt == _ATTEMPTS - 1 or not _may_pass(error):
                    raise
                # A collection may have been removed behind our cache's back.
                config_cache.forget(self._project.id)
            else:
                metrics.IMPORTED.inc(after.imported - self.progress.imported)
                self.progress = after
                self._begin_batch()
                return

    def _write(self, done: bool) -> Progress:
        failures = list(self._failures)
        written = Written()

        def failed(item: Item, problem: Problem) -> None:
            failures.append(_Failure(number=item.number, end=item.end, id=item.id, problem=problem))

        for name, its in self._items.items():
            collection = collections.make(self._project.id, name)
            part = writes.write(
                collection, its, self._options.mode, failed, announce=self._options.announce
            )
            written.imported += part.imported
            written.skipped += part.skipped
            if part.imported and not self._options.announce:
                self._tell(name, part.imported)
        failures.sort(key=lambda failure: failure.number)
        room = MAX_ERRORS - len(self.progress.errors)
        after = replace(
            self.progress,
            form=self._form,
            position=self._end,
            imported=self.progress.imported + written.imported,
            skipped=self.progress.skipped + written.skipped,
            failed=self.progress.failed + len(failures),
            errors=self.progress.errors + [failure.as_dict() for failure in failures[:room]],
            done=done,
        )
        progress.advance(self.progress, after)
        return after

    def _tell(self, name: str, count: int) -> None:
        """One event for the batch: live queries look at the collection again."""
        emit(
            Event(
                type=IMPORTED,
                project_id=self._project.id,
                source=f"/projects/{self._project.slug}/db/{name}",
                subject=name,
                data={"object": {"import_id": self.progress.id, "imported": count}},
            )
        )


def _may_pass(error: Exception) -> bool:
    cause = error.__cause__ if isinstance(error, DatabaseError) else error
    return isinstance(
        cause,
        psycopg.errors.UndefinedTable
        | psycopg.errors.DeadlockDetected
        | psycopg.errors.SerializationFailure,
    )
