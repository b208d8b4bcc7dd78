"""Interactive transactions: calls of a few seconds that commit together or not at all.

No PostgreSQL transaction stays open between two requests. What is kept are the calls themselves:
every step carries all of them out again (see `replay`), and only the last one commits.
See docs/decisions/0026-transactions-by-replay.md.
"""
