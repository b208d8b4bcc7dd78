"""The order of all values as one text, and objects in sorts and indexes by what they contain."""

from django.db import migrations

# documents/query/order.py says how the texts are made and is the same in Python. They are compared
# under COLLATE "C". chr(1) and chr(2) end and continue what stands inside of arrays and objects.
ORDER = """
CREATE FUNCTION documents_order_number(n numeric) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    written text := abs(n)::text;
    digits text := trim(BOTH '0' FROM replace(written, '.', ''));
    exponent int := CASE  -- where the first digit stands: 0 for 1 to 9
        WHEN n = 0 THEN 0
        WHEN starts_with(written, '0.')
            THEN length(ltrim(substr(written, 3), '0')) - length(written) + 1
        ELSE length(split_part(written, '.', 1)) - 1
    END;
BEGIN
    IF n > 0 THEN
        RETURN 'c' || lpad((500000 + exponent)::text, 6, '0') || digits || '!';
    ELSIF n < 0 THEN
        RETURN 'a' || lpad((499999 - exponent)::text, 6, '0')
            || translate(digits, '0123456789', '9876543210') || '~';
    END IF;
    RETURN 'b';
END $$;

-- A value's text in such a form that others can follow it.
CREATE FUNCTION documents_order_member(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'number' THEN '2' || documents_order_number(v::numeric)
    WHEN 'string' THEN
        '3' || replace(v #>> '{}', chr(1), chr(1) || chr(2)) || chr(1) || chr(1)
    WHEN 'boolean' THEN '8' || (v #>> '{}')
    WHEN 'null' THEN '1'
    ELSE documents_order_container(v)
END;

CREATE OR REPLACE FUNCTION documents_order_container(v jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    parts text;
BEGIN
    IF jsonb_typeof(v) = 'array' THEN
        SELECT string_agg(chr(2) || documents_order_member(a.e), '' ORDER BY a.n)
            INTO parts FROM jsonb_array_elements(v) WITH ORDINALITY AS a(e, n);
        RETURN '5' || coalesce(parts, '') || chr(1);
    ELSIF documents_is_plain(v) THEN
        SELECT string_agg(chr(2) || documents_order_tag(e.value)
                || replace(e.key, chr(1), chr(1) || chr(2)) || chr(1) || chr(1)
                || documents_order_member(e.value), '' ORDER BY e.key COLLATE "C")
            INTO parts FROM jsonb_each(v) AS e;
        RETURN '4' || coalesce(parts, '') || chr(1);
    ELSIF v ? '$date' THEN
        RETURN '9' || (v ->> '$date');
    END IF;
    RETURN '6' || lpad(length(decode(v #>> '{$binary,base64}', 'base64'))::text, 10, '0')
        || (v #>> '{$binary,subType}')
        || encode(decode(v #>> '{$binary,base64}', 'base64'), 'hex');
END $$;

-- For indexes, which are built under a search path that would not find the functions above.
CREATE FUNCTION documents_order_part(v jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN documents_order_container(v);
END $$;

-- The order of all values, SQL's NULL (missing) before null.
CREATE FUNCTION documents_order_text(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'number' THEN '2' || documents_order_number(v::numeric)
    WHEN 'string' THEN '3' || (v #>> '{}')
    WHEN 'null' THEN '1'
    WHEN 'boolean' THEN '8' || (v #>> '{}')
    WHEN 'object' THEN coalesce('9' || (v ->> '$date'), documents_order_container(v))
    WHEN 'array' THEN documents_order_container(v)
    ELSE '0'
END;

-- As documents_sort_text, but arrays by what they contain: for sorts that no index answers. What
-- stands before everything is the lowest value of an empty array.
CREATE FUNCTION documents_rank_text(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE jsonb_typeof(v)
    WHEN 'number' THEN '2'
    WHEN 'string' THEN '3' || (v #>> '{}')
    WHEN 'array' THEN documents_order_container(v)
    WHEN 'object' THEN CASE WHEN v ? '$minKey' THEN '0' ELSE documents_order_text(v) END
    WHEN 'boolean' THEN '8' || (v #>> '{}')
    ELSE '1'
END;
"""

