"""Crashes twice, then succeeds: what the retries are for."""

import os


def handler(event, context):
    if context.attempt < 3:
        print(f"attempt {context.attempt}: about to crash")
        os._exit(1)
    return {"attempt": context.attempt}
