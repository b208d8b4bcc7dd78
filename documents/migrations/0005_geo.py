"""SQL functions of geometry on the sphere.

They calculate as `documents/geo/{vectors,geometry,regions,relations}.p2` do, step b2 step. A
geometry is a float8[] as `geometry.encode` makes it: for each part its kind (0 point, 1 line,
2 polygon), the number of its rings, and for each ring the number of its positions and their unit
vectors; 3, 0 stands between the values of a path that reaches several.
"""

from django.db import migrations

READING = """
-- [longitude, latitude, …] as a unit vector, NULL when it is none.
CREATE FUNCTION documents_geo_position(c jsonb) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    lng numeric;
    lat numeric;
    theta float8;
    phi float8;
    x float8; y float8; z float8;
BEGIN
    IF jsonb_typeof(c) IS DISTINCT FROM 'array' OR jsonb_typeof(c -> 0) IS DISTINCT FROM 'number'
        OR jsonb_typeof(c -> 1) IS DISTINCT FROM 'number' THEN
        RETURN NULL;
    END IF;
    lng := (c -> 0)::numeric;
    lat := (c -> 1)::numeric;
    IF lng < -180 OR lng > 180 OR lat < -90 OR lat > 90 THEN
        RETURN NULL;
    END IF;
    -- What is next to nothing is nothing: a product of float8 that underflows is an error.
    theta := radians(CASE WHEN abs(lng) < 1e-12 THEN 0 ELSE lng END::float8);
    phi := radians(CASE WHEN abs(lat) < 1e-12 THEN 0 ELSE lat END::float8);
    x := cos(phi) * cos(theta);
    y := cos(phi) * sin(theta);
    z := sin(phi);
    RETURN ARRAY[
        CASE WHEN abs(x) < 1e-15 THEN 0 ELSE x END,
        CASE WHEN abs(y) < 1e-15 THEN 0 ELSE y END,
        CASE WHEN abs(z) < 1e-15 THEN 0 ELSE z END
    ];
END $$;

-- An array of positions as unit vectors, without those that repeat the one before.
CREATE FUNCTION documents_geo_positions(c jsonb) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    e jsonb;
    p float8[];
    r float8[];
    n int := 0;
BEGIN
    IF jsonb_typeof(c) IS DISTINCT FROM 'array' THEN
        RETURN NULL;
    END IF;
    FOR e IN SELECT jsonb_array_elements(c) LOOP
        p := documents_geo_position(e);
        IF p IS NULL THEN
            RETURN NULL;
        END IF;
        IF n > 0 THEN
            IF p[1] = r[n - 2] AND p[2] = r[n - 1] AND p[3] = r[n] THEN
                CONTINUE;
            END IF;
            IF p[1] * r[n - 2] + p[2] * r[n - 1] + p[3] * r[n] <= -1 + 1e-15 THEN
                RETURN NULL;
            END IF;
        END IF;
        r[n + 1] := p[1];
        r[n + 2] := p[2];
        r[n + 3] := p[3];
        n := n + 3;
    END LOOP;
    RETURN r;
END $$;

-- A polygon's ring, turned so that the smaller part of the sphere is to its left.
CREATE FUNCTION documents_geo_ring(c jsonb) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    r float8[] := documents_geo_positions(c);
    n int := cardinality(r);
    area float8 := 0;
    size float8 := 0;
    x float8; y float8; z float8;
    a1 float8; a2 float8; a3 float8;
    b1 float8; b2 float8; b3 float8;
    turned float8[];
BEGIN
    IF n IS NULL OR n < 12 OR r[1] <> r[n - 2] OR r[2] <> r[n - 1] OR r[3] <> r[n] THEN
        RETURN NULL;
    END IF;
    n := n / 3 - 1;
    x := r[1]; y := r[2]; z := r[3];
    b1 := r[4]; b2 := r[5]; b3 := r[6];
    FOR i IN 2 .. n - 1 LOOP
        a1 := b1; a2 := b2; a3 := b3;
        b1 := r[3 * i + 1]; b2 := r[3 * i + 2]; b3 := r[3 * i + 3];
        area := area + 2 * atan2(
            x * ((a2 - y) * (b3 - z) - (a3 - z) * (b2 - y))
                + y * ((a3 - z) * (b1 - x) - (a1 - x) * (b3 - z))
                + z * ((a1 - x) * (b2 - y) - (a2 - y) * (b1 - x)),
            1 + (x * a1 + y * a2 + z * a3) + (a1 * b1 + a2 * b2 + a3 * b3)
                + (b1 * x + b2 * y + b3 * z)
        );
    END LOOP;
    WHILE area > 2 * pi() + 1e-9 LOOP
        area := area - 4 * pi();
    END LOOP;
    WHILE area < -2 * pi() + 1e-9 LOOP
        area := area + 4 * pi();
    END LOOP;
    b1 := r[3 * n - 2]; b2 := r[3 * n - 1]; b3 := r[3 * n];
    FOR i IN 0 .. n - 1 LOOP
        a1 := b1; a2 := b2; a3 := b3;
        b1 := r[3 * i + 1]; b2 := r[3 * i + 2]; b3 := r[3 * i + 3];
        size := size + sqrt((b1 - a1) * (b1 - a1) + (b2 - a2) * (b2 - a2) + (b3 - a3) * (b3 - a3));
    END LOOP;
    IF abs(area) <= float8 '1e-14' * size THEN
        RETURN NULL;
    END IF;
    IF area < 0 THEN
        FOR i IN REVERSE n - 1 .. 0 LOOP
            turned[3 * (n - 1 - i) + 1] := r[3 * i + 1];
            turned[3 * (n - 1 - i) + 2] := r[3 * i + 2];
            turned[3 * (n - 1 - i) + 3] := r[3 * i + 3];
        END LOOP;
        RETURN n::float8 || turned;
    END IF;
    RETURN n::float8 || r[1 : 3 * n];
END $$;

CREATE FUNCTION documents_geo_part(kind text, c jsonb) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    r float8[];
    rings float8[] := '{}';
    e jsonb;
BEGIN
    IF kind = 'Point' THEN
        r := documents_geo_position(c);
        RETURN CASE WHEN r IS NOT NULL THEN '{0,1,1}'::float8[] || r END;
    ELSIF kind = 'LineString' THEN
        r := documents_geo_positions(c);
        RETURN CASE WHEN cardinality(r) > 3
            THEN ARRAY[1, 1, cardinality(r) / 3]::float8[] || r END;
    ELSIF kind = 'Polygon' AND jsonb_typeof(c) = 'array' AND c <> '[]' THEN
        FOR e IN SELECT jsonb_array_elements(c) LOOP
            r := documents_geo_ring(e);
            IF r IS NULL THEN
                RETURN NULL;
            END IF;
            rings := rings || r;
        END LOOP;
        RETURN ARRAY[2, jsonb_array_length(c)]::float8[] || rings;
    END IF;
    RETURN NULL;
END $$;

-- A GeoJSON object or a legacy pair; NULL when it is neither.
CREATE FUNCTION documents_geo(v jsonb) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    kind text;
    inner_kind text;
    members jsonb;
    e jsonb;
    r float8[];
    parts float8[] := '{}';
BEGIN
    IF jsonb_typeof(v) IS DISTINCT FROM 'object' THEN
        r := documents_geo_position(v);
        RETURN CASE WHEN r IS NOT NULL THEN '{0,1,1}'::float8[] || r END;
    END IF;
    IF v ? 'crs' AND NOT coalesce(
        v #>> '{crs,type}' = 'name' AND v #>> '{crs,properties,name}' IN
            ('urn:ogc:def:crs:OGC:1.3:CRS84', 'EPSG:4326'), false) THEN
        RETURN NULL;
    END IF;
    kind := v ->> 'type';
    IF kind IN ('Point', 'LineString', 'Polygon') THEN
        RETURN documents_geo_part(kind, v -> 'coordinates');
    ELSIF kind IN ('MultiPoint', 'MultiLineString', 'MultiPolygon') THEN
        inner_kind := substr(kind, 6);
        members := v -> 'coordinates';
    ELSIF kind = 'GeometryCollection' THEN
        members := v -> 'geometries';
    END IF;
    IF jsonb_typeof(members) IS DISTINCT FROM 'array' OR members = '[]' THEN
        RETURN NULL;
    END IF;
    FOR e IN SELECT jsonb_array_elements(members) LOOP
        IF inner_kind IS NOT NULL THEN
            r := documents_geo_part(inner_kind, e);
        ELSIF jsonb_typeof(e) = 'object' AND e ->> 'type' <> 'GeometryCollection' THEN
            r := documents_geo(e);
        ELSE
            r := NULL;
        END IF;
        IF r IS NULL THEN
            RETURN NULL;
        END IF;
        parts := parts || r;
    END LOOP;
    RETURN parts;
END $$;

-- All geometries that a path reaches, an array of them opened; NULL when there is none.
CREATE FUNCTION documents_geo_at(doc jsonb, path text[]) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    e jsonb;
    r float8[];
    found float8[];
BEGIN
    v := doc -> path[1];
    IF cardinality(path) = 1 AND jsonb_typeof(v) IS DISTINCT FROM 'array' THEN
        IF v ->> 'type' = 'Point' AND NOT v ? 'crs' THEN
            r := documents_geo_position(v -> 'coordinates');
            RETURN CASE WHEN r IS NOT NULL THEN '{0,1,1}'::float8[] || r END;
        END IF;
        RETURN documents_geo(v);
    END IF;
    FOR v IN SELECT documents_reach(doc, path) LOOP
        FOR e IN SELECT v UNION ALL SELECT jsonb_array_elements(
            CASE WHEN jsonb_typeof(v) = 'array' THEN v ELSE '[]' END
        ) LOOP
            r := documents_geo(e);
            IF r IS NOT NULL THEN
                found := CASE WHEN found IS NULL THEN r ELSE found || '{3,0}'::float8[] || r END;
            END IF;
        END LOOP;
    END LOOP;
    RETURN found;
END $$;

-- Where the part behind the one at this place begins.
CREATE FUNCTION documents_geo_next(g float8[], at int) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    place int := at + 2;
BEGIN
    FOR i IN 1 .. g[at + 1]::int LOOP
        place := place + 1 + 3 * g[place]::int;
    END LOOP;
    RETURN place;
END $$;

-- The arcs of a part; none of a point.
CREATE FUNCTION documents_geo_arcs(
    g float8[], at int,
    OUT a1 float8, OUT a2 float8, OUT a3 float8, OUT b1 float8, OUT b2 float8, OUT b3 float8
) RETURNS SETOF record
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    place int := at + 2;
    n int;
BEGIN
    IF g[at] = 0 OR g[at] = 3 THEN
        RETURN;
    END IF;
    FOR ring IN 1 .. g[at + 1]::int LOOP
        n := g[place]::int;
        IF g[at] = 2 THEN
            b1 := g[place + 3 * n - 2]; b2 := g[place + 3 * n - 1]; b3 := g[place + 3 * n];
        END IF;
        FOR i IN 0 .. n - 1 LOOP
            a1 := b1; a2 := b2; a3 := b3;
            b1 := g[place + 3 * i + 1]; b2 := g[place + 3 * i + 2]; b3 := g[place + 3 * i + 3];
            IF a1 IS NOT NULL THEN
                RETURN NEXT;
            END IF;
        END LOOP;
        place := place + 1 + 3 * n;
    END LOOP;
END $$;
"""

