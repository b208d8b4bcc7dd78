"""Files: a function sees its package, an interpreter and an empty /tmp, and nothing else."""

import pytest

from tests.security.harness import ROOT, Host

READ = """
def handler(event, context):
    try:
        with open(event, "rb") as file:
            return [None, file.read(64).decode("latin-1")]
    except OSError as error:
        return [error.errno, None]
"""


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/etc/hostname",
        "/etc/ssh/sshd_config",
        "/proc/1/environ",
        "/proc/self/environ",
        "/proc/self/mountinfo",
        "/proc/self/mem",
        "/proc/self/maps",
        "/proc/1/cmdline",
        "/proc/kallsyms",
        "/proc/keys",
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/notes",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/dev/mem",
        "/dev/kmsg",
        "/dev/sda",
        "/dev/vda",
        "/dev/tty",
        "/dev/ptmx",
        "/dev/shm/x",
        "/root/.bashrc",
        "/.store/x",
        "/.proc/self/environ",
        "/.guest/functions/sandbox/child.py",
        "/var/log/dpkg.log",
        "/bin/sh",
        "/usr/bin/env",
        str(ROOT / "baas" / "settings.py"),
        str(ROOT / "functions" / "sandbox" / "child.py"),
        str(ROOT / "pyproject.toml"),
        str(ROOT / ".venv" / "pyvenv.cfg"),
        "/run/secrets/kubernetes.io/serviceaccount/token",
        "/tmp/../etc/shadow",
    ],
)
def test_it_does_not_see(host: Host, path: str) -> None:
    errno_found, content = host.value(READ, path, function="reader")
    assert content is None
    assert errno_found in (1, 2, 6, 13, 20)


def test_etc_passwd_is_not_the_hosts(host: Host) -> None:
    _, content = host.value(READ, "/etc/passwd", function="reader")
    assert content == "function:x:1000:1000::/tmp:/nonexistent\n"


