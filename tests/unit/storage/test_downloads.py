from email.message import Message
from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from storage.downloads import attachment


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