ARCS = """
CREATE FUNCTION documents_geo_angle(
    a1 float8, a2 float8, a3 float8, b1 float8, b2 float8, b3 float8
) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    x float8 := a2 * b3 - a3 * b2;
    y float8 := a3 * b1 - a1 * b3;
    z float8 := a1 * b2 - a2 * b1;
BEGIN
    RETURN atan2(sqrt(x * x + y * y + z * z), a1 * b1 + a2 * b2 + a3 * b3);
END $$;

CREATE FUNCTION documents_geo_on_arc(
    p1 float8, p2 float8, p3 float8,
    a1 float8, a2 float8, a3 float8, b1 float8, b2 float8, b3 float8
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    n1 float8; n2 float8; n3 float8;
    s float8;
BEGIN
    IF (p1 - a1) * (p1 - a1) + (p2 - a2) * (p2 - a2) + (p3 - a3) * (p3 - a3) <= 1e-20
        OR (p1 - b1) * (p1 - b1) + (p2 - b2) * (p2 - b2) + (p3 - b3) * (p3 - b3) <= 1e-20
    THEN
        RETURN true;
    END IF;
    n1 := a2 * b3 - a3 * b2; n2 := a3 * b1 - a1 * b3; n3 := a1 * b2 - a2 * b1;
    s := p1 * n1 + p2 * n2 + p3 * n3;
    IF s * s > 1e-20 * (n1 * n1 + n2 * n2 + n3 * n3) THEN
        RETURN false;
    END IF;
    RETURN (n2 * a3 - n3 * a2) * p1 + (n3 * a1 - n1 * a3) * p2 + (n1 * a2 - n2 * a1) * p3 > 0
        AND (b2 * n3 - b3 * n2) * p1 + (b3 * n1 - b1 * n3) * p2 + (b1 * n2 - b2 * n1) * p3 > 0;
END $$;

CREATE FUNCTION documents_geo_to_arc(
    p1 float8, p2 float8, p3 float8,
    a1 float8, a2 float8, a3 float8, b1 float8, b2 float8, b3 float8
) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    n1 float8 := a2 * b3 - a3 * b2;
    n2 float8 := a3 * b1 - a1 * b3;
    n3 float8 := a1 * b2 - a2 * b1;
    x float8; y float8; z float8;
BEGIN
    IF (n2 * a3 - n3 * a2) * p1 + (n3 * a1 - n1 * a3) * p2 + (n1 * a2 - n2 * a1) * p3 > 0
        AND (b2 * n3 - b3 * n2) * p1 + (b3 * n1 - b1 * n3) * p2 + (b1 * n2 - b2 * n1) * p3 > 0
    THEN
        x := p2 * n3 - p3 * n2; y := p3 * n1 - p1 * n3; z := p1 * n2 - p2 * n1;
        RETURN atan2(abs(p1 * n1 + p2 * n2 + p3 * n3), sqrt(x * x + y * y + z * z));
    END IF;
    RETURN least(
        documents_geo_angle(p1, p2, p3, a1, a2, a3), documents_geo_angle(p1, p2, p3, b1, b2, b3)
    );
END $$;

-- Where the arcs a-b and c-d cross each other's inside; not a unit vector.
CREATE FUNCTION documents_geo_crossing(
    a1 float8, a2 float8, a3 float8, b1 float8, b2 float8, b3 float8,
    c1 float8, c2 float8, c3 float8, d1 float8, d2 float8, d3 float8
) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    n1 float8 := a2 * b3 - a3 * b2;
    n2 float8 := a3 * b1 - a1 * b3;
    n3 float8 := a1 * b2 - a2 * b1;
    c float8 := n1 * c1 + n2 * c2 + n3 * c3;
    d float8 := n1 * d1 + n2 * d2 + n3 * d3;
    x float8; y float8; z float8;
BEGIN
    IF (c >= 0) = (d >= 0) THEN
        RETURN NULL;
    END IF;
    c := abs(c);
    d := abs(d);
    x := c1 * d + d1 * c; y := c2 * d + d2 * c; z := c3 * d + d3 * c;
    IF (a2 * z - a3 * y) * n1 + (a3 * x - a1 * z) * n2 + (a1 * y - a2 * x) * n3 > 0
        AND (y * b3 - z * b2) * n1 + (z * b1 - x * b3) * n2 + (x * b2 - y * b1) * n3 > 0 THEN
        RETURN ARRAY[x, y, z];
    END IF;
    RETURN NULL;
END $$;
"""

