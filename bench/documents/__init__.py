"""Documents through HTTP, beside bare WSGI + psycopg and beside PocketBase, at 10 k and 1 M."""
