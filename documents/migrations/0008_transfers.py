"""Imports: how far each upload has come."""

from django.db import migrations

# The position advances in the transaction that stores the documents before it.
FORWARD = """
CREATE TABLE documents_import (
    project_id bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    options jsonb NOT NULL,
    form text,
    position bigint NOT NULL DEFAULT 0,
    imported bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    errors jsonb NOT NULL DEFAULT '[]',
    done boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, id)
);
CREATE INDEX documents_import_updated ON documents_import (updated_at);
"""
BACKWARD = "DROP TABLE documents_import"


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0007_transactions")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