REGIONS = """
-- 1 inside of the ring at this place, 0 on it, -1 outside: see documents.geo.regions.side.
CREATE FUNCTION documents_geo_side(
    g float8[], place int, p1 float8, p2 float8, p3 float8
) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    n int := g[place]::int;
    a1 float8; a2 float8; a3 float8;
    b1 float8 := g[place + 3 * n - 2];
    b2 float8 := g[place + 3 * n - 1];
    b3 float8 := g[place + 3 * n];
    n1 float8; n2 float8; n3 float8;
    s float8; far float8;
    best float8 := -1; best_s float8 := 0; best_i int := 0;
    m1 float8; m2 float8; m3 float8;
    q1 float8; q2 float8; q3 float8;
    x float8; y float8; z float8;
    a float8; b float8;
    inside boolean;
BEGIN
    FOR i IN 0 .. n - 1 LOOP
        a1 := b1; a2 := b2; a3 := b3;
        b1 := g[place + 3 * i + 1]; b2 := g[place + 3 * i + 2]; b3 := g[place + 3 * i + 3];
        IF documents_geo_on_arc(p1, p2, p3, a1, a2, a3, b1, b2, b3) THEN
            RETURN 0;
        END IF;
        n1 := a2 * b3 - a3 * b2; n2 := a3 * b1 - a1 * b3; n3 := a1 * b2 - a2 * b1;
        s := p1 * n1 + p2 * n2 + p3 * n3;
        far := s * s / (n1 * n1 + n2 * n2 + n3 * n3);
        IF far > best THEN
            best := far; best_s := s; best_i := i;
            m1 := a1 + b1; m2 := a2 + b2; m3 := a3 + b3;
        END IF;
    END LOOP;
    s := sqrt(m1 * m1 + m2 * m2 + m3 * m3);
    m1 := m1 / s; m2 := m2 / s; m3 := m3 / s;
    q1 := m2 * p3 - m3 * p2; q2 := m3 * p1 - m1 * p3; q3 := m1 * p2 - m2 * p1;
    inside := best_s > 0;
    b1 := g[place + 3 * n - 2]; b2 := g[place + 3 * n - 1]; b3 := g[place + 3 * n];
    b := q1 * b1 + q2 * b2 + q3 * b3;
    FOR i IN 0 .. n - 1 LOOP
        a1 := b1; a2 := b2; a3 := b3; a := b;
        b1 := g[place + 3 * i + 1]; b2 := g[place + 3 * i + 2]; b3 := g[place + 3 * i + 3];
        b := q1 * b1 + q2 * b2 + q3 * b3;
        IF i <> best_i AND (a >= 0) <> (b >= 0) THEN
            x := a1 * abs(b) + b1 * abs(a);
            y := a2 * abs(b) + b2 * abs(a);
            z := a3 * abs(b) + b3 * abs(a);
            IF (m2 * z - m3 * y) * q1 + (m3 * x - m1 * z) * q2 + (m1 * y - m2 * x) * q3 > 0
                AND (y * p3 - z * p2) * q1 + (z * p1 - x * p3) * q2 + (x * p2 - y * p1) * q3 > 0
            THEN
                inside := NOT inside;
            END IF;
        END IF;
    END LOOP;
    RETURN CASE WHEN inside THEN 1 ELSE -1 END;
END $$;

-- The same of a polygon with its holes.
CREATE FUNCTION documents_geo_side_of_polygon(
    g float8[], at int, p1 float8, p2 float8, p3 float8
) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    place int := at + 2;
    found int := documents_geo_side(g, place, p1, p2, p3);
BEGIN
    IF found <= 0 THEN
        RETURN found;
    END IF;
    FOR hole IN 2 .. g[at + 1]::int LOOP
        place := place + 1 + 3 * g[place]::int;
        found := documents_geo_side(g, place, p1, p2, p3);
        IF found >= 0 THEN
            RETURN -found;
        END IF;
    END LOOP;
    RETURN 1;
END $$;
"""

