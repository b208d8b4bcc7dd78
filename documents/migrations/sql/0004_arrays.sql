-- Arrays.

-- The array, NULL for null and missing; an error for anything else.
CREATE FUNCTION documents_array(v jsonb, operator text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(v) = 'array' THEN
        RETURN v;
    ELSIF v IS NOT NULL AND v <> 'null' THEN
        PERFORM documents_fail(operator || ' takes an array, not a value of type ' || documents_type(v));
    END IF;
    RETURN NULL;
END $$;

-- As documents_array, for operators to which null is an error too.
CREATE FUNCTION documents_some_array(v jsonb, operator text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(v) = 'array' THEN
        RETURN v;
    END IF;
    RETURN documents_fail(operator || ' takes an array, not a value of type ' || documents_type(v));
END $$;

-- A whole number of 32 bits; an error for anything else, null included.
CREATE FUNCTION documents_int(v jsonb, operator text) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    number numeric;
BEGIN
    IF jsonb_typeof(v) = 'number' THEN
        number := v::numeric;
        IF number = trunc(number) AND number BETWEEN -2147483648 AND 2147483647 THEN
            RETURN number::int;
        END IF;
    END IF;
    PERFORM documents_fail(operator || ' takes a whole number of 32 bits here');
END $$;

-- NULL is no limit.
CREATE FUNCTION documents_limit(v jsonb) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    n int;
BEGIN
    IF documents_is_null(v) THEN
        RETURN NULL;
    END IF;
    n := documents_int(v, 'the limit of $filter');
    IF n < 1 THEN
        PERFORM documents_fail('the limit of $filter is greater than 0');
    END IF;
    RETURN n;
END $$;

-- Where an element stands in a sort by a path: the lowest (or highest) value that it reaches; an
-- empty array before null.
CREATE FUNCTION documents_sort_key(v jsonb, path text[], highest boolean) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    chosen jsonb := documents_sort_value(v, path, highest);
BEGIN
    IF chosen = '[]' THEN
        RETURN '';
    END IF;
    RETURN documents_order_text(coalesce(chosen, 'null'));
END $$;

CREATE FUNCTION documents_element(v jsonb, place jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(v) OR documents_is_null(place) THEN
        RETURN 'null';
    END IF;
    RETURN documents_array(v, '$arrayElemAt') -> documents_int(place, '$arrayElemAt');
END $$;

CREATE FUNCTION documents_first(v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(v) THEN
        RETURN 'null';
    END IF;
    RETURN documents_array(v, '$first') -> 0;
END $$;

CREATE FUNCTION documents_last(v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(v) THEN
        RETURN 'null';
    END IF;
    RETURN documents_array(v, '$last') -> -1;
END $$;

-- The elements from one place (from 0) up to another.
CREATE FUNCTION documents_part(v jsonb, start int, stop int) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN to_jsonb(ARRAY(SELECT item FROM jsonb_array_elements(v) WITH ORDINALITY AS e(item, n)
        WHERE n > start AND n <= stop ORDER BY n));
END $$;

-- (array, n) or (array, position, n)
CREATE FUNCTION documents_slice(v jsonb, a jsonb, b jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    length int;
    start bigint;
    count bigint;
BEGIN
    IF documents_is_null(v) OR a = 'null' OR a IS NULL OR b = 'null' THEN
        RETURN 'null';
    END IF;
    length := jsonb_array_length(documents_array(v, '$slice'));
    start := documents_int(a, '$slice');
    IF b IS NULL THEN
        count := abs(start);
        start := CASE WHEN start < 0 THEN greatest(length + start, 0) ELSE 0 END;
    ELSE
        count := documents_int(b, '$slice');
        IF count <= 0 THEN
            PERFORM documents_fail('$slice takes a positive number of elements after a position');
        END IF;
        start := CASE WHEN start < 0 THEN greatest(length + start, 0) ELSE start END;
    END IF;
    RETURN documents_part(v, least(start, length)::int, least(start + count, length)::int);
END $$;

CREATE FUNCTION documents_concat_arrays(vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    made jsonb := '[]';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF documents_is_null(v) THEN
            RETURN 'null';
        END IF;
        made := documents_bounded(made || documents_array(v, '$concatArrays'), NULL);
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION documents_size(v jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN jsonb_array_length(documents_some_array(v, '$size'));
END $$;

CREATE FUNCTION documents_in(v jsonb, items jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    items := documents_some_array(items, '$in');
    IF jsonb_typeof(v) IN ('object', 'array') THEN
        RETURN EXISTS (SELECT FROM jsonb_array_elements(items) AS e(item) WHERE item = v);
    END IF;
    -- Of other values @> asks for the very element.
    RETURN coalesce(items @> v, false);
END $$;

CREATE FUNCTION documents_index_of_array(v jsonb, wanted jsonb, first jsonb, stop jsonb)
RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    start int;
    behind int;
BEGIN
    IF documents_is_null(v) THEN
        RETURN NULL;
    END IF;
    start := documents_int(first, '$indexOfArray');
    behind := CASE WHEN stop = 'null' THEN 2147483647 ELSE documents_int(stop, '$indexOfArray') END;
    IF start < 0 OR behind < 0 THEN
        PERFORM documents_fail('$indexOfArray takes places from 0');
    END IF;
    RETURN coalesce((
        SELECT n - 1 FROM jsonb_array_elements(documents_array(v, '$indexOfArray'))
            WITH ORDINALITY AS e(item, n)
        WHERE item = wanted AND n > start AND n <= behind ORDER BY n LIMIT 1), -1);
END $$;

CREATE FUNCTION documents_reverse(v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(v) THEN
        RETURN 'null';
    END IF;
    RETURN to_jsonb(ARRAY(
        SELECT item FROM jsonb_array_elements(documents_array(v, '$reverseArray'))
            WITH ORDINALITY AS e(item, n) ORDER BY n DESC));
END $$;

-- A small request must not make a huge array.
CREATE FUNCTION documents_range(first jsonb, stop jsonb, step jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    start bigint := documents_int(first, '$range');
    behind bigint := documents_int(stop, '$range');
    stride bigint := documents_int(step, '$range');
BEGIN
    IF stride = 0 THEN
        PERFORM documents_fail('the step of $range is not 0');
    ELSIF (behind - start) / stride >= 100000 THEN
        PERFORM documents_fail('$range makes up to 100,000 numbers');
    END IF;
    RETURN to_jsonb(ARRAY(SELECT generate_series(start, behind - sign(stride)::int, stride)));
END $$;

CREATE FUNCTION documents_zip(inputs jsonb, longest jsonb, defaults jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    length int;
BEGIN
    IF jsonb_typeof(inputs) IS DISTINCT FROM 'array' OR inputs = '[]' THEN
        PERFORM documents_fail('the inputs of $zip are an array of arrays, and not empty');
    ELSIF jsonb_typeof(longest) <> 'boolean' THEN
        PERFORM documents_fail('useLongestLength of $zip is true or false');
    ELSIF jsonb_typeof(defaults) IS DISTINCT FROM 'array' OR (defaults <> '[]' AND (longest = 'false'
            OR jsonb_array_length(defaults) <> jsonb_array_length(inputs))) THEN
        PERFORM documents_fail('the defaults of $zip are as many as its inputs, with useLongestLength');
    ELSIF inputs @> 'null' THEN
        RETURN 'null';
    END IF;
    SELECT CASE WHEN longest = 'true' THEN max(size) ELSE min(size) END INTO length
        FROM jsonb_array_elements(inputs) AS e(input),
            LATERAL (SELECT jsonb_array_length(documents_array(input, '$zip')) AS size) AS s;
    RETURN to_jsonb(ARRAY(
        SELECT to_jsonb(ARRAY(
            SELECT coalesce(input -> place, defaults -> (n - 1)::int, 'null')
            FROM jsonb_array_elements(inputs) WITH ORDINALITY AS e(input, n) ORDER BY n))
        FROM generate_series(0, length - 1) AS s(place) ORDER BY place));
END $$;

CREATE FUNCTION documents_truth(v jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(v <> ALL ('{"null",false,0}'::jsonb[]), false);

CREATE FUNCTION documents_all_true(v jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN NOT EXISTS (
        SELECT FROM jsonb_array_elements(documents_some_array(v, '$allElementsTrue')) AS e(item)
        WHERE NOT documents_truth(item));
END $$;

CREATE FUNCTION documents_any_true(v jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN EXISTS (
        SELECT FROM jsonb_array_elements(documents_some_array(v, '$anyElementTrue')) AS e(item)
        WHERE documents_truth(item));
END $$;
