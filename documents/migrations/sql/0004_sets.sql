-- Arrays as sets: doubles count once, the order is that of first appearance.

CREATE FUNCTION documents_distinct(v jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN to_jsonb(ARRAY(SELECT item FROM jsonb_array_elements(v) WITH ORDINALITY AS e(item, n)
        GROUP BY item ORDER BY min(n)));
END $$;

CREATE FUNCTION documents_set_union(vals jsonb[]) RETURNS jsonb
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
        made := documents_bounded(made || documents_array(v, '$setUnion'), NULL);
    END LOOP;
    RETURN documents_distinct(made);
END $$;

CREATE FUNCTION documents_set_intersection(vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    made jsonb;
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF documents_is_null(v) THEN
            RETURN 'null';
        END IF;
        v := documents_array(v, '$setIntersection');
        made := CASE WHEN made IS NULL THEN v ELSE to_jsonb(ARRAY(
            SELECT item FROM jsonb_array_elements(made) WITH ORDINALITY AS e(item, n)
            WHERE item IN (SELECT jsonb_array_elements(v)) ORDER BY n)) END;
    END LOOP;
    RETURN documents_distinct(coalesce(made, '[]'));
END $$;

CREATE FUNCTION documents_set_difference(a jsonb, b jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(a) OR documents_is_null(b) THEN
        RETURN 'null';
    END IF;
    a := documents_array(a, '$setDifference');
    b := documents_array(b, '$setDifference');
    RETURN documents_distinct(to_jsonb(ARRAY(
        SELECT item FROM jsonb_array_elements(a) WITH ORDINALITY AS e(item, n)
        WHERE item NOT IN (SELECT jsonb_array_elements(b)) ORDER BY n)));
END $$;

CREATE FUNCTION documents_set_is_subset(a jsonb, b jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    a := documents_some_array(a, '$setIsSubset');
    b := documents_some_array(b, '$setIsSubset');
    RETURN NOT EXISTS (SELECT FROM jsonb_array_elements(a) AS e(item)
        WHERE item NOT IN (SELECT jsonb_array_elements(b)));
END $$;

CREATE FUNCTION documents_set_equals(vals jsonb[]) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    equal boolean := true;
BEGIN
    FOREACH v IN ARRAY vals LOOP
        v := documents_some_array(v, '$setEquals');
        equal := equal AND documents_set_is_subset(v, vals[1]) AND documents_set_is_subset(vals[1], v);
    END LOOP;
    RETURN equal;
END $$;