RELATIONS = """
-- Whether the arc a-b is in the polygon at this place: the middle of each piece between two
-- meetings with the border must be.
CREATE FUNCTION documents_geo_arc_within(
    a1 float8, a2 float8, a3 float8, b1 float8, b2 float8, b3 float8, g float8[], at int
) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    c1 float8; c2 float8; c3 float8; d1 float8; d2 float8; d3 float8;
    met float8[];
    size float8;
    -- angle from a, and the point
    cuts float8[] := ARRAY[[0, a1, a2, a3],
        [documents_geo_angle(a1, a2, a3, b1, b2, b3), b1, b2, b3]];
    t float8; x float8; y float8; z float8;
    before float8; u1 float8; u2 float8; u3 float8;
BEGIN
    FOR c1, c2, c3, d1, d2, d3 IN SELECT * FROM documents_geo_arcs(g, at) LOOP
        IF documents_geo_on_arc(c1, c2, c3, a1, a2, a3, b1, b2, b3) THEN
            cuts := cuts || ARRAY[documents_geo_angle(a1, a2, a3, c1, c2, c3), c1, c2, c3];
        END IF;
        met := documents_geo_crossing(a1, a2, a3, b1, b2, b3, c1, c2, c3, d1, d2, d3);
        IF met IS NOT NULL THEN
            size := sqrt(met[1] * met[1] + met[2] * met[2] + met[3] * met[3]);
            x := met[1] / size; y := met[2] / size; z := met[3] / size;
            cuts := cuts || ARRAY[documents_geo_angle(a1, a2, a3, x, y, z), x, y, z];
        END IF;
    END LOOP;
    FOR t, x, y, z IN
        SELECT cuts[i][1], cuts[i][2], cuts[i][3], cuts[i][4]
        FROM generate_series(1, array_length(cuts, 1)) AS i ORDER BY 1, 2, 3, 4
    LOOP
        IF t - before > 2 * 1e-10 THEN
            c1 := u1 + x; c2 := u2 + y; c3 := u3 + z;
            size := sqrt(c1 * c1 + c2 * c2 + c3 * c3);
            IF documents_geo_side_of_polygon(g, at, c1 / size, c2 / size, c3 / size) < 0 THEN
                RETURN false;
            END IF;
        END IF;
        before := t; u1 := x; u2 := y; u3 := z;
    END LOOP;
    RETURN true;
END $$;

-- Whether the part of g at `at` is in the polygon of q at `place`.
CREATE FUNCTION documents_geo_part_within(g float8[], at int, q float8[], place int)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    a1 float8; a2 float8; a3 float8; b1 float8; b2 float8; b3 float8;
    size float8;
BEGIN
    IF g[at] = 0 THEN
        RETURN documents_geo_side_of_polygon(q, place, g[at + 3], g[at + 4], g[at + 5]) >= 0;
    END IF;
    FOR a1, a2, a3, b1, b2, b3 IN SELECT * FROM documents_geo_arcs(g, at) LOOP
        IF NOT documents_geo_arc_within(a1, a2, a3, b1, b2, b3, q, place) THEN
            RETURN false;
        END IF;
    END LOOP;
    IF g[at] = 2 THEN
        FOR a1, a2, a3, b1, b2, b3 IN SELECT * FROM documents_geo_arcs(q, place) LOOP
            IF documents_geo_side_of_polygon(g, at, a1, a2, a3) > 0 THEN
                RETURN false;
            END IF;
            b1 := a1 + b1; b2 := a2 + b2; b3 := a3 + b3;
            size := sqrt(b1 * b1 + b2 * b2 + b3 * b3);
            IF documents_geo_side_of_polygon(g, at, b1 / size, b2 / size, b3 / size) > 0 THEN
                RETURN false;
            END IF;
        END LOOP;
    END IF;
    RETURN true;
END $$;

-- Whether one of the values in g is, with all its parts, within the polygons of q.
CREATE FUNCTION documents_geo_within(g float8[], q float8[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    at int := 1;
    place int;
    good boolean := true;
BEGIN
    IF g IS NULL THEN
        RETURN false;
    END IF;
    WHILE at <= cardinality(g) LOOP
        IF g[at] = 3 THEN
            IF good THEN
                RETURN true;
            END IF;
            good := true;
        ELSIF good THEN
            good := false;
            place := 1;
            WHILE NOT good AND place <= cardinality(q) LOOP
                good := q[place] = 2 AND documents_geo_part_within(g, at, q, place);
                place := documents_geo_next(q, place);
            END LOOP;
        END IF;
        at := documents_geo_next(g, at);
    END LOOP;
    RETURN good;
END $$;

-- Whether the part of g at this place has the point.
CREATE FUNCTION documents_geo_has(g float8[], at int, p1 float8, p2 float8, p3 float8)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    a1 float8; a2 float8; a3 float8; b1 float8; b2 float8; b3 float8;
BEGIN
    IF g[at] = 0 THEN
        RETURN documents_geo_angle(g[at + 3], g[at + 4], g[at + 5], p1, p2, p3) <= 1e-10;
    ELSIF g[at] = 2 THEN
        RETURN documents_geo_side_of_polygon(g, at, p1, p2, p3) >= 0;
    END IF;
    FOR a1, a2, a3, b1, b2, b3 IN SELECT * FROM documents_geo_arcs(g, at) LOOP
        IF documents_geo_on_arc(p1, p2, p3, a1, a2, a3, b1, b2, b3) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

CREATE FUNCTION documents_geo_parts_meet(g float8[], at int, q float8[], place int)
RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    a1 float8; a2 float8; a3 float8; b1 float8; b2 float8; b3 float8;
    c1 float8; c2 float8; c3 float8; d1 float8; d2 float8; d3 float8;
BEGIN
    IF g[at] = 0 THEN
        RETURN documents_geo_has(q, place, g[at + 3], g[at + 4], g[at + 5]);
    ELSIF q[place] = 0 THEN
        RETURN documents_geo_has(g, at, q[place + 3], q[place + 4], q[place + 5]);
    END IF;
    IF q[place] = 2 AND documents_geo_has(q, place, g[at + 3], g[at + 4], g[at + 5]) THEN
        RETURN true;
    ELSIF g[at] = 2 AND documents_geo_has(g, at, q[place + 3], q[place + 4], q[place + 5]) THEN
        RETURN true;
    END IF;
    FOR a1, a2, a3, b1, b2, b3 IN SELECT * FROM documents_geo_arcs(g, at) LOOP
        FOR c1, c2, c3, d1, d2, d3 IN SELECT * FROM documents_geo_arcs(q, place) LOOP
            IF documents_geo_crossing(a1, a2, a3, b1, b2, b3, c1, c2, c3, d1, d2, d3) IS NOT NULL
                OR documents_geo_on_arc(a1, a2, a3, c1, c2, c3, d1, d2, d3)
                OR documents_geo_on_arc(b1, b2, b3, c1, c2, c3, d1, d2, d3)
                OR documents_geo_on_arc(c1, c2, c3, a1, a2, a3, b1, b2, b3)
                OR documents_geo_on_arc(d1, d2, d3, a1, a2, a3, b1, b2, b3) THEN
                RETURN true;
            END IF;
        END LOOP;
    END LOOP;
    RETURN false;
END $$;

CREATE FUNCTION documents_geo_intersects(g float8[], q float8[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    at int := 1;
    place int;
BEGIN
    IF g IS NULL THEN
        RETURN false;
    END IF;
    WHILE at <= cardinality(g) LOOP
        IF g[at] <> 3 THEN
            place := 1;
            WHILE place <= cardinality(q) LOOP
                IF documents_geo_parts_meet(g, at, q, place) THEN
                    RETURN true;
                END IF;
                place := documents_geo_next(q, place);
            END LOOP;
        END IF;
        at := documents_geo_next(g, at);
    END LOOP;
    RETURN false;
END $$;

-- The angle between a point and the nearest point of g; NULL when g is none.
CREATE FUNCTION documents_geo_distance(g float8[], p float8[]) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    at int := 1;
    p1 float8 := p[1];
    p2 float8 := p[2];
    p3 float8 := p[3];
    a1 float8; a2 float8; a3 float8; b1 float8; b2 float8; b3 float8;
    nearest float8;
BEGIN
    IF g IS NULL THEN
        RETURN NULL;
    END IF;
    WHILE at <= cardinality(g) LOOP
        IF g[at] = 0 THEN
            nearest := least(nearest,
                documents_geo_angle(p1, p2, p3, g[at + 3], g[at + 4], g[at + 5]));
        ELSIF g[at] = 2 AND documents_geo_side_of_polygon(g, at, p1, p2, p3) >= 0 THEN
            RETURN 0;
        ELSE
            FOR a1, a2, a3, b1, b2, b3 IN SELECT * FROM documents_geo_arcs(g, at) LOOP
                nearest := least(nearest,
                    documents_geo_to_arc(p1, p2, p3, a1, a2, a3, b1, b2, b3));
            END LOOP;
        END IF;
        at := documents_geo_next(g, at);
    END LOOP;
    RETURN nearest;
END $$;

-- Whether one of the values in g is within the circle around p: [x, y, z, radius as an angle].
CREATE FUNCTION documents_geo_within_cap(g float8[], p float8[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    at int := 1;
    good boolean := true;
    p1 float8 := p[1];
    p2 float8 := p[2];
    p3 float8 := p[3];
    radius float8 := p[4];
    a1 float8; a2 float8; a3 float8; b1 float8; b2 float8; b3 float8;
BEGIN
    IF g IS NULL THEN
        RETURN false;
    END IF;
    WHILE at <= cardinality(g) LOOP
        IF g[at] = 3 THEN
            IF good THEN
                RETURN true;
            END IF;
            good := true;
        ELSIF g[at] = 0 THEN
            good := good AND
                documents_geo_angle(g[at + 3], g[at + 4], g[at + 5], p1, p2, p3) <= radius + 1e-10;
        ELSIF good THEN
            -- The farthest point of an arc is the nearest to the opposite of the centre.
            FOR a1, a2, a3, b1, b2, b3 IN SELECT * FROM documents_geo_arcs(g, at) LOOP
                IF pi() - documents_geo_to_arc(-p1, -p2, -p3, a1, a2, a3, b1, b2, b3)
                    > radius + 1e-10 THEN
                    good := false;
                    EXIT;
                END IF;
            END LOOP;
            good := good AND (radius >= pi() OR g[at] <> 2
                OR documents_geo_side_of_polygon(g, at, -p1, -p2, -p3) < 0);
        END IF;
        at := documents_geo_next(g, at);
    END LOOP;
    RETURN good;
END $$;
"""

