"""What a state of the data has seen of the log, and the resume token that says so. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from baas.kernel.events import Position
from baas.kernel.events.log import MAX_SEQ


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Which events a state includes: all up to `position`, and beyond it those of transactions
    that its database snapshot could see."""

    position: Position
    xmax: int = 0  # the snapshot saw nothing from here on
    running: frozenset[int] = frozenset()  # transactions below xmax that it did not see

    def has(self, position: Position) -> bool:
        return position <= self.position or (
            position.xid < self.xmax and position.xid not in self.running
        )

    def advanced(self, to: Position) -> "Seen":
        """This state after all events up to `to` were applied to it."""
        if to <= self.position:
            return self
        if to.xid >= self.xmax:
            return Seen(position=to)
        return Seen(position=to, xmax=self.xmax, running=self.running)

    @classmethod
    def of_snapshot(cls, text: str) -> "Seen":
        """What a transaction sees whose `pg_current_snapshot()::text` is `text`."""
        xmin, xmax, running = text.split(":")
        return cls(
            position=Position(int(xmin) - 1, MAX_SEQ),
            xmax=int(xmax),
            running=frozenset(int(xid) for xid in running.split(",") if xid),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A resume token. Opaque to clients; forging one gains nothing, for rules are applied anew."""

    seen: Seen
    issued_at: int  # Unix seconds
    fingerprint: str  # of the query and the rules that it was made under

    def encode(self) -> str:
        seen = self.seen
        seq = "h" if seen.position.seq == MAX_SEQ else str(seen.position.seq)
        running = ".".join(str(xid) for xid in sorted(seen.running) if xid > seen.position.xid)
        return (
            f"{seen.position.xid}-{seq}-{seen.xmax}-{running}-{self.issued_at}-{self.fingerprint}"
        )

    @classmethod
    def decode(cls, text: str) -> "Token | None":
        """None for what is no token of ours."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        xid, seq, xmax, running, issued_at, fingerprint = match.groups()
        return cls(
            seen=Seen(
                position=Position(int(xid), MAX_SEQ if seq == "h" else int(seq)),
                xmax=int(xmax),
                running=frozenset(int(x) for x in running.split(".") if x),
            ),
            issued_at=int(issued_at),
            fingerprint=fingerprint,
        )


_NUMBER: Final = r"[0-9]{1,18}"
_TOKEN: Final = re.compile(
    rf"({_NUMBER})-(h|{_NUMBER})-({_NUMBER})-((?:{_NUMBER}(?:\.{_NUMBER})*)?)"
    rf"-([0-9]{{1,11}})-([0-9a-f]{{16}})"
)
