"""Logs: capped, in order, without secrets."""

import time

from functions.host.output import BYTES_CAP, LINES_CAP, LineSplitter, Redactor, Transcript


def transcript(**secrets: str) -> Transcript:
    return Transcript(Redactor(secrets.items()))


def test_lines_are_kept_in_order_whatever_the_cut() -> None:
    target, splitter = transcript(), LineSplitter("info", structured=False)
    for piece in (b"on", b"e\ntw", b"o\n", b"three"):
        splitter.feed(piece, target)
    splitter.finish(target)
    assert [(item.level, item.message) for item in target.items()] == [
        ("info", "one"),
        ("info", "two"),
        ("info", "three"),
    ]


def test_the_number_of_lines_is_capped_with_a_note() -> None:
    target = transcript()
    for number in range(LINES_CAP + 50):
        target.add("info", str(number))
    items = target.items()
    assert len(items) == LINES_CAP + 1
    assert "truncated" in items[-1].message
    assert target.is_full


def test_the_number_of_bytes_is_capped_with_a_note() -> None:
    target = transcript()
    for _ in range(20):
        target.add("info", "x" * 50_000)
    assert sum(len(item.message) for item in target.items()) <= BYTES_CAP + 1000
    assert "truncated" in target.items()[-1].message


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    target, splitter = transcript(), LineSplitter("info", structured=False)
    for _ in range(100):
        splitter.feed(b"x" * 65_536, target)
    assert target.is_full


def test_secrets_are_replaced_longest_first_and_line_by_line() -> None:
    target = transcript(KEY="abcd", LONG="abcdefgh", PEM="line-one\nline-two")
    target.add("info", "abcdefgh abcd line-two")
    assert target.items()[0].message == "[redacted:LONG] [redacted:KEY] [redacted:PEM]"


def test_very_short_secrets_are_left_alone() -> None:
    target = transcript(PIN="1")
    target.add("info", "11 lines")
    assert target.items()[0].message == "11 lines"


def test_structured_lines_give_level_and_message_and_forged_ones_are_text() -> None:
    target, splitter = transcript(), LineSplitter("info", structured=True)
    splitter.feed(b'{"level":"warning","message":"w"}\n{"level":["x"],"message":"w"}\n{\n', target)
    found = [(item.level, item.message) for item in target.items()]
    assert found == [
        ("warning", "w"),
        ("info", '{"level":["x"],"message":"w"}'),
        ("info", "{"),
    ]


def test_a_flood_of_short_lines_costs_nothing_once_the_log_is_full() -> None:
    target, splitter = transcript(), LineSplitter("info", structured=True)
    flood = b"\n" * 65_536
    splitter.feed(flood, target)
    assert target.is_full
    begun = time.process_time()
    for _ in range(300):
        splitter.feed(flood, target)
    assert time.process_time() - begun < 0.2
    assert len(target.items()) == LINES_CAP + 1


def test_a_secret_of_ten_thousand_lines_is_redacted_in_little_time() -> None:
    lines = [f"line-{number:05}" for number in range(10_000)]
    redactor = Redactor([("KEY", "\n".join(lines)), ("WORD", "swordfish")])
    begun = time.process_time()
    for _ in range(100):
        redactor.redact("nothing of interest " * 100)
    assert time.process_time() - begun < 0.5
    # As `print` shows such a secret, and a word of it in the middle of a line.
    assert redactor.redact(f"{lines[0]}\n  {lines[9_999]}\nx") == "\n".join(
        ["[redacted:KEY]", "[redacted:KEY]", "x"]
    )
    assert redactor.redact(f"is {lines[1]}, swordfish") == "is [redacted:KEY], [redacted:WORD]"
