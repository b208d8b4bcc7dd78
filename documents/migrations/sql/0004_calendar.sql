-- Units of the calendar: adding, counting and cutting off.

-- The unit's name; NULL for null.
CREATE FUNCTION documents_unit(v jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    unit text := documents_text(v, 'unit');
BEGIN
    IF unit NOT IN ('year', 'quarter', 'month', 'week', 'day', 'hour', 'minute', 'second',
            'millisecond') THEN
        PERFORM documents_fail('a unit is year, quarter, month, week, day, hour, minute, second or '
            'millisecond');
    END IF;
    RETURN unit;
END $$;

-- Milliseconds of a unit of fixed length; NULL for the others.
CREATE FUNCTION documents_unit_length(unit text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN CASE unit WHEN 'hour' THEN 3600000 WHEN 'minute' THEN 60000 WHEN 'second' THEN 1000
        WHEN 'millisecond' THEN 1 END;
END $$;

-- Days and longer units move the calendar of the zone, others the moment.
CREATE FUNCTION documents_date_add(v jsonb, unit jsonb, amount jsonb, timezone jsonb, direction int)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    moment timestamptz := documents_moment(v);
    name text := documents_unit(unit);
    zone text := documents_zone(timezone);
    n numeric;
BEGIN
    IF moment IS NULL OR name IS NULL OR zone IS NULL OR documents_is_null(amount) THEN
        RETURN 'null';
    END IF;
    n := documents_number(amount) * direction;
    IF n <> trunc(n) THEN
        PERFORM documents_fail('the amount of $dateAdd and $dateSubtract is a whole number');
    ELSIF abs(n) * coalesce(documents_unit_length(name), 86400000) > 1e15 THEN
        PERFORM documents_fail('a date is beyond the years 1 to 9999');
    ELSIF documents_unit_length(name) IS NOT NULL THEN
        RETURN documents_from_milliseconds(documents_milliseconds(v) + n * documents_unit_length(name));
    END IF;
    IF name = 'quarter' THEN
        name := 'month';
        n := n * 3;
    END IF;
    RETURN documents_date(documents_instant(
        documents_local(moment, zone) + (n::text || ' ' || name)::interval, zone));
END $$;

-- The day that weeks start on, from 1 for Monday to 7.
CREATE FUNCTION documents_week_start(v jsonb) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    day int := array_position('{mon,tue,wed,thu,fri,sat,sun}'::text[],
        left(lower(documents_some_text(v, 'startOfWeek')), 3));
BEGIN
    IF day IS NULL OR lower(v #>> '{}') NOT IN ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun',
            'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday') THEN
        PERFORM documents_fail('startOfWeek is a day of the week, such as monday');
    END IF;
    RETURN day;
END $$;

-- The start of the week, quarter … that a clock is in, in steps of `bin` counted from the year 2000.
CREATE FUNCTION documents_clock_trunc(clock timestamp, unit text, bin numeric, week_start int)
RETURNS timestamp
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    months int;
    days int;
    first date;
BEGIN
    IF unit IN ('year', 'quarter', 'month') THEN
        bin := bin * CASE unit WHEN 'year' THEN 12 WHEN 'quarter' THEN 3 ELSE 1 END;
        months := (extract(year FROM clock) - 2000) * 12 + extract(month FROM clock) - 1;
        RETURN timestamp '2000-01-01' + make_interval(months => (floor(months / bin) * bin)::int);
    END IF;
    -- The first day from which weeks are counted: the 1st of January 2000 was a Saturday (6).
    first := date '2000-01-01' + CASE unit WHEN 'week' THEN (week_start + 1) % 7 ELSE 0 END;
    bin := bin * CASE unit WHEN 'week' THEN 7 ELSE 1 END;
    days := floor((clock::date - first) / bin) * bin;
    RETURN first + days;
END $$;

CREATE FUNCTION documents_date_trunc(v jsonb, unit jsonb, bin_size jsonb, timezone jsonb,
    week_start jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    moment timestamptz := documents_moment(v);
    name text := documents_unit(unit);
    zone text := documents_zone(timezone);
    bin numeric;
    step numeric;
    origin numeric;
BEGIN
    IF moment IS NULL OR name IS NULL OR zone IS NULL OR bin_size = 'null'
            OR (name = 'week' AND week_start = 'null') THEN
        RETURN 'null';
    END IF;
    bin := documents_number(bin_size);
    IF bin <> trunc(bin) OR bin NOT BETWEEN 1 AND 100000000000 THEN
        PERFORM documents_fail('binSize of $dateTrunc is a positive whole number');
    END IF;
    step := bin * documents_unit_length(name);
    IF step IS NOT NULL THEN
        origin := documents_milliseconds(documents_date(
            documents_instant(timestamp '2000-01-01', zone)));
        RETURN documents_from_milliseconds(
            origin + floor((documents_milliseconds(v) - origin) / step) * step);
    END IF;
    RETURN documents_date(documents_instant(documents_clock_trunc(documents_local(moment, zone), name,
        bin, CASE WHEN name = 'week' THEN documents_week_start(week_start) END), zone));
END $$;

-- How many starts of a unit lie between two dates.
CREATE FUNCTION documents_date_diff(a jsonb, b jsonb, unit jsonb, timezone jsonb, week_start jsonb)
RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    name text := documents_unit(unit);
    zone text := documents_zone(timezone);
    from_clock timestamp := documents_local(documents_moment(a), zone);
    to_clock timestamp := documents_local(documents_moment(b), zone);
    step numeric := documents_unit_length(name);
BEGIN
    IF from_clock IS NULL OR to_clock IS NULL OR name IS NULL
            OR (name = 'week' AND week_start = 'null') THEN
        RETURN NULL;
    END IF;
    IF step IS NOT NULL THEN
        -- Zones shift the starts of hours by the minutes of their offsets; time flows everywhere alike.
        from_clock := from_clock - mod(extract(epoch FROM from_clock) * 1000, step)
            * interval '1 millisecond';
        to_clock := to_clock - mod(extract(epoch FROM to_clock) * 1000, step)
            * interval '1 millisecond';
        RETURN round(extract(epoch FROM documents_instant(to_clock, zone)
            - documents_instant(from_clock, zone)) * 1000 / step);
    ELSIF name IN ('year', 'quarter', 'month') THEN
        RETURN (documents_month_number(to_clock, name) - documents_month_number(from_clock, name));
    END IF;
    IF name = 'week' THEN
        from_clock := documents_clock_trunc(from_clock, 'week', 1, documents_week_start(week_start));
        to_clock := documents_clock_trunc(to_clock, 'week', 1, documents_week_start(week_start));
        RETURN (to_clock::date - from_clock::date) / 7;
    END IF;
    RETURN to_clock::date - from_clock::date;
END $$;

CREATE FUNCTION documents_month_number(clock timestamp, unit text) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    months numeric := extract(year FROM clock) * 12 + extract(month FROM clock) - 1;
BEGIN
    RETURN div(months, CASE unit WHEN 'year' THEN 12 WHEN 'quarter' THEN 3 ELSE 1 END);
END $$;
