-- Time zones: an Olson name, or an offset such as +02:00. PostgreSQL would take more (POSIX rules
-- such as XYZ+3, where the sign has another meaning), so names are checked.

-- An offset as an interval.
CREATE FUNCTION documents_offset(zone text) RETURNS interval
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN (left(zone, 1) || substr(zone, 2, 2) || ':'
        || coalesce(nullif(right(replace(zone, ':', ''), -3), ''), '00'))::interval;
END $$;

-- NULL for null; an error for what cannot be a zone. A name that PostgreSQL does not know fails when
-- it is used.
CREATE FUNCTION documents_zone(v jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    zone text;
BEGIN
    IF v = '"UTC"' THEN
        RETURN 'UTC';
    END IF;
    zone := documents_text(v, 'timezone');
    IF zone IN ('GMT', 'Z') THEN
        RETURN 'UTC';
    ELSIF zone ~ '^[A-Z][A-Za-z_-]+(/[A-Za-z_-]+)+$|^[+-][0-9]{2}(:?[0-9]{2})?$|^Etc/GMT[+-]?[0-9]{1,2}$|^([ECMW]ET|[EMH]ST|EST5EDT|CST6CDT|MST7MDT|PST8PDT|GMT[+-]?0|Cuba|Egypt|Eire|GB|GB-Eire|Greenwich|Hongkong|Iceland|Iran|Israel|Jamaica|Japan|Kwajalein|Libya|NZ|NZ-CHAT|Navajo|Poland|Portugal|PRC|ROC|ROK|Singapore|Turkey|UCT|Universal|W-SU|Zulu)$' THEN
        RETURN zone;
    ELSIF zone IS NOT NULL THEN
        PERFORM documents_fail('there is no time zone ' || quote_literal(left(zone, 60)));
    END IF;
    RETURN NULL;
END $$;

-- The clock and calendar of a checked zone, and back.
CREATE FUNCTION documents_local(moment timestamptz, zone text) RETURNS timestamp
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF left(zone, 1) IN ('+', '-') THEN
        RETURN moment AT TIME ZONE 'UTC' + documents_offset(zone);
    END IF;
    RETURN moment AT TIME ZONE zone;
END $$;

CREATE FUNCTION documents_instant(clock timestamp, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF left(zone, 1) IN ('+', '-') THEN
        RETURN (clock - documents_offset(zone)) AT TIME ZONE 'UTC';
    END IF;
    RETURN clock AT TIME ZONE zone;
END $$;
