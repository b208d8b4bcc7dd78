"""The documentation names everything that the code can say."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = ("baas", "auth", "documents", "storage", "functions", "realtime")


def sources() -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path, path.read_text()


def found(pattern: str) -> set[str]:
    return {match for _, text in sources() for match in re.findall(pattern, text)}


def page(name: str) -> str:
    return (DOCS / "reference" / name).read_text()


def missing(names: set[str], text: str) -> list[str]:
    return sorted(name for name in names if f"`{name}`" not in text)


def test_every_setting_is_documented() -> None:
    names = found(r"""["'](BAAS_[A-Z0-9_]+)["']""") - {"BAAS_AUTHENTICATE"}
    assert len(names) > 10
    assert missing(names, page("settings.md")) == []


def test_every_problem_code_is_documented() -> None:
    codes = found(r"""\bcode=["']([a-z0-9_]+)["']""") | found(r"""["'](function_[a-z_]+)["']""")
    codes |= set(re.findall(r'default_code = \d+, "[^"]+", "([a-z_]+)"', page_of_problems()))
    codes -= {"function_host", "function_name", "function_id"}  # names of other things
    codes -= {"unknown"}  # a field error's
    assert len(codes) > 30
    assert missing(codes, page("problems.md")) == []


def page_of_problems() -> str:
    return (ROOT / "baas/kernel/problems.py").read_text()


def test_every_event_type_is_documented() -> None:
    types = found(r"""["'](baas\.(?:db|storage|auth|function|timer|queue)\.[a-z_.]*[a-z])["']""")
    assert len(types) > 5
    assert missing(types, page("events.md")) == []


def test_every_metric_is_documented() -> None:
    names = found(r"""["'](baas_[a-z_]+(?:_total|_seconds|_bytes|_drift|_depth|_ratio))["']""")
    names |= found(r"""(?:Gauge|Counter|Histogram|MetricFamily)\(\s*["'](baas_[a-z_]+)["']""")
    assert names
    assert missing(names, page("metrics.md")) == []


def test_the_http_page_is_what_make_docs_writes() -> None:
    import django

    django.setup()
    from docs.__main__ import HTTP, http_page

    assert HTTP.read_text() == http_page(), "run `make docs`"


PAGES = sorted(p for p in [*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "deploy/README.md"])


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