# What is between two corners of the box bulges out of it, b2 the height of the arc at most; and
# the inside of a polygon reaches farther than its border only to where an axis leaves the sphere.
COVER = """
-- The lower and the upper corner of a box around g.
CREATE FUNCTION documents_geo_cover(g float8[]) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    at int := 1;
    l1 float8 := 2; l2 float8 := 2; l3 float8 := 2;
    u1 float8 := -2; u2 float8 := -2; u3 float8 := -2;
    a1 float8; a2 float8; a3 float8; b1 float8; b2 float8; b3 float8;
    bulge float8;
BEGIN
    WHILE at <= cardinality(g) LOOP
        IF g[at] = 0 THEN
            l1 := least(l1, g[at + 3]); u1 := greatest(u1, g[at + 3]);
            l2 := least(l2, g[at + 4]); u2 := greatest(u2, g[at + 4]);
            l3 := least(l3, g[at + 5]); u3 := greatest(u3, g[at + 5]);
        ELSE
            FOR a1, a2, a3, b1, b2, b3 IN SELECT * FROM documents_geo_arcs(g, at) LOOP
                bulge := 1 - cos(documents_geo_angle(a1, a2, a3, b1, b2, b3) / 2);
                l1 := least(l1, a1 - bulge, b1 - bulge); u1 := greatest(u1, a1 + bulge, b1 + bulge);
                l2 := least(l2, a2 - bulge, b2 - bulge); u2 := greatest(u2, a2 + bulge, b2 + bulge);
                l3 := least(l3, a3 - bulge, b3 - bulge); u3 := greatest(u3, a3 + bulge, b3 + bulge);
            END LOOP;
            IF g[at] = 2 THEN
                IF documents_geo_side_of_polygon(g, at, 1, 0, 0) >= 0 THEN u1 := 1; END IF;
                IF documents_geo_side_of_polygon(g, at, 0, 1, 0) >= 0 THEN u2 := 1; END IF;
                IF documents_geo_side_of_polygon(g, at, 0, 0, 1) >= 0 THEN u3 := 1; END IF;
                IF documents_geo_side_of_polygon(g, at, -1, 0, 0) >= 0 THEN l1 := -1; END IF;
                IF documents_geo_side_of_polygon(g, at, 0, -1, 0) >= 0 THEN l2 := -1; END IF;
                IF documents_geo_side_of_polygon(g, at, 0, 0, -1) >= 0 THEN l3 := -1; END IF;
            END IF;
        END IF;
        at := documents_geo_next(g, at);
    END LOOP;
    RETURN ARRAY[l1, l2, l3, u1, u2, u3];
END $$;
"""

