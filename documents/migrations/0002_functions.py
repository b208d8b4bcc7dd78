"""SQL functions of the query language. What they mean is said in documents/query/."""

from django.db import migrations

# documents_sort_text and documents_sort_number are the order of values across types
# (documents.query.sort.key is the same in Python); indexes are built on them, so their meaning
# can never change: a new meaning needs a new name. They are plain expressions, so the planner
# puts them in line. The number is 0, not NULL, for what is none: an equality then fixes both
# columns of an index, and the next field of the index can give the order.
FORWARD = """
CREATE FUNCTION documents_sort_text(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'number' THEN '2'
    WHEN 'string' THEN '3' || (v #>> '{}')
    WHEN 'object' THEN coalesce('9' || (v ->> '$date'), '4')
    WHEN 'array' THEN CASE WHEN v = '[]'::jsonb THEN '0' ELSE '5' END
    WHEN 'boolean' THEN '8' || (v #>> '{}')
    ELSE '1'
END;

CREATE FUNCTION documents_sort_number(v jsonb) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v) WHEN 'number' THEN v::numeric ELSE 0 END;

-- Every value that a dotted path reaches, arrays on the way traversed as in MongoDB; a NULL for
-- each place where the path ends in nothing. (documents.query.paths.reach in Python.)
CREATE FUNCTION documents_reach(v jsonb, path text[]) RETURNS SETOF jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    step text;
    item jsonb;
    numeric_step boolean;
BEGIN
    IF cardinality(path) = 0 THEN
        RETURN NEXT v;
        RETURN;
    END IF;
    step := path[1];
    CASE jsonb_typeof(v)
        WHEN 'object' THEN
            IF v ? step THEN
                RETURN QUERY SELECT documents_reach(v -> step, path[2:]);
            ELSE
                RETURN NEXT NULL::jsonb;
            END IF;
        WHEN 'array' THEN
            numeric_step := step ~ '^(0|[1-9][0-9]{0,8})$';
            IF numeric_step AND step::int < jsonb_array_length(v) THEN
                RETURN QUERY SELECT documents_reach(v -> step::int, path[2:]);
            END IF;
            FOR item IN SELECT e FROM jsonb_array_elements(v) AS a(e) LOOP
                IF jsonb_typeof(item) = 'object' AND (item ? step OR NOT numeric_step) THEN
                    RETURN QUERY SELECT documents_reach(item, path);
                END IF;
            END LOOP;
        ELSE
            RETURN NEXT NULL::jsonb;
    END CASE;
END $$;

-- What a document is sorted by when there are arrays: its lowest (or highest) reached value.
CREATE FUNCTION documents_sort_value(v jsonb, path text[], highest boolean) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    chosen jsonb;
BEGIN
    IF highest THEN
        SELECT e INTO chosen FROM documents_reach(v, path) AS r(x), LATERAL (
            SELECT e FROM jsonb_array_elements(
                CASE WHEN jsonb_typeof(x) = 'array' THEN x ELSE '[]' END) AS a(e)
            UNION ALL SELECT x WHERE jsonb_typeof(x) IS DISTINCT FROM 'array' OR x = '[]'
        ) AS c ORDER BY documents_sort_text(e) COLLATE "C" DESC, documents_sort_number(e) DESC
        LIMIT 1;
    ELSE
        SELECT e INTO chosen FROM documents_reach(v, path) AS r(x), LATERAL (
            SELECT e FROM jsonb_array_elements(
                CASE WHEN jsonb_typeof(x) = 'array' THEN x ELSE '[]' END) AS a(e)
            UNION ALL SELECT x WHERE jsonb_typeof(x) IS DISTINCT FROM 'array' OR x = '[]'
        ) AS c ORDER BY documents_sort_text(e) COLLATE "C", documents_sort_number(e)
        LIMIT 1;
    END IF;
    RETURN chosen;
END $$;
"""
BACKWARD = """
DROP FUNCTION documents_sort_value(jsonb, text[], boolean);
DROP FUNCTION documents_reach(jsonb, text[]);
DROP FUNCTION documents_sort_number(jsonb);
DROP FUNCTION documents_sort_text(jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
