-- Dates: {"$date": "2024-05-01T10:00:00.000Z"}, years 1 to 9999.

CREATE FUNCTION documents_date(moment timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    utc timestamp := moment AT TIME ZONE 'UTC';
BEGIN
    IF moment IS NULL THEN
        RETURN 'null';
    ELSIF utc < '0001-01-01' OR utc >= '10000-01-01' THEN
        PERFORM documents_fail('a date is beyond the years 1 to 9999');
    END IF;
    RETURN jsonb_build_object('$date', to_char(utc, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'));
END $$;

-- Since 1970.
CREATE FUNCTION documents_milliseconds(v jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN trunc(extract(epoch FROM (v ->> '$date')::timestamptz) * 1000);
END $$;

CREATE FUNCTION documents_from_milliseconds(ms numeric) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF ms NOT BETWEEN -62135596800000 AND 253402300799999 THEN
        PERFORM documents_fail('a date is beyond the years 1 to 9999');
    END IF;
    RETURN documents_date('epoch'::timestamptz + div(ms, 1000)::float8 * interval '1 second'
        + mod(ms, 1000)::float8 * interval '1 millisecond');
END $$;

CREATE FUNCTION documents_shifted(v jsonb, ms numeric) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN documents_from_milliseconds(documents_milliseconds(v) + round(ms));
END $$;
