-- Dates as texts, and texts and parts as dates.

-- A date's text in a format of % specifiers; the default is ISO 8601.
CREATE FUNCTION documents_date_to_text(v jsonb, format jsonb, timezone jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    zone text := documents_zone(timezone);
    moment timestamptz := documents_moment(v);
    clock timestamp := documents_local(moment, zone);
    pattern text;
    made text := '';
    shift int;
    place int := 1;
    sign text;
BEGIN
    IF clock IS NULL OR format = 'null' THEN
        RETURN 'null';
    END IF;
    pattern := coalesce(documents_text(format, 'the format of $dateToString'),
        '%Y-%m-%dT%H:%M:%S.%L' || CASE zone WHEN 'UTC' THEN 'Z' ELSE '' END);
    WHILE place <= length(pattern) LOOP
        sign := substr(pattern, place, 1);
        place := place + 1;
        IF sign <> '%' THEN
            made := made || sign;
            CONTINUE;
        END IF;
        sign := substr(pattern, place, 1);
        place := place + 1;
        made := made || CASE sign
            WHEN '%' THEN '%'
            WHEN 'Y' THEN to_char(clock, 'YYYY')
            WHEN 'm' THEN to_char(clock, 'MM')
            WHEN 'd' THEN to_char(clock, 'DD')
            WHEN 'H' THEN to_char(clock, 'HH24')
            WHEN 'M' THEN to_char(clock, 'MI')
            WHEN 'S' THEN to_char(clock, 'SS')
            WHEN 'L' THEN to_char(clock, 'MS')
            WHEN 'j' THEN to_char(clock, 'DDD')
            WHEN 'b' THEN to_char(clock, 'Mon')
            WHEN 'B' THEN to_char(clock, 'FMMonth')
            WHEN 'G' THEN to_char(clock, 'IYYY')
            WHEN 'V' THEN to_char(clock, 'IW')
            WHEN 'u' THEN to_char(clock, 'ID')
            WHEN 'w' THEN to_char(clock, 'D')
            WHEN 'U' THEN lpad(documents_clock_part(clock, 'week')::text, 2, '0')
            WHEN 'z' THEN documents_offset_text(clock, moment)
            WHEN 'Z' THEN trunc(extract(epoch FROM clock - moment AT TIME ZONE 'UTC') / 60)::text
            ELSE documents_fail('a format has no specifier %' || sign)::text END;
    END LOOP;
    RETURN to_jsonb(made);
END $$;

-- +hhmm
CREATE FUNCTION documents_offset_text(clock timestamp, moment timestamptz) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    minutes int := trunc(extract(epoch FROM clock - moment AT TIME ZONE 'UTC') / 60);
BEGIN
    RETURN CASE WHEN minutes < 0 THEN '-' ELSE '+' END
        || to_char(abs(minutes) / 60, 'FM00') || to_char(abs(minutes) % 60, 'FM00');
END $$;

-- The quick way for formats that PostgreSQL has a pattern for.
CREATE FUNCTION documents_date_to_char(v jsonb, pattern text, timezone jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    clock timestamp;
BEGIN
    IF timezone = '"UTC"' AND documents_rank(v) = 9 THEN
        RETURN to_jsonb(to_char(left(v ->> '$date', 23)::timestamp, pattern));
    END IF;
    clock := documents_local(documents_moment(v), documents_zone(timezone));
    RETURN coalesce(to_jsonb(to_char(clock, pattern)), 'null');
END $$;

-- The moment of a clock in a zone as date; NULL when it is beyond the years 1 to 9999.
CREATE FUNCTION documents_date_or_null(clock timestamp, zone text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    moment timestamptz := documents_instant(clock, zone);
BEGIN
    IF moment < '0001-01-01T00:00:00Z' OR moment >= '9999-12-31T23:59:59.9999Z' THEN
        RETURN NULL;
    END IF;
    RETURN documents_date(moment);
END $$;

-- A text as a date. Without a format: ISO 8601, a time and a zone may be missing. NULL when it is
-- none.
CREATE FUNCTION documents_parse_date_or_null(input text, zone text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    parts text[] := regexp_match(input, '^(\d{4})-(\d\d?)-(\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?$');
BEGIN
    IF parts IS NULL OR (parts[8] IS NOT NULL AND zone IS NOT NULL) THEN
        RETURN NULL;
    END IF;
    zone := coalesce(CASE WHEN parts[8] IN ('Z', 'GMT') THEN 'UTC' ELSE parts[8] END, zone, 'UTC');
    RETURN documents_date_or_null(make_timestamp(parts[1]::int, parts[2]::int, parts[3]::int,
        coalesce(parts[4], '0')::int, coalesce(parts[5], '0')::int,
        (coalesce(parts[6], '0') || '.' || left(coalesce(parts[7], '0'), 3))::float8), zone);
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

-- The same with a format of % specifiers.
CREATE FUNCTION documents_parse_format_or_null(input text, format text, zone text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    place int := 1;
    sign text;
    part text;
    expected text;
    got jsonb := '{}';
    clock timestamp;
BEGIN
    WHILE place <= length(format) LOOP
        sign := substr(format, place, 1);
        place := place + 1;
        IF sign = '%' THEN
            sign := substr(format, place, 1);
            place := place + 1;
            expected := CASE sign WHEN 'Y' THEN '\d{4}' WHEN 'G' THEN '\d{4}' WHEN 'm' THEN '\d{1,2}'
                WHEN 'd' THEN '\d{1,2}' WHEN 'H' THEN '\d{1,2}' WHEN 'M' THEN '\d{1,2}'
                WHEN 'S' THEN '\d{1,2}' WHEN 'L' THEN '\d{1,3}' WHEN 'j' THEN '\d{1,3}'
                WHEN 'V' THEN '\d{1,2}' WHEN 'u' THEN '\d' WHEN 'b' THEN '[A-Za-z]{3}'
                WHEN 'B' THEN '[A-Za-z]{3,9}' WHEN 'z' THEN '[+-]\d\d:?\d\d|Z' WHEN 'Z' THEN '[+-]\d{1,4}'
                WHEN '%' THEN '%' END;
            IF expected IS NULL THEN
                PERFORM documents_fail('a format to read has no specifier %' || sign);
            END IF;
            part := substring(input FROM '^(' || expected || ')');
            IF part IS NULL THEN
                RETURN NULL;
            END IF;
            got := got || jsonb_build_object(sign, part);
            input := substr(input, length(part) + 1);
        ELSIF left(input, 1) = sign THEN
            input := substr(input, 2);
        ELSE
            RETURN NULL;
        END IF;
    END LOOP;
    IF input <> '' OR (zone IS NOT NULL AND got ?| '{z,Z}') THEN
        RETURN NULL;
    END IF;
    IF got ? 'z' THEN
        zone := CASE got ->> 'z' WHEN 'Z' THEN 'UTC' ELSE got ->> 'z' END;
    ELSIF got ? 'Z' THEN
        zone := CASE WHEN starts_with(got ->> 'Z', '-') THEN '-' ELSE '+' END
            || to_char(abs((got ->> 'Z')::int) * interval '1 minute', 'HH24:MI');
    END IF;
    IF got ? 'G' THEN
        clock := documents_iso_week((got ->> 'G')::int, coalesce(got ->> 'V', '1')::int,
            coalesce(got ->> 'u', '1')::int);
    ELSIF got ? 'Y' AND got ? 'j' THEN
        IF NOT (got ->> 'j')::int BETWEEN 1 AND
                extract(doy FROM make_date((got ->> 'Y')::int, 12, 31)) THEN
            RETURN NULL;
        END IF;
        clock := make_date((got ->> 'Y')::int, 1, 1) + (got ->> 'j')::int - 1;
    ELSIF got ? 'Y' AND got ? 'd' AND got ?| '{m,b,B}' THEN
        clock := make_date((got ->> 'Y')::int, coalesce((got ->> 'm')::int,
            extract(month FROM to_date(coalesce(got ->> 'B', got ->> 'b'),
                CASE WHEN got ? 'B' THEN 'Month' ELSE 'Mon' END))::int), (got ->> 'd')::int);
    ELSE
        RETURN NULL;
    END IF;
    RETURN documents_date_or_null(clock + make_time(coalesce(got ->> 'H', '0')::int,
        coalesce(got ->> 'M', '0')::int,
        (coalesce(got ->> 'S', '0') || '.' || lpad(coalesce(got ->> 'L', '0'), 3, '0'))::float8),
        coalesce(zone, 'UTC'));
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

CREATE FUNCTION documents_iso_week(year int, week int, day int) RETURNS timestamp
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    -- The 4th of January is always in the first week.
    fourth date := make_date(year, 1, 4);
BEGIN
    RETURN fourth - extract(isodow FROM fourth)::int + (week - 1) * 7 + day;
END $$;

-- NULL for what is no date; null for null.
CREATE FUNCTION documents_date_from_text_or_null(v jsonb, format jsonb, timezone jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    zone text := documents_zone(timezone);
BEGIN
    IF documents_is_null(v) OR format = 'null' OR timezone = 'null' THEN
        RETURN 'null';
    ELSIF jsonb_typeof(v) <> 'string' THEN
        RETURN NULL;
    ELSIF format IS NULL THEN
        RETURN documents_parse_date_or_null(v #>> '{}', zone);
    END IF;
    RETURN documents_parse_format_or_null(v #>> '{}',
        documents_some_text(format, 'the format of $dateFromString'), zone);
END $$;

CREATE FUNCTION documents_date_from_text(v jsonb, format jsonb, timezone jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN coalesce(documents_date_from_text_or_null(v, format, timezone),
        documents_fail('$dateFromString cannot read a value of type ' || documents_type(v)
            || ' as a date (of this format)'));
END $$;

-- Parts may be beyond their range, which carries into the next part. `parts` has NULL for what was
-- not given: year, month, day, isoWeekYear, isoWeek, isoDayOfWeek, hour, minute, second, millisecond.
CREATE FUNCTION documents_date_from_parts(parts jsonb[], given boolean[], timezone jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    zone text := documents_zone(timezone);
    p int[] := '{}';
    clock timestamp;
BEGIN
    FOR i IN 1 .. 10 LOOP
        IF NOT given[i] THEN
            p := p || (CASE WHEN i < 7 THEN 1 ELSE 0 END);
        ELSIF documents_is_null(parts[i]) THEN
            RETURN 'null';
        ELSE
            p := p || documents_int(parts[i], '$dateFromParts');
        END IF;
    END LOOP;
    IF zone IS NULL THEN
        RETURN 'null';
    ELSIF p[CASE WHEN given[4] THEN 4 ELSE 1 END] NOT BETWEEN 1 AND 9999 THEN
        PERFORM documents_fail('a year of $dateFromParts is between 1 and 9999');
    ELSIF 32768 < ANY(p[1:9]) OR -32768 > ANY(p[1:9]) THEN
        PERFORM documents_fail('a part of $dateFromParts is between -32768 and 32768');
    END IF;
    clock := CASE WHEN given[4] THEN documents_iso_week(p[4], p[5], p[6])
        ELSE make_timestamp(p[1], 1, 1, 0, 0, 0) + make_interval(months => p[2] - 1)
            + make_interval(days => p[3] - 1) END;
    RETURN documents_date(documents_instant(clock + make_interval(hours => p[7], mins => p[8],
        secs => p[9]) + p[10] * interval '1 millisecond', zone));
END $$;
