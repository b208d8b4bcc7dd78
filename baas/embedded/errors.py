"""What can keep the stack from starting."""


class StackError(Exception):
    """A sentence for the person at the terminal: what is wrong and what to do about it."""