FLAT = """
-- The points [x, y] that a path reaches, one after the other: legacy pairs and GeoJSON points.
CREATE FUNCTION documents_flat_at(doc jsonb, path text[]) RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    e jsonb;
    x numeric;
    y numeric;
    found float8[] := '{}';
BEGIN
    FOR v IN SELECT documents_reach(doc, path) LOOP
        FOR e IN SELECT v UNION ALL SELECT jsonb_array_elements(
            CASE WHEN jsonb_typeof(v) = 'array' THEN v ELSE '[]' END
        ) LOOP
            IF jsonb_typeof(e) = 'object' THEN
                CONTINUE WHEN e ->> 'type' IS DISTINCT FROM 'Point' OR documents_geo(e) IS NULL;
                e := e -> 'coordinates';
            END IF;
            IF jsonb_typeof(e) = 'array' AND jsonb_typeof(e -> 0) = 'number'
                AND jsonb_typeof(e -> 1) = 'number' THEN
                x := (e -> 0)::numeric;
                y := (e -> 1)::numeric;
                IF abs(x) <= 1e100 AND abs(y) <= 1e100 THEN
                    found := found
                        || CASE WHEN abs(x) < 1e-100 THEN 0 ELSE x END::float8
                        || CASE WHEN abs(y) < 1e-100 THEN 0 ELSE y END::float8;
                END IF;
            END IF;
        END LOOP;
    END LOOP;
    RETURN found;
END $$;

-- Of points x, y, …: whether one is in the box [x1, y1, x2, y2] (lower, upper corner).
CREATE FUNCTION documents_flat_in_box(p float8[], q float8[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
    FOR i IN 1 .. cardinality(p) / 2 LOOP
        IF p[2 * i - 1] BETWEEN q[1] AND q[3] AND p[2 * i] BETWEEN q[2] AND q[4] THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

CREATE FUNCTION documents_flat_distance(p float8[], q float8[]) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    nearest float8;
    x float8; y float8;
BEGIN
    FOR i IN 1 .. cardinality(p) / 2 LOOP
        x := p[2 * i - 1] - q[1]; y := p[2 * i] - q[2];
        nearest := least(nearest, sqrt(x * x + y * y));
    END LOOP;
    RETURN nearest;
END $$;

-- Whether one of the points is in the polygon with the corners q, or on its border.
CREATE FUNCTION documents_flat_in_polygon(p float8[], q float8[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    n int := cardinality(q) / 2;
    x float8; y float8;
    a1 float8; a2 float8; b1 float8; b2 float8;
    turn float8;
    inside boolean;
BEGIN
    FOR i IN 1 .. cardinality(p) / 2 LOOP
        x := p[2 * i - 1]; y := p[2 * i];
        inside := false;
        b1 := q[2 * n - 1]; b2 := q[2 * n];
        FOR j IN 1 .. n LOOP
            a1 := b1; a2 := b2;
            b1 := q[2 * j - 1]; b2 := q[2 * j];
            turn := (b1 - a1) * (y - a2) - (b2 - a2) * (x - a1);
            IF turn = 0 AND x BETWEEN least(a1, b1) AND greatest(a1, b1)
                AND y BETWEEN least(a2, b2) AND greatest(a2, b2) THEN
                RETURN true;
            END IF;
            IF (a2 > y) <> (b2 > y) AND (turn > 0) = (b2 > a2) THEN
                inside := NOT inside;
            END IF;
        END LOOP;
        IF inside THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;
-- The value at the path (or in an array there) that is nearest to a point of the plane (flat) or
-- of the sphere.
CREATE FUNCTION documents_geo_nearest(doc jsonb, path text[], q float8[], flat boolean)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    v jsonb;
    e jsonb;
    found jsonb;
    distance float8;
    least float8;
BEGIN
    FOR v IN SELECT documents_reach(doc, path) LOOP
        FOR e IN SELECT v UNION ALL SELECT jsonb_array_elements(
            CASE WHEN jsonb_typeof(v) = 'array' THEN v ELSE '[]' END
        ) LOOP
            CONTINUE WHEN jsonb_typeof(e -> 0) <> 'number'; -- an array of places
            IF flat THEN
                distance := documents_flat_distance(
                    documents_flat_at(jsonb_build_object('v', e), '{v}'), q);
            ELSE
                distance := documents_geo_distance(documents_geo(e), q);
            END IF;
            IF distance < least OR least IS NULL AND distance IS NOT NULL THEN
                least := distance;
                found := e;
            END IF;
        END LOOP;
    END LOOP;
    RETURN found;
END $$;
"""

