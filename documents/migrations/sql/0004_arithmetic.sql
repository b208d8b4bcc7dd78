-- Arithmetic on exact decimals.

CREATE FUNCTION documents_by_zero(operator text) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    PERFORM documents_fail(operator || ' cannot divide by zero');
END $$;

-- Numbers and at most one date, which the numbers shift by milliseconds.
CREATE FUNCTION documents_add(vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    total numeric := 0;
    moment jsonb;
BEGIN
    FOREACH v IN ARRAY vals LOOP
        IF jsonb_typeof(v) = 'number' THEN
            total := total + v::numeric;
        ELSIF v IS NULL OR v = 'null' THEN
            RETURN 'null';
        ELSIF jsonb_typeof(v) = 'object' AND v ? '$date' THEN
            IF moment IS NOT NULL THEN
                PERFORM documents_fail('$add takes one date at most');
            END IF;
            moment := v;
        ELSE
            PERFORM documents_fail('$add takes numbers and dates, not ' || documents_type(v));
        END IF;
    END LOOP;
    IF moment IS NULL THEN
        RETURN to_jsonb(total);
    END IF;
    RETURN documents_shifted(moment, total);
END $$;

CREATE FUNCTION documents_subtract(a jsonb, b jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    rank int := documents_rank(a);
    other int := documents_rank(b);
BEGIN
    IF rank < 2 OR other < 2 THEN
        RETURN 'null';
    ELSIF rank = 2 AND other = 2 THEN
        RETURN to_jsonb(a::numeric - b::numeric);
    ELSIF rank = 9 AND other = 9 THEN
        RETURN to_jsonb(documents_milliseconds(a) - documents_milliseconds(b));
    ELSIF rank = 9 AND other = 2 THEN
        RETURN documents_shifted(a, -(b::numeric));
    END IF;
    RETURN documents_fail('$subtract does not take ' || documents_type(b) || ' from '
        || documents_type(a));
END $$;

CREATE FUNCTION documents_multiply(vals jsonb[]) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    product numeric := 1;
BEGIN
    FOREACH v IN ARRAY vals LOOP
        product := product * documents_number(v);
        IF product IS NULL THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RETURN product;
END $$;

-- NULL for null; at least 16 significant digits, whole numbers without a fraction.
CREATE FUNCTION documents_quotient(a numeric, b numeric) RETURNS numeric
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF b = 0 THEN
        RETURN documents_by_zero('$divide');
    END IF;
    RETURN trim_scale(a / b);
END $$;

CREATE FUNCTION documents_rest(a numeric, b numeric) RETURNS numeric
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF b = 0 THEN
        RETURN documents_by_zero('$mod');
    END IF;
    RETURN mod(a, b);
END $$;

-- Null beside anything is null: a wrong type is an error only beside a number.
CREATE FUNCTION documents_is_null(a jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN a IS NULL OR a = 'null'::jsonb;

CREATE FUNCTION documents_divide(a jsonb, b jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(a) OR documents_is_null(b) THEN
        RETURN NULL;
    END IF;
    RETURN documents_quotient(documents_number(a), documents_number(b));
END $$;

CREATE FUNCTION documents_mod(a jsonb, b jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(a) OR documents_is_null(b) THEN
        RETURN NULL;
    END IF;
    RETURN documents_rest(documents_number(a), documents_number(b));
END $$;

CREATE FUNCTION documents_sqrt(a numeric) RETURNS numeric
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF a < 0 THEN
        PERFORM documents_fail('$sqrt takes no negative number');
    END IF;
    RETURN trim_scale(sqrt(a + 0.00000000000000000000));
END $$;

CREATE FUNCTION documents_exp(a numeric) RETURNS numeric
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF a > 2000 THEN
        PERFORM documents_fail('$exp takes numbers up to 2000');
    END IF;
    RETURN CASE WHEN a < -2000 THEN 0 ELSE trim_scale(exp(a + 0.00000000000000000000)) END;
END $$;

CREATE FUNCTION documents_ln(a numeric) RETURNS numeric
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF a <= 0 THEN
        PERFORM documents_fail('$ln takes positive numbers');
    END IF;
    RETURN trim_scale(ln(a + 0.00000000000000000000));
END $$;

CREATE FUNCTION documents_log10(a numeric) RETURNS numeric
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
AS $$ BEGIN
    IF a <= 0 THEN
        PERFORM documents_fail('$log10 takes positive numbers');
    END IF;
    RETURN trim_scale(log(a + 0.00000000000000000000));
END $$;

CREATE FUNCTION documents_log(a jsonb, base jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(a) OR documents_is_null(base) THEN
        RETURN NULL;
    ELSIF documents_number(a) <= 0 OR documents_number(base) <= 0 OR base::numeric = 1 THEN
        PERFORM documents_fail('$log takes a positive number, and a base greater than 0 that is not 1');
    END IF;
    RETURN trim_scale(log(base::numeric + 0.00000000000000000000,
        a::numeric + 0.00000000000000000000));
END $$;

-- A small request must not make a number that fills a megabyte.
CREATE FUNCTION documents_pow(a jsonb, b jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    base numeric;
    exponent numeric;
BEGIN
    IF documents_is_null(a) OR documents_is_null(b) THEN
        RETURN NULL;
    END IF;
    base := documents_number(a);
    exponent := documents_number(b);
    IF base = 0 AND exponent < 0 THEN
        PERFORM documents_fail('$pow does not raise 0 to a negative exponent');
    ELSIF base < 0 AND exponent <> trunc(exponent) THEN
        PERFORM documents_fail('$pow raises a negative number to whole exponents only');
    ELSIF base <> 0 AND abs(exponent * log(abs(base))) > 1000 THEN
        IF (exponent > 0) = (abs(base) > 1) THEN
            PERFORM documents_fail('$pow makes numbers of up to 1000 digits');
        END IF;
        RETURN 0;
    END IF;
    IF exponent = trunc(exponent) AND exponent >= 0 AND base = trunc(base) THEN
        RETURN trim_scale(round(power(base, exponent)));
    END IF;
    RETURN trim_scale(power(base + 0.00000000000000000000, exponent));
END $$;

CREATE FUNCTION documents_place(v jsonb) RETURNS int
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    place numeric := documents_number(v);
BEGIN
    IF place <> trunc(place) OR place NOT BETWEEN -20 AND 100 THEN
        PERFORM documents_fail('a place to round to is a whole number from -20 to 100');
    END IF;
    RETURN place::int;
END $$;

-- Halves go to the even neighbour.
CREATE FUNCTION documents_round(a jsonb, place jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    number numeric;
    digits int;
    lower numeric;
    unit numeric;
BEGIN
    IF documents_is_null(a) OR documents_is_null(place) THEN
        RETURN NULL;
    END IF;
    number := documents_number(a);
    digits := documents_place(place);
    lower := trunc(number, digits);
    unit := ('1e' || -digits)::numeric;
    IF abs(number - lower) * 2 = unit AND mod(lower / unit, 2) = 0 THEN
        RETURN trim_scale(lower);
    END IF;
    RETURN trim_scale(round(number, digits));
END $$;

CREATE FUNCTION documents_trunc(a jsonb, place jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF documents_is_null(a) OR documents_is_null(place) THEN
        RETURN NULL;
    END IF;
    RETURN trim_scale(trunc(documents_number(a), documents_place(place)));
END $$;
