"""The events log: partitioned by day, so that retention is a DROP."""

from django.db import migrations

FORWARD = """
CREATE SEQUENCE kernel_event_seq CACHE 1;
CREATE TABLE kernel_event (
    seq bigint NOT NULL DEFAULT nextval('kernel_event_seq'),
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    project_id bigint NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    subject text NOT NULL,
    time timestamptz NOT NULL DEFAULT now(),
    data jsonb NOT NULL,
    depth smallint NOT NULL DEFAULT 0,
    traceparent text NOT NULL,
    partition_key text,
    ce_id text,
    extensions jsonb
) PARTITION BY RANGE (time);
ALTER SEQUENCE kernel_event_seq OWNED BY kernel_event.seq;
-- How readers go through it (events.log.READ).
CREATE INDEX kernel_event_order ON kernel_event (xid, seq);
-- How people look at it (GET P/events).
CREATE INDEX kernel_event_project ON kernel_event (project_id, seq);
CREATE TABLE kernel_event_default PARTITION OF kernel_event DEFAULT;

-- Readers that must not miss anything keep their position here; retention waits for them.
CREATE TABLE kernel_eventreader (
    name text PRIMARY KEY,
    xid xid8 NOT NULL,
    seq bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
"""
BACKWARD = "DROP TABLE kernel_eventreader; DROP TABLE kernel_event;"


class Migration(migrations.Migration):
    dependencies = [("kernel", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
