-- Patterns are PostgreSQL's: documents.query.regexes made them.

CREATE FUNCTION documents_regex_match(v jsonb, pattern text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN coalesce(documents_text(v, '$regexMatch') ~ pattern, false);
END $$;

-- The match from a character on (from 1): {match, idx, captures}; NULL when there is none.
CREATE FUNCTION documents_regex_next(input text, pattern text, start int) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    place int := regexp_instr(input, pattern, start);
    -- An empty group at the end tells captures from the whole match, which comes in their place.
    grouped text := regexp_replace(pattern, '^(\(\?[a-z]+\))?(.*)$', '\1(?:\2)()', 's');
    groups text[];
BEGIN
    IF place = 0 THEN
        RETURN NULL;
    END IF;
    -- The same start: what stands before it counts for lookbehind and boundaries.
    groups := ARRAY(SELECT regexp_substr(input, grouped, start, 1, '', g)
        FROM generate_series(1, documents_regex_groups(grouped) - 1) AS s(g) ORDER BY g);
    RETURN jsonb_build_object('match', regexp_substr(input, pattern, start), 'idx', place - 1,
        'captures', to_jsonb(groups));
END $$;

-- How many groups a pattern has.
CREATE FUNCTION documents_regex_groups(pattern text) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    -- With an empty branch it matches anything, and tells its groups.
    RETURN cardinality(regexp_match('',
        regexp_replace(pattern, '^(\(\?[a-z]+\))?(.*)$', '\1(?:\2)|', 's')));
END $$;

CREATE FUNCTION documents_regex_find(v jsonb, pattern text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN coalesce(documents_regex_next(documents_text(v, '$regexFind'), pattern, 1), 'null');
END $$;

CREATE FUNCTION documents_regex_find_all(v jsonb, pattern text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    input text := documents_text(v, '$regexFindAll');
    made jsonb[] := '{}';
    start int := 1;
    next jsonb;
BEGIN
    WHILE start <= length(input) + 1 LOOP
        next := documents_regex_next(input, pattern, start);
        EXIT WHEN next IS NULL;
        made := made || next;
        start := (next -> 'idx')::int + 1 + greatest(length(next ->> 'match'), 1);
    END LOOP;
    RETURN to_jsonb(made);
END $$;
