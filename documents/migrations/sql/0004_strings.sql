-- Texts. What they count is bytes of UTF-8, or code points.

-- The text, NULL for null and missing; an error for anything else.
CREATE FUNCTION documents_text(v jsonb, operator text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(v) = 'string' THEN
        RETURN v #>> '{}';
    ELSIF v IS NOT NULL AND v <> 'null' THEN
        PERFORM documents_fail(operator || ' takes a text, not a value of type ' || documents_type(v));
    END IF;
    RETURN NULL;
END $$;

-- As documents_text, for operators to which null is an error too.
CREATE FUNCTION documents_some_text(v jsonb, operator text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(v) IS DISTINCT FROM 'string' THEN
        PERFORM documents_fail(operator || ' takes a text, not a value of type ' || documents_type(v));
    END IF;
    RETURN v #>> '{}';
END $$;

-- Numbers and dates as text too; empty for null and missing.
CREATE FUNCTION documents_as_text(v jsonb, operator text) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    CASE documents_rank(v)
        WHEN 0, 1 THEN RETURN '';
        WHEN 2 THEN RETURN trim_scale(v::numeric)::text;
        WHEN 3 THEN RETURN v #>> '{}';
        WHEN 9 THEN RETURN v ->> '$date';
        ELSE PERFORM documents_fail(
            operator || ' takes a text, a number or a date, not a value of type ' || documents_type(v));
    END CASE;
END $$;

CREATE FUNCTION documents_concat(vals jsonb[]) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    made text := '';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        made := made || documents_text(v, '$concat');
        IF made IS NULL THEN
            RETURN NULL;
        ELSIF length(made) > 16777216 THEN
            PERFORM documents_fail('$concat makes more than 16 MiB');
        END IF;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION documents_substr_cp(v jsonb, first jsonb, count jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input text := documents_as_text(v, '$substrCP');
    start int := documents_int(first, '$substrCP');
    size int := documents_int(count, '$substrCP');
BEGIN
    IF start < 0 OR size < 0 THEN
        PERFORM documents_fail('$substrCP takes a start and a length from 0');
    END IF;
    RETURN left(right(input, greatest(length(input) - start, 0)), size);
END $$;

-- Whether no character is cut before the byte at this place (from 0).
CREATE FUNCTION documents_is_boundary(input bytea, place int) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN place >= length(input) OR get_byte(input, place) & 192 <> 128;
END $$;

-- A negative length is the rest of the text.
CREATE FUNCTION documents_substr_bytes(v jsonb, first jsonb, count jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input bytea := convert_to(documents_as_text(v, '$substrBytes'), 'UTF8');
    start bigint := documents_int(first, '$substrBytes');
    size bigint := documents_int(count, '$substrBytes');
    stop bigint := CASE WHEN size < 0 THEN length(input) ELSE least(start + size, length(input)) END;
BEGIN
    IF start < 0 THEN
        PERFORM documents_fail('$substrBytes takes a start from 0');
    ELSIF start >= length(input) THEN
        RETURN '';
    ELSIF NOT documents_is_boundary(input, start::int)
            OR NOT documents_is_boundary(input, stop::int) THEN
        PERFORM documents_fail('$substrBytes cuts a character: $substrCP counts characters');
    END IF;
    RETURN convert_from(substring(input, start::int + 1, (stop - start)::int), 'UTF8');
END $$;

CREATE FUNCTION documents_length_bytes(v jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN octet_length(documents_some_text(v, '$strLenBytes'));
END $$;

CREATE FUNCTION documents_length_cp(v jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN length(documents_some_text(v, '$strLenCP'));
END $$;

CREATE FUNCTION documents_lower(v jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN lower(documents_as_text(v, '$toLower') COLLATE "C");
END $$;

CREATE FUNCTION documents_upper(v jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN upper(documents_as_text(v, '$toUpper') COLLATE "C");
END $$;

CREATE FUNCTION documents_compare_upper(a jsonb, b jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    left_text text COLLATE "C" := upper(documents_as_text(a, '$strcasecmp') COLLATE "C");
    right_text text COLLATE "C" := upper(documents_as_text(b, '$strcasecmp') COLLATE "C");
BEGIN
    RETURN CASE WHEN left_text < right_text THEN -1 WHEN left_text > right_text THEN 1 ELSE 0 END;
END $$;

-- The characters to trim: white space when no others are given; NULL for null.
CREATE FUNCTION documents_trimmed(chars jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF chars IS NULL THEN
        RETURN E' \t\n\u000b\f\r\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a';
    END IF;
    RETURN documents_text(chars, 'chars of $trim');
END $$;

CREATE FUNCTION documents_trim(v jsonb, chars jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN btrim(documents_text(v, '$trim'), documents_trimmed(chars));
END $$;

CREATE FUNCTION documents_ltrim(v jsonb, chars jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN ltrim(documents_text(v, '$ltrim'), documents_trimmed(chars));
END $$;

CREATE FUNCTION documents_rtrim(v jsonb, chars jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN rtrim(documents_text(v, '$rtrim'), documents_trimmed(chars));
END $$;

CREATE FUNCTION documents_split(v jsonb, delimiter jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input text;
    by_text text;
BEGIN
    IF documents_is_null(v) OR documents_is_null(delimiter) THEN
        RETURN 'null';
    END IF;
    input := documents_text(v, '$split');
    by_text := documents_text(delimiter, '$split');
    IF by_text = '' THEN
        PERFORM documents_fail('$split takes a delimiter that is not empty');
    ELSIF input = '' THEN
        RETURN '[""]';
    END IF;
    RETURN to_jsonb(string_to_array(input, by_text));
END $$;

-- Places are those of bytes or characters, from 0.
CREATE FUNCTION documents_index_of_cp(v jsonb, wanted jsonb, first jsonb, stop jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input text := documents_text(v, '$indexOfCP');
    part text;
    start int;
    behind int;
    place int;
BEGIN
    IF input IS NULL THEN
        RETURN NULL;
    END IF;
    part := documents_some_text(wanted, '$indexOfCP');
    start := documents_int(first, '$indexOfCP');
    behind := CASE WHEN stop = 'null' THEN length(input) ELSE documents_int(stop, '$indexOfCP') END;
    IF start < 0 OR behind < 0 THEN
        PERFORM documents_fail('$indexOfCP takes places from 0');
    ELSIF start > length(input) OR behind < start THEN
        RETURN -1;
    END IF;
    place := strpos(substring(input, start + 1, least(behind, length(input)) - start), part);
    RETURN CASE WHEN place = 0 THEN -1 ELSE start + place - 1 END;
END $$;

CREATE FUNCTION documents_index_of_bytes(v jsonb, wanted jsonb, first jsonb, stop jsonb)
RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input bytea := convert_to(documents_text(v, '$indexOfBytes'), 'UTF8');
    part bytea;
    start int;
    behind int;
    place int;
BEGIN
    IF input IS NULL THEN
        RETURN NULL;
    END IF;
    part := convert_to(documents_some_text(wanted, '$indexOfBytes'), 'UTF8');
    start := documents_int(first, '$indexOfBytes');
    behind := CASE WHEN stop = 'null' THEN length(input) ELSE documents_int(stop, '$indexOfBytes') END;
    IF start < 0 OR behind < 0 THEN
        PERFORM documents_fail('$indexOfBytes takes places from 0');
    ELSIF start > length(input) OR behind < start THEN
        RETURN -1;
    END IF;
    place := position(part IN substring(input, start + 1, least(behind, length(input)) - start));
    RETURN CASE WHEN place = 0 THEN -1 ELSE start + place - 1 END;
END $$;

CREATE FUNCTION documents_replace_one(v jsonb, wanted jsonb, replacement jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input text := documents_text(v, '$replaceOne');
    part text := documents_text(wanted, '$replaceOne');
    other text := documents_text(replacement, '$replaceOne');
    place int := strpos(input, part);
BEGIN
    IF place = 0 AND other IS NOT NULL THEN
        RETURN input;
    END IF;
    RETURN left(input, place - 1) || other || substr(input, place + length(part));
END $$;

CREATE FUNCTION documents_replace_all(v jsonb, wanted jsonb, replacement jsonb) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input text := documents_text(v, '$replaceAll');
    part text := documents_text(wanted, '$replaceAll');
    other text := documents_text(replacement, '$replaceAll');
    made text;
BEGIN
    IF part = '' THEN
        -- Before each character, and at the end.
        made := other || array_to_string(string_to_array(input, NULL), other)
            || CASE WHEN input = '' THEN '' ELSE other END;
    ELSE
        IF length(other)::bigint * length(input) / length(part) > 16777216
                AND octet_length(input) + (length(input) - length(replace(input, part, '')))
                    / length(part) * octet_length(other)::bigint > 16777216 THEN
            PERFORM documents_fail('$replaceAll makes more than 16 MiB');
        END IF;
        made := replace(input, part, other);
    END IF;
    RETURN made;
END $$;