def test_the_tree_holds_nothing_but_the_plan(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        top = sorted(os.listdir("/"))
        empty = [os.listdir(p) for p in ("/.store", "/.proc", "/.guest/functions/sandbox", "/tmp")]
        return [top, empty, sorted(os.listdir("/dev")), os.getcwd()]
    """
    top, empty, dev, cwd = host.value(text)
    allowed = {
        ".guest",
        ".node",
        ".proc",
        ".store",
        "dev",
        "etc",
        "fn",
        "lib",
        "lib32",
        "lib64",
        "libx32",
    }
    assert set(top) <= allowed | {"opt", "root", "home", "tmp", "usr"}
    assert empty == [[], [], [], []]
    assert dev == ["full", "null", "random", "urandom"]
    assert cwd == "/tmp"


def test_third_party_packages_of_the_host_are_hidden(host: Host) -> None:
    text = """
    import importlib.util, os, sys
    def handler(event, context):
        names = ("django", "psycopg", "pip", "functions.host", "orjson", "celery")
        found = []
        for name in names:
            try:
                found += [name] if importlib.util.find_spec(name) else []
            except ModuleNotFoundError:
                pass
        packages = [os.path.join(p, "site-packages") for p in sys.path]
        return [found, [p for p in packages if os.path.isdir(p) and os.listdir(p)]]
    """
    assert host.value(text) == [[], []]


def test_nothing_but_tmp_can_be_written(host: Host) -> None:
    text = """
    import os, sys
    def handler(event, context):
        written = []
        for directory, names, files in os.walk("/"):
            for path in [os.path.join(directory, f) for f in (".new", *files[:3])]:
                if directory.startswith(("/tmp", "/dev")):
                    continue
                try:
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
                    written.append(path)
                except OSError:
                    pass
        return written
    """
    assert host.value(text) == []


def test_its_own_code_cannot_be_changed_by_any_call(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        f = "/fn/main.py"
        return [refusal(a) for a in (
            lambda: os.chmod(f, 0o777), lambda: os.unlink(f), lambda: os.rename(f, "/fn/x"),
            lambda: os.truncate(f, 0), lambda: os.utime(f), lambda: os.symlink("/", "/fn/l"),
            lambda: os.link(f, "/tmp/l"), lambda: os.chown(f, 0, 0), lambda: os.mkdir("/fn/d"),
            lambda: os.setxattr(f, "user.x", b"1"))]
    """
    found = host.value(text)
    assert "done" not in found
    assert set(found) <= {"EROFS", "EPERM", "EACCES", "EXDEV"}


def test_nothing_in_tmp_can_be_executed(host: Host) -> None:
    text = """
    import os, shutil, sys
    def handler(event, context):
        python = sys.executable
        shutil.copy(python, "/tmp/py")
        os.chmod("/tmp/py", 0o4755)
        return refusal(lambda: os.execv("/tmp/py", ["py", "-c", "pass"]))
    """
    assert host.value(text, memory_mb=256) == "EACCES"


def test_another_projects_code_and_tmp_are_not_there(host: Host) -> None:
    secret = "SECRET = 'bobs'\ndef handler(e, c): open('/tmp/bob', 'w').write(SECRET)"
    host.value(secret, project="bob", function="keeper")
    text = """
    import os
    def handler(event, context):
        seen = []
        for directory, names, files in os.walk("/"):
            seen += [os.path.join(directory, f) for f in files if "bo" "b" in f]
        return [seen, open("/fn/main.py").read().count("bo" + "bs")]
    """
    assert host.value(text) == [[], 0]


def test_symlinks_in_tmp_lead_nowhere(host: Host) -> None:
    text = """
    import os
    def handler(event, context):
        out = []
        targets = ("/etc/shadow", "/proc/1/root", "../../../../etc/shadow", "/.store/x")
        for n, target in enumerate(targets):
            os.symlink(target, f"/tmp/l{n}")
            out.append(refusal(lambda: open(f"/tmp/l{n}").close()))
        return out
    """
    assert "done" not in host.value(text)


def test_special_files_cannot_be_made(host: Host) -> None:
    text = """
    import os, stat
    def handler(event, context):
        kinds = (stat.S_IFCHR, stat.S_IFBLK)
        return [refusal(lambda: os.mknod(f"/tmp/{k}", 0o666 | k, os.makedev(1, 1))) for k in kinds]
    """
    assert host.value(text) == ["EPERM", "EPERM"]


def test_locks_on_shared_files_are_refused(host: Host) -> None:
    text = """
    import fcntl, json
    def handler(event, context):
        with open(json.__file__) as file:
            return [
                refusal(lambda: fcntl.flock(file, fcntl.LOCK_SH)),
                refusal(lambda: fcntl.lockf(file, fcntl.LOCK_SH)),
                refusal(lambda: fcntl.fcntl(file, 1024, fcntl.F_RDLCK)),
                refusal(lambda: fcntl.fcntl(file, 1026, 1)),
            ]
    """
    assert host.value(text) == ["ENOLCK"] * 4


def test_no_path_of_the_host_is_in_the_memory_that_user_code_can_look_at(host: Host) -> None:
    text = """
    import gc, sys
    def handler(event, context):
        seen = [repr(sys.argv), repr(sys.orig_argv), repr(sys.path)]
        frame = sys._getframe()
        while frame:
            seen.append(frame.f_code.co_filename + repr(frame.f_locals))
            seen.append(repr(list(frame.f_globals)))
            frame = frame.f_back
        for found in gc.get_objects(generation=None):
            if isinstance(found, (dict, list, tuple)) and len(found) < 50:
                seen += [item for item in (found.values() if isinstance(found, dict) else found)
                         if isinstance(item, str)]
        for module in list(sys.modules.values()):
            seen.append(str(getattr(module, "__file__", "")))
        everything = "\\n".join(seen)
        return [path for path in event if path[::-1] in everything]
    """
    # Reversed, for what is passed in is in the memory, too.
    paths = [str(path)[::-1] for path in (ROOT, host.directory, host.directory.name)]
    control = "/fn/main.py"[::-1]  # what surely is there, to know that the look is not blind
    assert host.value(text, [*paths, control]) == [control]
