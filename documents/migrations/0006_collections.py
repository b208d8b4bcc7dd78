"""What collections declare: the time to live of documents, and the words of their texts."""

from django.db import migrations, models

# Text search (documents.query.text says what it means). Words are those of PostgreSQL's own
# configuration of the language; Chinese, Japanese, Korean and Thai, which it does not cut into
# words, are indexed by their characters and pairs of neighbouring characters.
#
# These functions are called while an index is built, when PostgreSQL looks for names in
# pg_catalog only: hence the search paths. Their meaning can never change (see 0002_functions).
FORWARD = r"""
CREATE FUNCTION documents_text_fold(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(t) = length(t) THEN lower(t) ELSE lower(normalize(
    regexp_replace(normalize(t, NFKD), '[\u0300-\u036F]', '', 'g'), NFKC)) END;

CREATE FUNCTION documents_text(doc jsonb, paths jsonpath[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 1000 SET search_path FROM CURRENT
AS $$
DECLARE
    path jsonpath;
    item jsonb;
    found text := '';
BEGIN
    FOREACH path IN ARRAY paths LOOP
        FOR item IN SELECT jsonb_path_query(doc, path) LOOP
            found := found || (item #>> '{}') || E'\n';
        END LOOP;
    END LOOP;
    RETURN documents_text_fold(found);
END $$;

-- What is not a word: ASCII's signs and Unicode's punctuation, whatever the database's locale.
CREATE FUNCTION documents_text_words(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(t, '[\u0001-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u00A9\u00AB-\u00B4'
    '\u00B6-\u00B9\u00BB-\u00BF\u2000-\u2BFF\u3000-\u3004\u3008-\u303F\u30FB]+', ' ', 'g');

-- Runs of the scripts that do not put spaces between words, kept (or left out).
CREATE FUNCTION documents_text_runs(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(t) = length(t) THEN '' ELSE btrim(regexp_replace(t,
    '[^\u0E00-\u0EFF\u2E80-\u2FDF\u3005-\u3007\u3040-\u30FA\u30FC-\u318F\u31A0-\u31BF\u31F0-\u31FF'
    '\u3400-\u4DBF\u4E00-\u9FFF\uA960-\uA97F\uAC00-\uD7FF\uF900-\uFAFF\U00020000-\U0003FFFF]+',
    ' ', 'g')) END;

CREATE FUNCTION documents_text_no_runs(t text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(t) = length(t) THEN t ELSE regexp_replace(t,
    '[\u0E00-\u0EFF\u2E80-\u2FDF\u3005-\u3007\u3040-\u30FA\u30FC-\u318F\u31A0-\u31BF\u31F0-\u31FF'
    '\u3400-\u4DBF\u4E00-\u9FFF\uA960-\uA97F\uAC00-\uD7FF\uF900-\uFAFF\U00020000-\U0003FFFF]+',
    ' ', 'g') END;

-- The pairs of neighbours in each run, and a run of one character.
CREATE FUNCTION documents_text_pairs(runs text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_remove(regexp_split_to_array(
    regexp_replace(runs, '(\S\S)', '\1 ', 'g') || ' '
    || regexp_replace(regexp_replace(runs, '(^| )\S', '\1', 'g'), '(\S\S)', '\1 ', 'g'),
    ' +'), '');

-- It takes some 50 microseconds; without the cost the planner would rather call it for every row.
CREATE FUNCTION documents_text_vector(doc jsonb, paths jsonpath[], language regconfig)
RETURNS tsvector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 5000 SET search_path FROM CURRENT
AS $$
DECLARE
    words text := documents_text_words(documents_text(doc, paths));
    runs text := documents_text_runs(words);
BEGIN
    IF runs = '' THEN
        RETURN to_tsvector(language, words);
    END IF;
    RETURN to_tsvector(language, documents_text_no_runs(words)) || array_to_tsvector(array_remove(
        documents_text_pairs(runs) || string_to_array(runs, NULL), ' '));
END $$;

-- A document has the term when it has all words of it, and all pairs of each of its runs.
CREATE FUNCTION documents_text_term(term text, language regconfig) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
DECLARE
    words text := documents_text_words(documents_text_fold(term));
    pairs text[] := documents_text_pairs(documents_text_runs(words));
    wanted tsquery := plainto_tsquery(language, documents_text_no_runs(words));
    pair text;
BEGIN
    FOREACH pair IN ARRAY pairs LOOP
        wanted := wanted && quote_literal(pair)::tsquery;
    END LOOP;
    RETURN wanted;
END $$;

-- Any of the terms or, where there are phrases, all of those; and none of the excluded ones. What
-- has only words that say nothing, or only excluded ones, finds nothing.
CREATE FUNCTION documents_text_query(
    terms text[], phrases text[], excluded text[], language regconfig
) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
DECLARE
    wanted tsquery := '';
    term text;
BEGIN
    FOREACH term IN ARRAY phrases LOOP
        wanted := wanted && documents_text_term(term, language);
    END LOOP;
    IF numnode(wanted) = 0 THEN
        FOREACH term IN ARRAY terms LOOP
            wanted := wanted || documents_text_term(term, language);
        END LOOP;
    END IF;
    IF numnode(wanted) > 0 THEN
        FOREACH term IN ARRAY excluded LOOP
            IF numnode(documents_text_term(term, language)) > 0 THEN
                wanted := wanted && !! documents_text_term(term, language);
            END IF;
        END LOOP;
    END IF;
    RETURN wanted;
END $$;
"""
BACKWARD = """
DROP FUNCTION documents_text_query(text[], text[], text[], regconfig);
DROP FUNCTION documents_text_term(text, regconfig);
DROP FUNCTION documents_text_vector(jsonb, jsonpath[], regconfig);
DROP FUNCTION documents_text_pairs(text);
DROP FUNCTION documents_text_no_runs(text);
DROP FUNCTION documents_text_runs(text);
DROP FUNCTION documents_text_words(text);
DROP FUNCTION documents_text(jsonb, jsonpath[]);
DROP FUNCTION documents_text_fold(text);
"""


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0005_geo")]
    operations = [
        migrations.AddField("collection", "dropped_indexes", models.JSONField(default=list)),
        migrations.AddField("collection", "ttl_seconds", models.BigIntegerField(default=0)),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]
