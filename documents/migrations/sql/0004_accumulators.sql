-- Accumulators over the values of one document.

-- What an accumulator takes in when it has one argument: an array's elements.
CREATE FUNCTION documents_spread(v jsonb) RETURNS jsonb[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(v) = 'array' THEN
        RETURN ARRAY(SELECT item FROM jsonb_array_elements(v) WITH ORDINALITY AS e(item, n) ORDER BY n);
    END IF;
    RETURN ARRAY[v];
END $$;

CREATE FUNCTION documents_sum_of(vals jsonb[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    total numeric := 0;
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF jsonb_typeof(v) = 'number' THEN
            total := total + v::numeric;
        END IF;
    END LOOP;
    RETURN total;
END $$;

CREATE FUNCTION documents_avg_of(vals jsonb[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN (SELECT trim_scale(avg(documents_number_or_null(v))) FROM unnest(vals) AS u(v));
END $$;

CREATE FUNCTION documents_std_dev_pop_of(vals jsonb[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN (SELECT trim_scale(stddev_pop(documents_number_or_null(v))) FROM unnest(vals) AS u(v));
END $$;

CREATE FUNCTION documents_std_dev_samp_of(vals jsonb[]) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN (SELECT trim_scale(stddev_samp(documents_number_or_null(v))) FROM unnest(vals) AS u(v));
END $$;

-- Null and missing are left out; null when nothing is left.
CREATE FUNCTION documents_min_of(vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    lowest jsonb := 'null';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF v <> 'null' AND (lowest = 'null' OR documents_compare(v, lowest) < 0) THEN
            lowest := v;
        END IF;
    END LOOP;
    RETURN lowest;
END $$;

CREATE FUNCTION documents_max_of(vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    highest jsonb := 'null';
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF v <> 'null' AND documents_compare(v, highest) > 0 THEN
            highest := v;
        END IF;
    END LOOP;
    RETURN highest;
END $$;

CREATE FUNCTION documents_n(v jsonb, operator text) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    n int := documents_int(v, operator);
BEGIN
    IF n < 1 THEN
        PERFORM documents_fail('n of ' || operator || ' is greater than 0');
    END IF;
    RETURN n;
END $$;

CREATE FUNCTION documents_first_n(n jsonb, v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN documents_part(documents_some_array(v, '$firstN'), 0, documents_n(n, '$firstN'));
END $$;

CREATE FUNCTION documents_last_n(n jsonb, v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    length int := jsonb_array_length(documents_some_array(v, '$lastN'));
BEGIN
    RETURN documents_part(v, length - documents_n(n, '$lastN'), length);
END $$;

CREATE FUNCTION documents_max_n(n jsonb, v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN to_jsonb(ARRAY(
        SELECT item FROM jsonb_array_elements(documents_some_array(v, '$maxN')) AS e(item)
        WHERE item <> 'null' ORDER BY documents_order_text(item) COLLATE "C" DESC
        LIMIT documents_n(n, '$maxN')));
END $$;

CREATE FUNCTION documents_min_n(n jsonb, v jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN to_jsonb(ARRAY(
        SELECT item FROM jsonb_array_elements(documents_some_array(v, '$minN')) AS e(item)
        WHERE item <> 'null' ORDER BY documents_order_text(item) COLLATE "C"
        LIMIT documents_n(n, '$minN')));
END $$;
