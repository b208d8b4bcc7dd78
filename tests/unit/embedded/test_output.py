"""The log never blocks the stack, whoever reads it or does not."""

import asyncio
import os
import time
from pathlib import Path

from baas.embedded.output import Lines, Output


def test_a_reader_that_does_not_read_costs_lines_not_time() -> None:
    async def story() -> None:
        read_end, write_end = os.pipe()
        output = Output(write_end, colour=False)
        began = time.monotonic()
        for _ in range(20_000):
            output.write("web", b"x" * 500)
            await asyncio.sleep(0)
        assert time.monotonic() - began < 10
        os.set_blocking(read_end, False)
        seen = b""
        deadline = time.monotonic() + 10
        while b"after" not in seen:
            assert time.monotonic() < deadline
            try:
                seen += os.read(read_end, 1 << 20)
            except BlockingIOError:
                output.write("web", b"after")  # dropped like the others until there is room
            await asyncio.sleep(0)
        assert b"log lines were dropped: nobody read them" in seen
        assert all(
            line.startswith((b"web           | ", b"stack         | "))
            for line in seen.splitlines()
        )
        asyncio.get_running_loop().remove_writer(write_end)
        os.close(read_end)
        os.close(write_end)

    asyncio.run(story())


def test_a_reader_that_went_away_does_not_end_the_stack() -> None:
    async def story() -> None:
        read_end, write_end = os.pipe()
        os.close(read_end)
        output = Output(write_end, colour=False)
        for _ in range(3):
            output.write("web", b"nobody hears this")
        output.flush()
        os.close(write_end)

    asyncio.run(story())


def test_a_line_without_end_is_cut_not_kept_in_memory(tmp_path: Path) -> None:
    async def story() -> None:
        taken: list[bytes] = []
        lines = Lines(taken.append)
        payload = b"x" * 300_000 + b"\nshort\n\nrest"
        sent = 0
        os.set_blocking(lines.write_end, False)
        while sent < len(payload):
            try:
                sent += os.write(lines.write_end, payload[sent : sent + 65536])
            except BlockingIOError:
                await asyncio.sleep(0)
        lines.close_write_end()
        await asyncio.sleep(0.01)
        lines.close()
        assert b"".join(taken) == payload.replace(b"\n", b"")
        assert max(map(len, taken)) <= 3 * 65536
        assert taken[-3:] == [b"short", b"", b"rest"]

    asyncio.run(story())


def test_names_are_coloured_on_a_terminal_only(tmp_path: Path) -> None:
    for colour in (True, False):
        path = tmp_path / f"log-{colour}"
        with path.open("wb") as file:
            Output(file.fileno(), colour=colour).say("web", "hello")
        assert path.read_text().startswith("\x1b[") == colour
