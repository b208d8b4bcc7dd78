"""The order of all values as one text, and objects in sorts and indexes by what they contain."""

from django.db import migrations

# documents/query/order.py says how the texts are made and is the same in Python. They are compared
# under COLLATE "C". chr(1) and chr(2) end and continue what stands inside of arrays and objects.
ORDER = """
CREATE FUNCTION documents_order_number(n numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE sign(n)
    WHEN 0 THEN 'b'
    WHEN 1 THEN 'c' || lpad((500000 + documents_exponent(n::text))::text, 6, '0')
        || trim(BOTH '0' FROM replace(n::text, '.', '')) || '!'
    ELSE 'a' || lpad((499999 - documents_exponent(ltrim(n::text, '-')))::text, 6, '0')
        || translate(trim(BOTH '0' FROM replace(ltrim(n::text, '-'), '.', '')),
            '0123456789', '9876543210') || '~'
END;

-- (An index is built under a search path that would not find the functions that this one calls.)
CREATE FUNCTION documents_order_part(v jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
DECLARE
    parts text;
BEGIN
    CASE jsonb_typeof(v)
        WHEN 'number' THEN
            RETURN '2' || documents_order_number(v::numeric);
        WHEN 'string' THEN
            RETURN '3' || replace(v #>> '{}', chr(1), chr(1) || chr(2)) || chr(1) || chr(1);
        WHEN 'object' THEN
            IF documents_is_plain(v) THEN
                SELECT string_agg(chr(2) || documents_order_tag(e.value)
                        || replace(e.key, chr(1), chr(1) || chr(2)) || chr(1) || chr(1)
                        || documents_order_part(e.value), '' ORDER BY e.key COLLATE "C")
                    INTO parts FROM jsonb_each(v) AS e;
                RETURN '4' || coalesce(parts, '') || chr(1);
            ELSIF v ? '$date' THEN
                RETURN '9' || (v ->> '$date');
            END IF;
            RETURN '6' || lpad(length(decode(v #>> '{$binary,base64}', 'base64'))::text, 10, '0')
                || (v #>> '{$binary,subType}')
                || encode(decode(v #>> '{$binary,base64}', 'base64'), 'hex');
        WHEN 'array' THEN
            SELECT string_agg(chr(2) || documents_order_part(a.e), '' ORDER BY a.n)
                INTO parts FROM jsonb_array_elements(v) WITH ORDINALITY AS a(e, n);
            RETURN '5' || coalesce(parts, '') || chr(1);
        WHEN 'boolean' THEN
            RETURN '8' || (v #>> '{}');
        ELSE
            RETURN '1';
    END CASE;
END $$;

-- The order of all values, SQL's NULL (missing) before null.
CREATE FUNCTION documents_order_text(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'number' THEN '2' || documents_order_number(v::numeric)
    WHEN 'string' THEN '3' || (v #>> '{}')
    WHEN 'null' THEN '1'
    WHEN 'boolean' THEN '8' || (v #>> '{}')
    WHEN 'object' THEN coalesce('9' || (v ->> '$date'), documents_order_part(v))
    WHEN 'array' THEN documents_order_part(v)
    ELSE '0'
END;

-- As documents_sort_text, but arrays by what they contain: for sorts that no index answers. What
-- stands before everything is the lowest value of an empty array.
CREATE FUNCTION documents_rank_text(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'array' THEN documents_order_part(v)
    WHEN 'object' THEN CASE WHEN v ? '$minKey' THEN '0' ELSE documents_sort_text(v) END
    ELSE documents_sort_text(v)
END;
"""

PARTS = """
-- Where the first digit of a positive number stands: 0 for 1 to 9.
CREATE FUNCTION documents_exponent(digits text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN digits LIKE '0.%'
    THEN length(ltrim(substr(digits, 3), '0')) - length(digits) + 1
    ELSE length(split_part(digits, '.', 1)) - 1
END;

-- Whether an object is one, and neither a date nor binary.
CREATE FUNCTION documents_is_plain(v jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN NOT (v ? '$date' OR v ? '$binary');

CREATE FUNCTION documents_order_tag(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'number' THEN '2' WHEN 'string' THEN '3' WHEN 'boolean' THEN '8' WHEN 'null' THEN '1'
    WHEN 'array' THEN '5'
    ELSE CASE WHEN v ? '$date' THEN '9' WHEN v ? '$binary' THEN '6' ELSE '4' END
END;
"""

SORT_TEXT = """
CREATE OR REPLACE FUNCTION documents_sort_text(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'number' THEN '2'
    WHEN 'string' THEN '3' || (v #>> '{}')
    WHEN 'object' THEN coalesce('9' || (v ->> '$date'), documents_order_part(v))
    WHEN 'array' THEN CASE WHEN v = '[]'::jsonb THEN '0' ELSE '5' END
    WHEN 'boolean' THEN '8' || (v #>> '{}')
    ELSE '1'
END;
"""
SORT_TEXT_BEFORE = SORT_TEXT.replace("documents_order_part(v))", "'4')")

