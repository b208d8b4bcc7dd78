"""The log's door for people and functions: custom events in, all events out."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import psycopg
from django.db import transaction
from psycopg import sql

from baas.kernel import context, db
from baas.kernel.events import Event, emit
from baas.kernel.events.log import SELECT
from baas.kernel.problems import Invalid
from baas.kernel.projects import ProjectConfig
from functions.events import envelope
from functions.events.cloudevents import CustomEvent


def publish(project: ProjectConfig, events: Sequence[CustomEvent]) -> None:
    """Append the events to the log, all or none. Raises Invalid for text that cannot be stored.

    They get the depth of the caller, so that functions which start one another end at the cap.
    """
    here = context.current()
    try:
        with transaction.atomic():
            for event in events:
                with context.use(
                    context.Context(
                        depth=here.depth,
                        traceparent=context.accept_traceparent(event.traceparent)
                        if event.traceparent
                        else here.traceparent,
                    )
                ):
                    emit(
                        Event(
                            type=event.type,
                            project_id=project.id,
                            source=event.source,
                            subject=event.subject,
                            data=event.data,
                            id=event.id,
                            time=event.time,
                            partition_key=event.partition_key,
                            extensions=event.extensions,
                        )
                    )
    except psycopg.DataError as error:
        raise Invalid(
            "The data of an event has text that cannot be stored (\\u0000).", code="invalid_event"
        ) from error


def find(
    project: ProjectConfig,
    *,
    type: str | None,
    subject: str | None,
    since: datetime | None,
    before: int | None,
    limit: int,
) -> tuple[list[orjson.Fragment], int | None]:
    """The newest events first (as JSON), those before the sequence number `before`; where to go on.

    `type` may end in `*`; `subject` may too.
    """
    values: dict[str, Any] = {
        "project": project.id, "since": since, "before": before, "limit": limit + 1,
    }  # fmt: skip
    conditions: list[sql.Composable] = [sql.SQL("project_id = %(project)s")]
    for column, pattern in (("type", type), ("subject", subject)):
        if pattern is None:
            continue
        # A parameter: in a literal, a `%s` of the caller would be taken for a placeholder.
        name, value = sql.Identifier(column), sql.Placeholder(column)
        if pattern.endswith("*"):
            values[column] = pattern[:-1]
            conditions.append(sql.SQL("starts_with({}, {})").format(name, value))
        else:
            values[column] = pattern
            conditions.append(sql.SQL("{} = {}").format(name, value))
    if since is not None:
        conditions.append(sql.SQL("time >= %(since)s"))
    if before is not None:
        conditions.append(sql.SQL("seq < %(before)s"))
    query = sql.SQL("{} WHERE {} ORDER BY seq DESC LIMIT %(limit)s").format(
        sql.SQL(SELECT), sql.SQL(" AND ").join(conditions)
    )
    rows = db.fetch_all(query, values)
    more = rows[limit - 1][1] if len(rows) > limit else None
    return [orjson.Fragment(envelope.from_log(row, project.slug)) for row in rows[:limit]], more
