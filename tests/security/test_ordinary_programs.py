"""What ordinary programs do must work inside: a jail that breaks them would be switched off."""

import pytest

from tests.security.harness import Host

PROGRAMS = {
    "threads": "from concurrent.futures import ThreadPoolExecutor as T\n"
    "result = sum(T(8).map(lambda n: n * n, range(100)))",
    "asyncio": "import asyncio\nasync def f(): return await asyncio.to_thread(lambda: 3)\n"
    "result = [asyncio.run(f()) for _ in range(3)][0]",
    "files": "import pathlib, shutil, tempfile\nd = pathlib.Path(tempfile.mkdtemp())\n"
    "(d / 'a' / 'b').mkdir(parents=True); (d / 'a' / 'x').write_bytes(b'1' * 1000)\n"
    "shutil.copytree(d / 'a', d / 'c'); result = (d / 'c' / 'x').stat().st_size\n"
    "shutil.move(d / 'c', d / 'e'); shutil.rmtree(d)",
    "sqlite_memory": "import sqlite3\nc = sqlite3.connect(':memory:')\n"
    "result = c.execute('select 6 * 7').fetchone()[0]",
    "sqlite_file": "import sqlite3\nc = sqlite3.connect('file:/tmp/x.db?nolock=1', uri=True)\n"
    "c.execute('create table t (a)'); c.execute('insert into t values (5)'); c.commit()\n"
    "result = c.execute('select a from t').fetchone()[0]",
    "compression": "import bz2, gzip, lzma, zipfile, io, zlib\nb = io.BytesIO()\n"
    "zipfile.ZipFile(b, 'w').writestr('a', 'b')\n"
    "result = [len(f.compress(b'x' * 1000)) > 0 for f in (bz2, gzip, lzma, zlib)] == [True] * 4",
    "crypto": "import hashlib, hmac, secrets, ssl, uuid\nssl.create_default_context()\n"
    "uuid.uuid1(); uuid.uuid4(); secrets.token_hex()\n"
    "result = hashlib.sha256(b'a').hexdigest()[:6]",
    "time": "import datetime, time, zoneinfo\nz = zoneinfo.ZoneInfo('Asia/Shanghai')\n"
    "d = datetime.datetime(2026, 1, 1, tzinfo=z); time.localtime()\n"
    "result = d.utcoffset().total_seconds()",
    "text": "import csv, decimal, email.message, io, locale, unicodedata\n"
    "import xml.etree.ElementTree as E\n"
    "locale.setlocale(locale.LC_ALL, 'C.UTF-8')\n"
    "result = E.fromstring('<a><b>7</b></a>').find('b').text",
    "system": "import getpass, os, platform, resource, socket, sys\n"
    "os.cpu_count(); resource.getrusage(resource.RUSAGE_SELF); platform.platform(); os.uname()\n"
    "os.getloadavg() if os.path.exists('/proc/loadavg') else None\n"
    "result = [socket.gethostname(), sys.stdin.read(), os.path.expanduser('~')]",
    "subprocess": "import subprocess, sys\n"
    "result = subprocess.run([sys.executable, '-c', 'import json; print(json.dumps([1]))'],"
    " capture_output=True, text=True).stdout.strip()",
    "fork": "import os\nr, w = os.pipe()\npid = os.fork()\nif pid == 0:\n"
    "    os.write(w, b'child'); os._exit(0)\nos.waitpid(pid, 0); result = os.read(r, 9).decode()",
    "signals": "import signal, time\nseen = []\n"
    "signal.signal(signal.SIGALRM, lambda *a: seen.append(1))\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.01); time.sleep(0.05); result = len(seen)",
    "ctypes": "import ctypes\nresult = ctypes.CDLL(None).abs(-5)",
    "mmap": "import mmap\nm = mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
    "m[:3] = b'abc'; result = m[:3].decode()",
    "sockets": "import socket\na, b = socket.socketpair(); a.send(b'hi')\n"
    "result = b.recv(9).decode()",
    "logging": "import logging, warnings\nwarnings.warn('careful')\n"
    "logging.getLogger('x').info('note'); result = 1",
    "pickle": "import copy, pickle, dataclasses\n@dataclasses.dataclass\nclass D:\n    a: int\n"
    "result = copy.deepcopy(D(4)).a",
}
EXPECTED = {
    "threads": 328350,
    "asyncio": 3,
    "files": 1000,
    "sqlite_memory": 42,
    "sqlite_file": 5,
    "compression": True,
    "crypto": "ca9781",
    "time": 28800.0,
    "text": "7",
    "system": ["function", "", "/tmp"],
    "subprocess": "[1]",
    "fork": "child",
    "signals": 1,
    "ctypes": 5,
    "mmap": "abc",
    "sockets": "hi",
    "logging": 1,
    "pickle": 4,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_it_runs(host: Host, name: str) -> None:
    body = "\n".join(f"    {line}" for line in PROGRAMS[name].splitlines())
    found = host.value(f"def handler(event, context):\n{body}\n    return result", function="plain")
    assert found == EXPECTED[name]


def test_modules_packages_and_data_files_of_the_package_are_found(host: Host) -> None:
    result = host.run_files(
        {
            "main.py": "from pathlib import Path\nfrom lib.text import shout\n"
            "def handler(e, c):\n"
            "    return shout(Path(__file__).with_name('data.txt').read_text())",
            "lib/__init__.py": "",
            "lib/text.py": "from . import marks\ndef shout(t): return t.upper() + marks.MARK",
            "lib/marks.py": "MARK = '!'",
            "data.txt": "hello",
        }
    )
    assert result.result == b'"HELLO!"', result


def test_descriptors_in_flight_are_bounded(host: Host) -> None:
    text = """
    import socket
    def handler(event, context):
        a, b = socket.socketpair()
        made = 0
        try:
            for _ in range(10_000):
                with open("/dev/null") as file:
                    socket.send_fds(a, [b"x"], [file.fileno()], socket.MSG_DONTWAIT)
                made += 1
        except OSError:
            pass
        return made
    """
    assert host.value(text) < 300