# The lowest (or highest) reached value: an element of an array that is itself an array keeps its
# place among arrays, and only an empty array at the path's end comes first.
SORT_VALUE = """
CREATE OR REPLACE FUNCTION documents_sort_value(v jsonb, path text[], highest boolean)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    chosen jsonb;
BEGIN
    IF highest THEN
        SELECT e INTO chosen FROM documents_reach(v, path) AS r(x), LATERAL (
            SELECT e FROM jsonb_array_elements(
                CASE WHEN jsonb_typeof(x) = 'array' THEN x ELSE '[]' END) AS a(e)
            UNION ALL SELECT CASE WHEN x = '[]' THEN '{"$minKey": 1}' ELSE x END
                WHERE jsonb_typeof(x) IS DISTINCT FROM 'array' OR x = '[]'
        ) AS c ORDER BY documents_rank_text(e) COLLATE "C" DESC, documents_sort_number(e) DESC
        LIMIT 1;
    ELSE
        SELECT e INTO chosen FROM documents_reach(v, path) AS r(x), LATERAL (
            SELECT e FROM jsonb_array_elements(
                CASE WHEN jsonb_typeof(x) = 'array' THEN x ELSE '[]' END) AS a(e)
            UNION ALL SELECT CASE WHEN x = '[]' THEN '{"$minKey": 1}' ELSE x END
                WHERE jsonb_typeof(x) IS DISTINCT FROM 'array' OR x = '[]'
        ) AS c ORDER BY documents_rank_text(e) COLLATE "C", documents_sort_number(e)
        LIMIT 1;
    END IF;
    RETURN chosen;
END $$;
"""
SORT_VALUE_BEFORE = SORT_VALUE.replace(
    """SELECT CASE WHEN x = '[]' THEN '{"$minKey": 1}' ELSE x END""", "SELECT x"
).replace("documents_rank_text", "documents_sort_text")

# Indexes hold what the function used to say.
REINDEX = """
DO $$
DECLARE
    index regclass;
BEGIN
    FOR index IN SELECT DISTINCT objid::regclass FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_proc'::regclass
        AND refobjid = 'documents_sort_text(jsonb)'::regprocedure LOOP
        EXECUTE format('REINDEX INDEX %s', index);
    END LOOP;
END $$;
"""

# For filters on fields that have arrays: documents/query/{paths,multikey}.py.
ARRAYS = """
-- An element of an array as the document that $elemMatch looks at, NULL for what is none.
CREATE FUNCTION documents_element(v jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
BEGIN
    CASE jsonb_typeof(v)
        WHEN 'object' THEN
            RETURN CASE WHEN v ? '$date' OR v ? '$binary' THEN NULL ELSE v END;
        WHEN 'array' THEN
            RETURN (SELECT coalesce(jsonb_object_agg((a.n - 1)::text, a.e), '{}')
                FROM jsonb_array_elements(v) WITH ORDINALITY AS a(e, n));
        ELSE
            RETURN NULL;
    END CASE;
END $$;

CREATE FUNCTION documents_hashes(texts text[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(array_agg(hashtextextended(t COLLATE "C", 0)), '{}')
    FROM unnest(texts) AS u(t));

CREATE FUNCTION documents_keys(doc jsonb, path text[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN (
        SELECT coalesce(array_agg(DISTINCT hashtextextended(
            documents_order_text(coalesce(c.v, 'null')) COLLATE "C", 0)), '{}')
        FROM documents_reach(doc, path) AS r(x), LATERAL (
            SELECT r.x UNION ALL SELECT a.e FROM jsonb_array_elements(
                CASE jsonb_typeof(r.x) WHEN 'array' THEN r.x ELSE '[]' END) AS a(e)
        ) AS c(v)
    );
END $$;
"""

FORWARD = PARTS + ORDER + SORT_TEXT + SORT_VALUE + ARRAYS + REINDEX
BACKWARD = (
    SORT_VALUE_BEFORE
    + SORT_TEXT_BEFORE
    + REINDEX
    + """
DROP FUNCTION documents_keys(jsonb, text[]);
DROP FUNCTION documents_hashes(text[]);
DROP FUNCTION documents_element(jsonb);
DROP FUNCTION documents_rank_text(jsonb);
DROP FUNCTION documents_order_text(jsonb);
DROP FUNCTION documents_order_part(jsonb);
DROP FUNCTION documents_order_number(numeric);
DROP FUNCTION documents_order_tag(jsonb);
DROP FUNCTION documents_is_plain(jsonb);
DROP FUNCTION documents_exponent(text);
"""
)


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0002_functions")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
