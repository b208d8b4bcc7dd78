"""Aggregation pipelines: parsed once, compiled to one SQL statement of nested SELECTs.

run(caller, "orders", parse([{"$match": {"open": True}}, {"$count": "n"}]))  # b'{"n": 5}'
"""

from documents.aggregation.parser import parse
from documents.aggregation.service import run

__all__ = ["parse", "run"]
