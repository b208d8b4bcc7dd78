"""SQL that the rules' compiler made, within a statement that is composed."""

from psycopg import sql


class Compiled(sql.Composable):
    """Text of `row_filter`: it may have placeholders."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self._text = text

    def as_bytes(self, context: object = None) -> bytes:
        return self._text
