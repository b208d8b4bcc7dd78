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

-- The moment of a date, NULL for null and missing; an error for anything else.
CREATE FUNCTION documents_moment(v jsonb) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_rank(v) = 9 THEN
        RETURN (v ->> '$date')::timestamptz;
    ELSIF v IS NOT NULL AND v <> 'null' THEN
        PERFORM documents_fail('a date was expected, not a value of type ' || documents_type(v));
    END IF;
    RETURN NULL;
END $$;

-- A part of a date by MongoDB's name of it.
CREATE FUNCTION documents_clock_part(clock timestamp, part text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    CASE part
        WHEN 'year' THEN RETURN extract(year FROM clock);
        WHEN 'month' THEN RETURN extract(month FROM clock);
        WHEN 'dayOfMonth' THEN RETURN extract(day FROM clock);
        WHEN 'hour' THEN RETURN extract(hour FROM clock);
        WHEN 'minute' THEN RETURN extract(minute FROM clock);
        WHEN 'second' THEN RETURN trunc(extract(second FROM clock));
        WHEN 'millisecond' THEN RETURN mod(trunc(extract(milliseconds FROM clock)), 1000);
        WHEN 'dayOfYear' THEN RETURN extract(doy FROM clock);
        WHEN 'dayOfWeek' THEN RETURN extract(dow FROM clock) + 1;
        WHEN 'isoDayOfWeek' THEN RETURN extract(isodow FROM clock);
        WHEN 'isoWeek' THEN RETURN extract(week FROM clock);
        WHEN 'isoWeekYear' THEN RETURN extract(isoyear FROM clock);
        -- Weeks begin on Sundays; what stands before the first one is week 0.
        ELSE RETURN div(extract(doy FROM clock) + 6 - extract(dow FROM clock), 7);
    END CASE;
END $$;

CREATE FUNCTION documents_date_part(v jsonb, timezone jsonb, part text) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN documents_clock_part(documents_local(documents_moment(v), documents_zone(timezone)), part);
END $$;

CREATE FUNCTION documents_date_parts(v jsonb, timezone jsonb, iso jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    clock timestamp := documents_local(documents_moment(v), documents_zone(timezone));
    names text[] := '{year,month,dayOfMonth}';
BEGIN
    IF clock IS NULL OR iso = 'null' THEN
        RETURN 'null';
    ELSIF jsonb_typeof(iso) <> 'boolean' THEN
        PERFORM documents_fail('iso8601 of $dateToParts is true or false');
    ELSIF iso = 'true' THEN
        names := '{isoWeekYear,isoWeek,isoDayOfWeek}';
    END IF;
    RETURN (SELECT jsonb_object_agg(CASE name WHEN 'dayOfMonth' THEN 'day' ELSE name END,
            documents_clock_part(clock, name))
        FROM unnest(names || '{hour,minute,second,millisecond}'::text[]) AS n(name));
END $$;
