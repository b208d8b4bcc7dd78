"""Interactive transactions: their calls so far, and the time that they all see."""

from django.db import migrations

# The time of a write, with the milliseconds that the wire has. In an interactive transaction it is
# that of the call when it was made first (see documents/transactions/replay.py).
#
# The calls are UNLOGGED: a transaction lives for seconds, and a crash of PostgreSQL ends all of
# them alike, as it would end sessions. Nothing of them needs to reach a disk before the commit;
# for the same reason the project is no foreign key, whose check would lock (and log) its row.
DEFAULTS = """
DO $$
DECLARE
    it record;
BEGIN
    FOR it IN
        SELECT DISTINCT n.nspname, c.relname FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'updated_at' AND a.atthasdef
        WHERE c.relkind = 'r' AND n.nspname ~ '^p_[0-9]+$'
    LOOP
        EXECUTE format(
            'ALTER TABLE %I.%I ALTER created_at SET DEFAULT {now},'
            ' ALTER updated_at SET DEFAULT {now}', it.nspname, it.relname);
    END LOOP;
END $$;
"""
FORWARD = """
CREATE FUNCTION documents_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
RETURN coalesce(
    nullif(current_setting('baas.now', true), '')::timestamptz, date_trunc('milliseconds', now())
);

CREATE UNLOGGED TABLE documents_transaction (
    id text COLLATE "C" PRIMARY KEY,
    project_id bigint NOT NULL,
    identity text NOT NULL,
    expires_at timestamptz NOT NULL,
    calls integer NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
);
CREATE INDEX documents_transaction_expiry ON documents_transaction (expires_at);
CREATE INDEX documents_transaction_project ON documents_transaction (project_id, identity);

CREATE UNLOGGED TABLE documents_transactioncall (
    transaction_id text COLLATE "C" NOT NULL REFERENCES documents_transaction ON DELETE CASCADE,
    number integer NOT NULL,
    request bytea NOT NULL,
    body bytea NOT NULL,
    now timestamptz NOT NULL,
    seed bytea NOT NULL,
    outcome bytea NOT NULL,
    refused boolean NOT NULL,
    idempotency_key text,
    reply bytea,
    PRIMARY KEY (transaction_id, number)
);
""" + DEFAULTS.replace("{now}", "documents_now()")
BACKWARD = (
    DEFAULTS.replace("{now}", "date_trunc(''milliseconds'', now())")
    + """
DROP TABLE documents_transactioncall, documents_transaction;
DROP FUNCTION documents_now();
"""
)


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0006_collections")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
