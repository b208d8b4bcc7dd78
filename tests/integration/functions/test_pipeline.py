"""From an event in the log to a function that ran: the ledger's promises, on a real database."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from functions.runtypes import RunError, RunResult
from tests.installation import TestProject

from .conftest import FakeRunner, Functions, Pipeline

pytestmark = pytest.mark.usefixtures("drift")

CUSTOM = {"type": "event", "event_type": "com.acme.*"}


def test_an_event_runs_the_function_that_a_trigger_names(
    functions: Functions, pipeline: Pipeline
) -> None:
    seen: list[Any] = []
    functions.deploy("listen", lambda event, spec: seen.append(event))
    functions.trigger("on-order", "listen", CUSTOM)
    functions.publish("com.acme.order", {"n": 1}, subject="order/1")
    pipeline.step()
    assert [event["data"] for event in seen] == [{"n": 1}]
    assert seen[0]["subject"] == "order/1"
    assert seen[0]["specversion"] == "1.0"
    [delivery] = functions.deliveries()
    assert (delivery["state"], delivery["attempts"]) == ("succeeded", 1)
