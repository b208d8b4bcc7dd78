"""Random transactions at once: some order must explain what they saw and what they left."""

import random
from dataclasses import dataclass, field
from itertools import permutations
from threading import Barrier
from typing import Any

import pytest

from tests.installation import Reply
from tests.integration.documents.conftest import Collection
from tests.integration.documents.test_concurrency import at_once
from tests.integration.documents.test_transactions import Transaction

IDS = ("a", "b", "c")
State = dict[str, int]


@dataclass
class Story:
    """What one client did, and what it was told."""

    steps: list[tuple[str, str, int]]
    answers: list[Any] = field(default_factory=list)
    committed: bool = False


def random_steps(rng: random.Random) -> list[tuple[str, str, int]]:
    verbs = ("get", "get", "count", "inc", "inc", "put", "delete", "create")
    return [
        (rng.choice(verbs), rng.choice(IDS), rng.randrange(5)) for _ in range(rng.randrange(2, 6))
    ]


def perform(transaction: Transaction, step: tuple[str, str, int]) -> Reply:
    verb, id, n = step
    match verb:
        case "get":
            return transaction.call("GET", f"notes/docs/{id}")
        case "count":
            return transaction.call("POST", "notes/count", {"filter": {"n": {"$gte": n}}})
        case "inc":
            return transaction.call("PATCH", f"notes/docs/{id}", {"$inc": {"n": n}})
        case "put":
            return transaction.call("PUT", f"notes/docs/{id}", {"n": n})
        case "create":
            return transaction.call("POST", "notes/docs", {"_id": id, "n": n})
    return transaction.call("DELETE", f"notes/docs/{id}")


def answer_of(reply: Reply) -> Any:
    if reply.status >= 400:
        return reply.code
    if reply.status == 204:
        return None
    return reply.json.get("n", reply.json.get("total"))


def explain(state: State, step: tuple[str, str, int]) -> Any:
    """What a single client would be told; changes the state."""
    verb, id, n = step
    match verb:
        case "count":
            return sum(value >= n for value in state.values())
        case "put":
            state[id] = n
            return n
        case "create":
            if id in state:
                return "document_exists"
            state[id] = n
            return n
    if id not in state:
        return "document_not_found"
    match verb:
        case "inc":
            state[id] += n
        case "delete":
            del state[id]
            return None
    return state[id]


def explains(order: tuple[Story, ...], initial: State, final: State) -> bool:
    state = dict(initial)
    for story in order:
        for step, answer in zip(story.steps, story.answers, strict=True):
            if explain(state, step) != answer:
                return False
    return state == final


def state_of(notes: Collection) -> State:
    return {item["_id"]: item["n"] for item in notes.query().json["items"]}


@pytest.mark.parametrize("seed", range(12))
def test_some_order_of_the_committed_ones_explains_everything(notes: Collection, seed: int) -> None:
    rng = random.Random(seed)
    notes.create([{"_id": id, "n": 1} for id in IDS[:2]])
    for _ in range(3):
        initial = state_of(notes)
        stories = [Story(random_steps(rng)) for _ in range(3)]
        together = Barrier(len(stories))

        def tell(
            number: int, stories: list[Story] = stories, together: Barrier = together
        ) -> Reply:
            story = stories[number]
            transaction = Transaction(notes.client, notes.project)
            together.wait(30)
            for step in story.steps:
                reply = perform(transaction, step)
                if reply.status == 409 and reply.code == "transaction_conflict":
                    return reply
                story.answers.append(answer_of(reply))
            reply = transaction.commit()
            story.committed = reply.status == 200
            return reply

        replies = at_once(len(stories), tell)
        assert {reply.status for reply in replies} <= {200, 409}, replies
        committed = [story for story in stories if story.committed]
        assert committed, "somebody comes through"
        final = state_of(notes)
        assert any(explains(order, initial, final) for order in permutations(committed)), (
            initial,
            final,
            committed,
        )
