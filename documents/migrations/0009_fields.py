"""The SQL function of fields that are hidden from some callers."""

from django.db import migrations

# documents.hidden.without is the same in Python.
FORWARD = """
CREATE FUNCTION documents_without(v jsonb, path text[], visible boolean) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    IF visible THEN
        RETURN v;
    END IF;
    CASE jsonb_typeof(v)
        WHEN 'object' THEN
            IF cardinality(path) = 1 THEN
                RETURN v - path[1];
            ELSIF v ? path[1] THEN
                RETURN v || jsonb_build_object(
                    path[1], documents_without(v -> path[1], path[2:], false));
            END IF;
            RETURN v;
        WHEN 'array' THEN
            RETURN (
                SELECT coalesce(jsonb_agg(documents_without(e, path, false) ORDER BY n), '[]')
                FROM jsonb_array_elements(v) WITH ORDINALITY AS a(e, n)
            );
        ELSE
            RETURN v;
    END CASE;
END $$;
"""
BACKWARD = "DROP FUNCTION documents_without(jsonb, text[], boolean);"


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0008_transfers")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
