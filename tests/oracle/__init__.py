"""Oracles for differential tests: other people's implementations of MongoDB's query language."""

from tests.oracle.mingo import Mingo, OracleError

__all__ = ["Mingo", "OracleError"]