PARTS = """
-- Whether an object is one, and neither a date nor binary.
CREATE FUNCTION documents_is_plain(v jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN NOT (v ? '$date' OR v ? '$binary');

-- (Below in full; the functions call each other.)
CREATE FUNCTION documents_order_container(v jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '';

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
    items jsonb := v -> path[1];
BEGIN
    IF cardinality(path) = 1 AND jsonb_typeof(v) = 'object' AND jsonb_typeof(items) = 'array'
            AND items <> '[]' THEN
        -- The most frequent case, without the general way's pains.
        IF highest THEN
            SELECT e INTO chosen FROM jsonb_array_elements(items) AS a(e)
            ORDER BY documents_rank_text(e) COLLATE "C" DESC, documents_sort_number(e) DESC LIMIT 1;
        ELSE
            SELECT e INTO chosen FROM jsonb_array_elements(items) AS a(e)
            ORDER BY documents_rank_text(e) COLLATE "C", documents_sort_number(e) LIMIT 1;
        END IF;
    ELSIF highest THEN
        SELECT e INTO chosen FROM documents_reach(v, path, false) AS r(x), LATERAL (
            SELECT e FROM jsonb_array_elements(
                CASE WHEN jsonb_typeof(x) = 'array' THEN x ELSE '[]' END) AS a(e)
            UNION ALL SELECT CASE WHEN x = '[]' THEN '{"$minKey": 1}' ELSE x END
                WHERE jsonb_typeof(x) IS DISTINCT FROM 'array' OR x = '[]'
        ) AS c ORDER BY documents_rank_text(e) COLLATE "C" DESC, documents_sort_number(e) DESC
        LIMIT 1;
    ELSE
        SELECT e INTO chosen FROM documents_reach(v, path, false) AS r(x), LATERAL (
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
)
for _now, _before in (
    ("documents_rank_text", "documents_sort_text"),
    ("documents_reach(v, path, false)", "documents_reach(v, path)"),
):
    SORT_VALUE_BEFORE = SORT_VALUE_BEFORE.replace(_now, _before)

# Indexes hold what the function used to say. They are made anew: with REINDEX every session that
# has used one would go on with the function's old body, which it keeps in line with the index.
REBUILD = """
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN SELECT DISTINCT objid::regclass AS name, pg_get_indexdef(objid) AS definition
        FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_proc'::regclass
        AND refobjid = 'documents_sort_text(jsonb)'::regprocedure LOOP
        EXECUTE format('DROP INDEX %s', found.name);
        EXECUTE found.definition;
    END LOOP;
END $$;
"""

# For filters on fields that have arrays: documents/query/{paths,multikey}.py.
ARRAYS = """
-- An element of an array as the document that $elemMatch looks at, NULL for what is none.
CREATE FUNCTION documents_as_document(v jsonb) RETURNS jsonb
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

-- documents_reach of 0002, with dates and binary as what they are, values without fields. With
-- `gaps` an object in an array that has no field of the number that a step is, is a place where the
-- path ends in nothing, and what is no object is none: as in filters, and not in sorts.
CREATE FUNCTION documents_reach(v jsonb, path text[], gaps boolean) RETURNS SETOF jsonb
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
            IF NOT v ? step THEN
                RETURN NEXT NULL::jsonb;
            ELSIF cardinality(path) = 1 THEN
                RETURN NEXT v -> step;
            ELSE
                RETURN QUERY SELECT documents_reach(v -> step, path[2:], gaps);
            END IF;
        WHEN 'array' THEN
            numeric_step := step ~ '^(0|[1-9][0-9]{0,8})$';
            IF numeric_step AND step::int < jsonb_array_length(v) AND NOT (gaps
                    AND cardinality(path) > 1 AND documents_as_document(v -> step::int) IS NULL) THEN
                RETURN QUERY SELECT documents_reach(v -> step::int, path[2:], gaps);
            END IF;
            FOR item IN SELECT e FROM jsonb_array_elements(v) AS a(e) LOOP
                IF jsonb_typeof(item) = 'object' AND documents_is_plain(item)
                        AND (gaps OR item ? step OR NOT numeric_step) THEN
                    RETURN QUERY SELECT documents_reach(item, path, gaps);
                END IF;
            END LOOP;
        ELSE
            RETURN NEXT NULL::jsonb;
    END CASE;
END $$;

CREATE FUNCTION documents_keys(doc jsonb, path text[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN (
        SELECT coalesce(array_agg(DISTINCT hashtextextended(
            documents_order_text(coalesce(c.v, 'null')) COLLATE "C", 0)), '{}')
        FROM documents_reach(doc, path, true) AS r(x), LATERAL (
            SELECT r.x UNION ALL SELECT a.e FROM jsonb_array_elements(
                CASE jsonb_typeof(r.x) WHEN 'array' THEN r.x ELSE '[]' END) AS a(e)
        ) AS c(v)
    );
END $$;
"""

FORWARD = PARTS + ORDER + SORT_TEXT + SORT_VALUE + ARRAYS + REBUILD
BACKWARD = (
    SORT_VALUE_BEFORE
    + SORT_TEXT_BEFORE
    + REBUILD
    + """
DROP FUNCTION documents_keys(jsonb, text[]);
DROP FUNCTION documents_reach(jsonb, text[], boolean);
DROP FUNCTION documents_hashes(text[]);
DROP FUNCTION documents_as_document(jsonb);
DROP FUNCTION documents_rank_text(jsonb);
DROP FUNCTION documents_order_text(jsonb);
DROP FUNCTION documents_order_part(jsonb);
DROP FUNCTION documents_order_member(jsonb);
DROP FUNCTION documents_order_container(jsonb);
DROP FUNCTION documents_order_number(numeric);
DROP FUNCTION documents_order_tag(jsonb);
DROP FUNCTION documents_is_plain(jsonb);
"""
)


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0002_functions")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
