"""Indexes that collections declare: their kinds, how they are built and what queries gain."""
