from email.message import Message
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.downloads import attachment, is_inert


@given(st.text(max_size=100))
@example('a"b.txt')
@example("\r\nSet-Cookie: x=1")
@example("\u76f8\u518c.jpg")
@example("../../etc/passwd")
@example("\ud800")
def test_any_name_is_one_harmless_parameter(name: str) -> None:
    value = attachment(name)
    assert value.isascii()
    assert value.isprintable()
    message = Message()
    message["Content-Disposition"] = value
    assert message.get_content_disposition() == "attachment"
    saved = message.get_filename() or ""
    assert "/" not in saved
    assert "\\" not in saved


def test_names_come_through() -> None:
    assert attachment("cv.pdf") == 'attachment; filename="cv.pdf"'
    assert unquote(attachment("\u76f8\u518c 1.jpg").partition("UTF-8''")[2]) == "\u76f8\u518c 1.jpg"


@pytest.mark.parametrize(
    ("content_type", "inert"),
    [
        ("image/png", True),
        ("Image/JPEG; q=1", True),
        ("video/mp4", True),
        ("text/plain; charset=utf-8", True),
        ("application/pdf", True),
        ("application/octet-stream", False),
        ("text/html", False),
        ("image/svg+xml", False),
        ("image/SVG+XML; charset=utf-8", False),
        ("image/anything+xml", False),
        ("audio/xml", False),
        ("application/pdfx", False),
        ("text/plainx", False),
        ("text/javascript", False),
    ],
)
def test_only_what_runs_nothing_is_shown_outside_a_sandbox(content_type: str, inert: bool) -> None:
    assert is_inert(content_type) is inert
