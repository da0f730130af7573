"""The test command over Python versions and sets of dependencies: `nox -s test-3.12`, `nox -s test-bare` …"""

import nox

nox.options.sessions = ["test", "lint"]
PARALLEL = ["-n", "2", "--dist", "loadfile"]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


@nox.session(python=PYTHONS)
def test(session: nox.Session) -> None:
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *PARALLEL, *session.posargs)


@nox.session(name="test-bare", python="3.11")
def test_bare(session: nox.Session) -> None:
    """No extras: the core works with nothing but its own dependencies."""
    session.install("-e", ".", "pytest", "pytest-timeout", "pytest-xdist", "hypothesis")
    session.run("python", "-m", "pytest", "tests/test_getting_started.py", "tests/cli", "tests/explain")


@nox.session(name="test-lowest", python="3.10", venv_backend="uv")
def test_lowest(session: nox.Session) -> None:
    """The oldest versions that pyproject.toml promises to work with."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    session.run("python", "-m", "pytest", *PARALLEL, *session.posargs)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    session.install("-e", ".[dev]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports")
    session.run("codespell")


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """Write docs/cli.md anew from the parser, and check the pages."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "hitsave.cli.manual", "docs/cli.md")
    session.run("python", "-m", "pytest", "tests/test_docs.py")
