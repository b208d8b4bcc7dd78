-- Conversions.

-- The name of the type that $convert names; NULL for null.
CREATE FUNCTION documents_conversion(v jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    name text;
BEGIN
    IF documents_is_null(v) THEN
        RETURN NULL;
    END IF;
    name := v #>> '{}';
    IF jsonb_typeof(v) = 'number' THEN
        name := CASE v::numeric WHEN 1 THEN 'double' WHEN 2 THEN 'string' WHEN 8 THEN 'bool'
            WHEN 9 THEN 'date' WHEN 16 THEN 'int' WHEN 18 THEN 'long' WHEN 19 THEN 'decimal' END;
    END IF;
    IF name IS NULL OR jsonb_typeof(v) NOT IN ('number', 'string')
            OR name NOT IN ('double', 'string', 'bool', 'date', 'int', 'long', 'decimal') THEN
        PERFORM documents_fail('$convert makes double, string, bool, date, int, long, decimal');
    END IF;
    RETURN name;
END $$;

CREATE FUNCTION documents_not_convertible(v jsonb, type text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    PERFORM documents_fail('a value of type ' || documents_type(v) || ' cannot be converted to ' || type);
END $$;

-- SQL NULL for a value that cannot be converted.
CREATE FUNCTION documents_convert_or_null(v jsonb, type text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    kind text := documents_type(v);
    input text := v #>> '{}';
    number numeric;
BEGIN
    IF type IS NULL OR kind IN ('null', 'missing') THEN
        RETURN 'null';
    END IF;
    CASE type
        WHEN 'bool' THEN RETURN to_jsonb(CASE kind WHEN 'bool' THEN v = 'true'
            WHEN 'int' THEN v <> '0' ELSE true END);
        WHEN 'string' THEN
            CASE kind
                WHEN 'string', 'bool' THEN RETURN to_jsonb(input);
                WHEN 'date' THEN RETURN v -> '$date';
                WHEN 'object', 'array', 'binData' THEN RETURN NULL;
                ELSE RETURN to_jsonb(trim_scale(v::numeric)::text);
            END CASE;
        WHEN 'date' THEN
            CASE kind
                WHEN 'date' THEN RETURN v;
                WHEN 'string' THEN RETURN documents_parse_date_or_null(input, NULL);
                WHEN 'int', 'long', 'double', 'decimal' THEN
                    number := trunc(v::numeric);
                    IF number NOT BETWEEN -62135596800000 AND 253402300799999 THEN
                        RETURN NULL;
                    END IF;
                    RETURN documents_from_milliseconds(number);
                ELSE RETURN NULL;
            END CASE;
        ELSE
            CASE kind
                WHEN 'bool' THEN number := (v = 'true')::int;
                WHEN 'date' THEN
                    IF type = 'int' THEN
                        RETURN NULL;
                    END IF;
                    number := documents_milliseconds(v);
                WHEN 'string' THEN
                    IF length(input) > 1000 OR (type IN ('int', 'long') AND input !~ '^[+-]?[0-9]+$')
                        OR input !~ '^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$' THEN
                        RETURN NULL;
                    END IF;
                    number := input::numeric;
                WHEN 'object', 'array', 'binData' THEN RETURN NULL;
                ELSE number := v::numeric;
            END CASE;
            IF type = 'int' OR type = 'long' THEN
                number := trunc(number);
                IF (type = 'int' AND number NOT BETWEEN -2147483648 AND 2147483647)
                        OR number NOT BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
                    RETURN NULL;
                END IF;
            END IF;
            RETURN to_jsonb(number);
    END CASE;
END $$;

CREATE FUNCTION documents_convert(v jsonb, type text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN coalesce(documents_convert_or_null(v, type), documents_not_convertible(v, type));
END $$;

CREATE FUNCTION documents_binary_size(v jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    CASE documents_rank(v)
        WHEN 0, 1 THEN RETURN NULL;
        WHEN 3 THEN RETURN octet_length(v #>> '{}');
        WHEN 6 THEN RETURN length(decode(v #>> '{$binary,base64}', 'base64'));
        ELSE PERFORM documents_fail('$binarySize takes a text or binary data');
    END CASE;
END $$;
