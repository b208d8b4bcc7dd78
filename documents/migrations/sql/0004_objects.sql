-- Objects: fields by name, and as pairs.

-- A name that a field may get: $date would make a date of an object.
CREATE FUNCTION documents_name(v jsonb, operator text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(v) IS DISTINCT FROM 'string' OR starts_with(v #>> '{}', '$') THEN
        PERFORM documents_fail(operator || ' takes a text that does not start with $ as name of a field');
    END IF;
    RETURN v #>> '{}';
END $$;

CREATE FUNCTION documents_array_to_object(v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    item jsonb;
    kind text;
    names text[] := '{}';
    vals jsonb[] := '{}';
BEGIN
    IF documents_is_null(v) THEN
        RETURN 'null';
    END IF;
    FOR item IN SELECT e FROM jsonb_array_elements(documents_array(v, '$arrayToObject')) AS a(e) LOOP
        kind := coalesce(kind, jsonb_typeof(item));
        IF jsonb_typeof(item) = 'array' AND kind = 'array' AND jsonb_array_length(item) = 2 THEN
            names := names || documents_name(item -> 0, '$arrayToObject');
            vals := vals || (item -> 1);
        ELSIF jsonb_typeof(item) = 'object' AND kind = 'object' AND item ?& '{k,v}'
                AND item - '{k,v}'::text[] = '{}' THEN
            names := names || documents_name(item -> 'k', '$arrayToObject');
            vals := vals || (item -> 'v');
        ELSE
            PERFORM documents_fail('$arrayToObject takes pairs [name, value], or objects with k and v');
        END IF;
    END LOOP;
    -- The last of equal names wins.
    RETURN documents_object(names, vals);
END $$;

CREATE FUNCTION documents_object_to_array(v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(v) THEN
        RETURN 'null';
    ELSIF documents_type(v) <> 'object' THEN
        PERFORM documents_fail('$objectToArray takes an object, not a value of type ' || documents_type(v));
    END IF;
    RETURN to_jsonb(ARRAY(SELECT jsonb_build_object('k', key, 'v', value)
        FROM jsonb_each(v) ORDER BY key COLLATE "C"));
END $$;

CREATE FUNCTION documents_merge(vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    made jsonb := '{}';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF documents_type(v) = 'object' THEN
            made := made || v;
        ELSIF v <> 'null' THEN
            PERFORM documents_fail('$mergeObjects takes objects, not a value of type ' || documents_type(v));
        END IF;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION documents_get_field(name jsonb, v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(name) IS DISTINCT FROM 'string' THEN
        PERFORM documents_fail('the field of $getField is a text');
    ELSIF documents_type(v) = 'object' THEN
        RETURN v -> (name #>> '{}');
    ELSIF v = 'null' THEN
        RETURN v;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION documents_set_field(name jsonb, v jsonb, val jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    key text := documents_name(name, '$setField');
BEGIN
    IF documents_is_null(v) THEN
        RETURN 'null';
    ELSIF documents_type(v) <> 'object' THEN
        PERFORM documents_fail('$setField takes an object, not a value of type ' || documents_type(v));
    ELSIF val IS NULL THEN
        RETURN v - key;
    END IF;
    RETURN v || jsonb_build_object(key, val);
END $$;

CREATE FUNCTION documents_unset_field(name jsonb, v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN documents_set_field(name, v, NULL);
END $$;