# Only where the extension `cube` can be had. An index is built and a dump is loaded without the
# schemas of extensions in sight, so this function brings its own search path along.
SETUP = """
CREATE FUNCTION documents_geo_setup() RETURNS void
LANGUAGE plpgsql
AS $setup$
BEGIN
    IF to_regprocedure('documents_geo_box(jsonb, text[])') IS NOT NULL THEN
        RETURN;
    END IF;
    CREATE EXTENSION IF NOT EXISTS cube;
    CREATE FUNCTION documents_geo_box(doc jsonb, path text[]) RETURNS cube
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path FROM CURRENT
    AS $$
    DECLARE
        g float8[] := documents_geo_at(doc, path);
        c float8[];
    BEGIN
        IF g IS NULL THEN
            RETURN NULL;
        END IF;
        IF cardinality(g) = 6 THEN
            RETURN cube(g[4:6]);
        END IF;
        c := documents_geo_cover(g);
        RETURN cube(c[1:3], c[4:6]);
    END $$;
END $setup$;

DO $$
BEGIN
    PERFORM documents_geo_setup();
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'no geo indexes: %', SQLERRM;
END $$;
"""

FORWARD = READING + ARCS + REGIONS + RELATIONS + COVER + FLAT + SETUP
_NINE = "float8, float8, float8, float8, float8, float8, float8, float8, float8"
BACKWARD = f"""
DROP FUNCTION IF EXISTS documents_geo_box(jsonb, text[]);
DROP FUNCTION documents_geo_setup();
DROP FUNCTION documents_geo_nearest(jsonb, text[], float8[], boolean);
DROP FUNCTION documents_flat_in_polygon(float8[], float8[]);
DROP FUNCTION documents_flat_distance(float8[], float8[]);
DROP FUNCTION documents_flat_in_box(float8[], float8[]);
DROP FUNCTION documents_flat_at(jsonb, text[]);
DROP FUNCTION documents_geo_cover(float8[]);
DROP FUNCTION documents_geo_within_cap(float8[], float8[]);
DROP FUNCTION documents_geo_distance(float8[], float8[]);
DROP FUNCTION documents_geo_intersects(float8[], float8[]);
DROP FUNCTION documents_geo_parts_meet(float8[], int, float8[], int);
DROP FUNCTION documents_geo_has(float8[], int, float8, float8, float8);
DROP FUNCTION documents_geo_within(float8[], float8[]);
DROP FUNCTION documents_geo_part_within(float8[], int, float8[], int);
DROP FUNCTION documents_geo_arc_within(
    float8, float8, float8, float8, float8, float8, float8[], int);
DROP FUNCTION documents_geo_side_of_polygon(float8[], int, float8, float8, float8);
DROP FUNCTION documents_geo_side(float8[], int, float8, float8, float8);
DROP FUNCTION documents_geo_crossing({_NINE}, float8, float8, float8);
DROP FUNCTION documents_geo_to_arc({_NINE});
DROP FUNCTION documents_geo_on_arc({_NINE});
DROP FUNCTION documents_geo_angle(float8, float8, float8, float8, float8, float8);
DROP FUNCTION documents_geo_arcs(float8[], int);
DROP FUNCTION documents_geo_next(float8[], int);
DROP FUNCTION documents_geo_at(jsonb, text[]);
DROP FUNCTION documents_geo(jsonb);
DROP FUNCTION documents_geo_part(text, jsonb);
DROP FUNCTION documents_geo_ring(jsonb);
DROP FUNCTION documents_geo_positions(jsonb);
DROP FUNCTION documents_geo_position(jsonb);
"""


class Migration(migrations.Migration):
    dependencies = [("baas_documents", "0004_expressions")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
