-- Stages of pipelines: what needs a walk through a value.

CREATE FUNCTION documents_is_object(v jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN jsonb_typeof(v) = 'object' AND NOT (v ? '$date' OR v ? '$binary');

-- The object itself, an empty one for everything else.
CREATE FUNCTION documents_as_object(v jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN CASE WHEN documents_is_object(v) THEN v ELSE '{}' END;
END $$;

-- $project and $addFields below the top: `spec` says of each field whether it stays (true), which
-- of `computed` it becomes (a number; NULL is missing), or what becomes of its fields. Arrays are
-- gone through. Other fields stay if `keeps_others`.
CREATE FUNCTION documents_reshape(v jsonb, spec jsonb, computed jsonb[], keeps_others boolean)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    made jsonb := '{}';
    name text;
    below jsonb;
    got jsonb;
BEGIN
    IF jsonb_typeof(v) = 'array' THEN
        RETURN to_jsonb(ARRAY(
            SELECT e.shaped FROM (
                SELECT documents_reshape(item, spec, computed, keeps_others) AS shaped, n
                FROM jsonb_array_elements(v) WITH ORDINALITY AS a(item, n) OFFSET 0) AS e
            WHERE e.shaped IS NOT NULL ORDER BY e.n));
    END IF;
    IF NOT coalesce(documents_is_object(v), false) THEN
        -- What is computed inside of it takes its place.
        IF NOT jsonb_path_exists(spec, 'strict $.** ? (@.type() == "number")') THEN
            RETURN CASE WHEN keeps_others THEN v END;
        END IF;
        v := '{}';
    END IF;
    IF keeps_others THEN
        made := v;
    END IF;
    FOR name, below IN SELECT * FROM jsonb_each(spec) LOOP
        CASE jsonb_typeof(below)
            WHEN 'boolean' THEN got := v -> name;
            WHEN 'number' THEN got := computed[below::int];
            ELSE got := documents_reshape(v -> name, below, computed, keeps_others);
        END CASE;
        made := jsonb_set_lax(made, ARRAY[name], got, true, 'delete_key');
    END LOOP;
    RETURN made;
END $$;

-- The value without the fields of `spec` (true), or without some of theirs.
CREATE FUNCTION documents_exclude(v jsonb, spec jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    name text;
    below jsonb;
BEGIN
    IF jsonb_typeof(v) = 'array' THEN
        RETURN to_jsonb(ARRAY(
            SELECT documents_exclude(item, spec)
            FROM jsonb_array_elements(v) WITH ORDINALITY AS a(item, n) ORDER BY n));
    END IF;
    IF documents_is_object(v) THEN
        FOR name, below IN SELECT * FROM jsonb_each(spec) LOOP
            IF below = 'true' THEN
                v := v - name;
            ELSIF v ? name THEN
                v := jsonb_set(v, ARRAY[name], documents_exclude(v -> name, below));
            END IF;
        END LOOP;
    END IF;
    RETURN v;
END $$;

CREATE FUNCTION documents_new_root(v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF NOT coalesce(documents_is_object(v), false) THEN
        PERFORM documents_fail('the new root is not an object but ' || documents_type(v));
    END IF;
    RETURN v;
END $$;

-- $mergeObjects of a group: the fields of all objects, later ones win.
CREATE FUNCTION documents_merged(vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    other jsonb;
BEGIN
    SELECT v INTO other FROM unnest(vals) AS u(v) WHERE NOT documents_is_object(v) LIMIT 1;
    IF other IS NOT NULL THEN
        PERFORM documents_fail('$mergeObjects takes objects, not ' || documents_type(other));
    END IF;
    RETURN (SELECT coalesce(jsonb_object_agg(e.key, e.value ORDER BY n), '{}')
        FROM unnest(vals) WITH ORDINALITY AS u(v, n), jsonb_each(v) AS e);
END $$;

-- What a $lookup compares with: the values that the local path reaches, the elements of arrays
-- each by itself; null when there are none.
CREATE FUNCTION documents_lookup_values(v jsonb, path text[]) RETURNS jsonb[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    IF cardinality(path) = 0 AND jsonb_typeof(v) IS DISTINCT FROM 'array' THEN
        RETURN ARRAY[coalesce(v, 'null')];
    END IF;
    RETURN (SELECT coalesce(array_agg(e), ARRAY['null'::jsonb])
        FROM documents_reach(v, path, true) AS r(x), LATERAL jsonb_array_elements(
            CASE WHEN jsonb_typeof(x) = 'array' THEN x
                WHEN x IS NULL THEN '[]' ELSE jsonb_build_array(x) END) AS a(e));
END $$;

-- Whether a path reaches one of the values, as $in finds it.
CREATE FUNCTION documents_has_one_of(v jsonb, path text[], vals jsonb[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    IF cardinality(path) = 0 AND jsonb_typeof(v) IS DISTINCT FROM 'array' THEN
        RETURN coalesce(v, 'null') = ANY(vals);
    END IF;
    RETURN EXISTS (SELECT FROM documents_reach(v, path, true) AS r(x)
        WHERE coalesce(x, 'null') = ANY(vals) OR EXISTS (
            SELECT FROM jsonb_array_elements(
                CASE WHEN jsonb_typeof(x) = 'array' THEN x ELSE '[]' END) AS a(e)
            WHERE e = ANY(vals)));
END $$;

-- The other way round: every value by which $in finds a document at a path, null for what is
-- missing. Some come twice.
CREATE FUNCTION documents_lookup_keys(v jsonb, path text[]) RETURNS SETOF jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    x jsonb;
BEGIN
    IF cardinality(path) = 0 AND jsonb_typeof(v) IS DISTINCT FROM 'array' THEN
        RETURN NEXT coalesce(v, 'null');
        RETURN;
    END IF;
    FOR x IN SELECT documents_reach(v, path, true) LOOP
        RETURN NEXT coalesce(x, 'null');
        IF jsonb_typeof(x) = 'array' THEN
            RETURN QUERY SELECT jsonb_array_elements(x);
        END IF;
    END LOOP;
END $$;

-- The ids that a map from values (as documents_order_text) to arrays of ids has for some values.
-- (Loops: these run for each row, and a query inside of a function takes its time to start.)
CREATE FUNCTION documents_ids_of(map jsonb, vals jsonb[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    found jsonb;
    ids text[] := '{}';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        found := map -> documents_order_text(v);
        IF found IS NULL THEN
            CONTINUE;
        ELSIF jsonb_array_length(found) < 10 THEN
            FOR place IN 0 .. jsonb_array_length(found) - 1 LOOP
                ids := ids || (found ->> place);
            END LOOP;
        ELSE
            ids := ids || ARRAY(SELECT jsonb_array_elements_text(found));
        END IF;
    END LOOP;
    RETURN ids;
END $$;

-- Values in the terms of columns and indexes.
CREATE FUNCTION documents_texts(vals jsonb[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    texts text[] := '{}';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF jsonb_typeof(v) = 'string' THEN
            texts := texts || (v #>> '{}');
        END IF;
    END LOOP;
    RETURN texts;
END $$;

CREATE FUNCTION documents_sort_texts(vals jsonb[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    texts text[] := '{}';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF jsonb_typeof(v) <> 'number' THEN
            texts := texts || documents_sort_text(v);
        END IF;
    END LOOP;
    RETURN texts;
END $$;

CREATE FUNCTION documents_sort_numbers(vals jsonb[]) RETURNS numeric[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    numbers numeric[] := '{}';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF jsonb_typeof(v) = 'number' THEN
            numbers := numbers || v::numeric;
        END IF;
    END LOOP;
    RETURN numbers;
END $$;

-- $bucketAuto: the number of the first row of each bucket. `ends` has for each row, in order, the
-- number of the last one that equals it.
CREATE FUNCTION documents_bucket_starts(ends bigint[], buckets int) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    total bigint := cardinality(ends);
    size bigint := greatest(1, round(total::numeric / buckets));
    starts bigint[] := '{}';
    next bigint := 1;
BEGIN
    WHILE next <= total AND cardinality(starts) < buckets LOOP
        starts := starts || next;
        next := ends[least(next + size - 1, total)] + 1;
    END LOOP;
    RETURN starts;
END $$;
