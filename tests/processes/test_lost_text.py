"""A module whose file was changed after it was loaded: what runs is known to nobody, so nothing is stored for it."""

from __future__ import annotations

from pathlib import Path

from tests.processes.runner import Folder, Processes

FILES = {
    "low.py": "def low(x): return x + 1\n",
    "m.py": "from hitsave import memo\nfrom low import low\n@memo\ndef top(x):\n    return low(x)\n",
    "main.py": (
        "import sys, low\n"
        "with open('low.py', 'w') as file: file.write(sys.argv[0] and 'def low(x): return x + 9\\n')\n"
        "from m import top\n"
        "print('=', top(3))\n"
    ),
}


def test_old_code_is_not_stored_under_the_new_text(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    folder = Folder(tmp_path / "project", FILES)
    processes = Processes(fresh=True)
    where = {"HITSAVE_DIR": str(tmp_path / "cache"), "HITSAVE_CONFIG_DIR": str(tmp_path / "config")}
    first = processes.run(folder.root, where)
    assert first.answers == ["= 4"]
    assert "top() runs uncached" in first.stderr
    assert processes.run(folder.root, where).answers == ["= 12"]
