-- Values of the query language: types, failures, paths, order.
-- Functions that can fail are STABLE: the planner would evaluate IMMUTABLE ones of constants ahead,
-- also in a branch that is never taken.

-- A refusal of the arguments: documents.expressions.problems knows the SQLSTATE.
CREATE FUNCTION documents_fail(message text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    RAISE EXCEPTION USING ERRCODE = 'DQ001', MESSAGE = message;
END $$;

-- MongoDB's name of a value's type. Whole numbers are int and long by their size, others double,
-- or decimal when a double could not hold them.
CREATE FUNCTION documents_type(v jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    number numeric;
BEGIN
    CASE jsonb_typeof(v)
        WHEN 'number' THEN
            number := v::numeric;
            IF number <> trunc(number) THEN
                RETURN CASE WHEN length(ltrim(replace(abs(trim_scale(number))::text, '.', ''), '0')) > 17
                    THEN 'decimal' ELSE 'double' END;
            END IF;
            RETURN CASE
                WHEN number BETWEEN -2147483648 AND 2147483647 THEN 'int'
                WHEN number BETWEEN -9223372036854775808 AND 9223372036854775807 THEN 'long'
                ELSE 'decimal' END;
        WHEN 'string' THEN RETURN 'string';
        WHEN 'object' THEN
            RETURN CASE WHEN v ? '$date' THEN 'date' WHEN v ? '$binary' THEN 'binData'
                ELSE 'object' END;
        WHEN 'array' THEN RETURN 'array';
        WHEN 'boolean' THEN RETURN 'bool';
        WHEN 'null' THEN RETURN 'null';
        ELSE RETURN 'missing';
    END CASE;
END $$;

CREATE FUNCTION documents_number(v jsonb) RETURNS numeric
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    CASE jsonb_typeof(v)
        WHEN 'number' THEN RETURN v::numeric;
        WHEN 'null' THEN RETURN NULL;
        ELSE
            IF v IS NULL THEN
                RETURN NULL;
            END IF;
            PERFORM documents_fail('a number was expected, not a value of type ' || documents_type(v));
    END CASE;
END $$;

CREATE FUNCTION documents_number_or_null(v jsonb) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    IF jsonb_typeof(v) = 'number' THEN
        RETURN v::numeric;
    END IF;
    RETURN NULL;
END $$;

-- Bounds on what one document can become, before the statement's timeout ends it.

-- The value itself. `total` is the size of all values of a fold so far, which are kept until its end.
CREATE FUNCTION documents_bounded(v jsonb, total bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    IF pg_column_size(v) > 16777216 THEN
        PERFORM documents_fail('an expression makes more than 16 MiB of one document');
    ELSIF total > 268435456 THEN
        PERFORM documents_fail('the values of a $reduce have more than 256 MiB together');
    END IF;
    RETURN v;
END $$;

-- The sum of sizes, beside an array_agg of the values: it fails before too many are collected.
CREATE FUNCTION documents_add_size(total bigint, size int) RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$ BEGIN
    total := total + coalesce(size, 0);
    IF total > 16777216 THEN
        PERFORM documents_fail('an expression makes more than 16 MiB of one document');
    END IF;
    RETURN total;
END $$;

CREATE AGGREGATE documents_size_of_all(int) (
    SFUNC = documents_add_size, STYPE = bigint, INITCOND = '0'
);

-- An object of the fields that are not missing.
CREATE FUNCTION documents_object(names text[], vals jsonb[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(name, val), '{}')
        FROM unnest(names, vals) AS f(name, val) WHERE val IS NOT NULL);
END $$;

-- What an expression's path reads: an array on the way gives the array of what its objects have.
CREATE FUNCTION documents_path(v jsonb, steps text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    FOR place IN 1 .. cardinality(steps) LOOP
        IF jsonb_typeof(v) = 'array' THEN
            RETURN to_jsonb(ARRAY(
                SELECT got FROM jsonb_array_elements(v) WITH ORDINALITY AS e(item, n),
                    LATERAL (SELECT documents_path(item, steps[place:]) AS got OFFSET 0) AS f
                WHERE jsonb_typeof(item) = 'object' AND got IS NOT NULL ORDER BY n));
        END IF;
        v := v -> steps[place];
        IF v IS NULL THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RETURN v;
END $$;

-- -1, 0 or 1 in the BSON order: missing, null, numbers, texts, objects, arrays, binary, booleans,
-- dates.
CREATE FUNCTION documents_rank(v jsonb) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$ BEGIN
    CASE jsonb_typeof(v)
        WHEN 'number' THEN RETURN 2;
        WHEN 'string' THEN RETURN 3;
        WHEN 'object' THEN
            RETURN CASE WHEN v ? '$date' THEN 9 WHEN v ? '$binary' THEN 6 ELSE 4 END;
        WHEN 'array' THEN RETURN 5;
        WHEN 'boolean' THEN RETURN 8;
        WHEN 'null' THEN RETURN 1;
        ELSE RETURN 0;
    END CASE;
END $$;

CREATE FUNCTION documents_compare(a jsonb, b jsonb) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    rank int := documents_rank(a);
    other int := documents_rank(b);
    key text COLLATE "C";
    other_key text COLLATE "C";
BEGIN
    IF rank <> other THEN
        RETURN sign(rank - other);
    ELSIF a = b OR rank < 2 THEN
        RETURN 0;
    ELSIF rank = 2 THEN
        RETURN CASE WHEN a::numeric < b::numeric THEN -1 ELSE 1 END;
    ELSIF rank = 3 OR rank = 8 THEN
        key := a #>> '{}';
        other_key := b #>> '{}';
    ELSIF rank = 9 THEN
        key := a ->> '$date';
        other_key := b ->> '$date';
    ELSE
        key := documents_order_text(a);
        other_key := documents_order_text(b);
    END IF;
    RETURN CASE WHEN key < other_key THEN -1 WHEN key > other_key THEN 1 ELSE 0 END;
END $$;
