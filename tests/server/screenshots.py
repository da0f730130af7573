"""Pictures of every page of the dashboard, light, dark and on a phone, to be looked at before a release.

python -m tests.server.screenshots FOLDER
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hitsave.server.starting import login_link
from tests.server.demo import TRAIN, fill
from tests.services import ThreadServer, find_chromium, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RUNS = f"/dashboard/functions/{TRAIN}"
PAGES = {
    "experiments": "/dashboard/experiments",
    "functions": "/dashboard/functions",
    "runs": RUNS,
    "all columns": f"{RUNS}?all=1",
    "plot": f"{RUNS}/plot?colour=arg.optimiser",
    "code": f"{RUNS}/code",
    "live": "/dashboard/live",
    "usage": "/dashboard/usage",
    "conflicts": "/dashboard/conflicts",
    "keys": "/dashboard/keys",
}
LOOKS = {"light": (1360, 900), "dark": (1360, 900), "phone": (390, 844)}


def take(browser: Browser, server: ThreadServer, run: int, folder: Path) -> None:
    """One file per page and look."""
    pages = {**PAGES, "run": f"/dashboard/runs/{run}", "compare": f"/dashboard/compare?ids={run},{run + 59}"}
    for look, (width, height) in LOOKS.items():
        context = browser.new_context(
            base_url=server.url,
            color_scheme="dark" if look == "dark" else "light",
            viewport={"width": width, "height": height},
        )
        page = context.new_page()
        page.goto("/login")
        page.screenshot(path=folder / f"{look} login.png")
        page.goto(login_link(server.state, server.key))
        for name, path in pages.items():
            page.goto(path)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=folder / f"{look} {name}.png", full_page=True)
        context.close()


def main() -> None:
    """Into the folder that is named."""
    from playwright.sync_api import sync_playwright

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, running(Path(data)) as server, sync_playwright() as driver:
        run = fill(server)["run"]
        browser = driver.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        take(browser, server, run, folder)
        browser.close()


if __name__ == "__main__":
    main()
