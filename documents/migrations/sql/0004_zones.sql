-- Time zones: an Olson name, or an offset such as +02:00. PostgreSQL would take more (POSIX rules
-- such as XYZ+3, where the sign has another meaning), so names are checked.

-- The offset as an interval, NULL for a name.
CREATE FUNCTION documents_offset(zone text) RETURNS interval
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    IF zone ~ '^[+-][0-9]{2}(:?[0-9]{2})?$' THEN
        RETURN (left(zone, 1) || substr(zone, 2, 2) || ':' || coalesce(nullif(right(
            replace(zone, ':', ''), -3), ''), '00'))::interval;
    END IF;
    RETURN NULL;
END $$;

-- NULL for null; an error for what is no zone.
CREATE FUNCTION documents_zone(v jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    zone text := documents_text(v, 'timezone');
    known timestamp;
BEGIN
    IF zone IN ('UTC', 'GMT', 'Z') THEN
        RETURN 'UTC';
    ELSIF zone IS NULL OR documents_offset(zone) IS NOT NULL THEN
        RETURN zone;
    ELSIF zone ~ '^[A-Z][A-Za-z_-]+(/[A-Za-z_-]+)+$|^Etc/GMT[+-]?[0-9]{1,2}$|^([ECMW]ET|[EMH]ST|EST5EDT|CST6CDT|MST7MDT|PST8PDT|GMT[+-]?0|Cuba|Egypt|Eire|GB|GB-Eire|Greenwich|Hongkong|Iceland|Iran|Israel|Jamaica|Japan|Kwajalein|Libya|NZ|NZ-CHAT|Navajo|Poland|Portugal|PRC|ROC|ROK|Singapore|Turkey|UCT|Universal|W-SU|Zulu)$' THEN
        BEGIN
            known := 'epoch'::timestamptz AT TIME ZONE zone;
            RETURN zone;
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL;
        END;
    END IF;
    PERFORM documents_fail('there is no time zone ' || quote_literal(left(zone, 60)));
END $$;

-- The clock and calendar of a checked zone, and back.
CREATE FUNCTION documents_local(moment timestamptz, zone text) RETURNS timestamp
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    shift interval := documents_offset(zone);
BEGIN
    IF shift IS NULL THEN
        RETURN moment AT TIME ZONE zone;
    END IF;
    RETURN moment AT TIME ZONE 'UTC' + shift;
END $$;

CREATE FUNCTION documents_instant(clock timestamp, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    shift interval := documents_offset(zone);
BEGIN
    IF shift IS NULL THEN
        RETURN clock AT TIME ZONE zone;
    END IF;
    RETURN (clock - shift) AT TIME ZONE 'UTC';
END $$;
