"""The dashboard in a real browser: log in, filter, sort, compare, plot, watch, revoke; for everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from hitsave.server.starting import login_link
from tests.server.demo import TRAIN, fill
from tests.services import ThreadServer, find_chromium, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.service,
    pytest.mark.slow,
    # The driver's own event loop and pipes are closed by its process, not by us.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
RUNS = f"/dashboard/functions/{TRAIN}"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ThreadServer, dict[str, int]]]:
    with running(tmp_path_factory.mktemp("demo")) as server:
        yield server, fill(server)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield found
        found.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complains about: blocked scripts, failed requests, exceptions."""
    return []


@pytest.fixture
def page(browser: Browser, demo: tuple[ThreadServer, dict[str, int]], complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1360, "height": 900}, base_url=demo[0].url)
    context.set_default_timeout(10_000)
    found = context.new_page()
    found.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    found.on("pageerror", lambda error: complaints.append(str(error)))
    found.goto(login_link(demo[0].state, demo[0].key))
    yield found
    context.close()
    # A preview that tries to run a script is stopped by its sandbox, and Chromium says so: that is the point.
    assert [c for c in complaints if "sandboxed" not in c] == []


def test_log_in_by_hand_and_out(browser: Browser, demo: tuple[ThreadServer, dict[str, int]]) -> None:
    context = browser.new_context(base_url=demo[0].url)
    page = context.new_page()
    page.goto(RUNS)
    page.get_by_label("API key").fill("hs_wrong")
    page.get_by_role("button", name="Log in").click()
    assert "isn’t known" in page.get_by_role("alert").inner_text().replace("'", "’")
    page.get_by_label("API key").fill(demo[0].key)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{RUNS}")
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    context.close()


def test_filter_as_you_type_sort_and_share_the_address(page: Page, demo: tuple[ThreadServer, dict[str, int]]) -> None:
    page.goto(RUNS)
    page.get_by_label("Filter lr").fill("<0.01")
    page.get_by_label("Filter lr").press("Tab")
    page.wait_for_url("**f.arg.lr=*")
    page.get_by_role("status").filter(has_text="of 60 runs").wait_for()
    page.get_by_role("link", name="accuracy").click()
    page.wait_for_url("**sort=-res.accuracy*")
    values = [float(v) for v in page.locator("td:nth-child(6)").all_inner_texts() if re.fullmatch(r"[\d.]+", v)]
    assert values == sorted(values, reverse=True)
    assert values
    shown = page.locator("table.runs tbody tr").count()
    page.goto(page.url)
    assert page.locator("table.runs tbody tr").count() == shown
    page.get_by_role("link", name="Clear filters").click()
    page.get_by_role("status").filter(has_text="60 runs").wait_for()


def test_columns_that_never_differ_hide_until_asked_for_and_choices_are_kept(page: Page) -> None:
    page.goto(RUNS)
    assert page.get_by_role("columnheader", name="seed").count() == 0
    page.get_by_label("Show all columns").check()
    page.get_by_role("columnheader", name="seed").wait_for()
    page.goto(RUNS)
    page.get_by_text("Columns", exact=True).click()
    page.locator("[data-hide='arg.layers']").uncheck()
    page.wait_for_url("**hide=arg.layers*")
    page.goto("/dashboard/experiments")
    page.goto(RUNS)
    page.wait_for_url("**hide=arg.layers*")
    assert page.get_by_role("columnheader", name="layers").count() == 0
    page.get_by_text("Columns", exact=True).click()
    page.locator("[data-hide='arg.layers']").check()
    page.wait_for_url(lambda url: "hide" not in url)


def test_compare_ticked_runs(page: Page) -> None:
    page.goto(f"{RUNS}?size=200")
    boxes = page.locator("input[name=ids]")
    boxes.nth(0).check()
    boxes.nth(59).check()
    page.get_by_role("button", name="Compare 2").click()
    page.wait_for_url("**/dashboard/compare?ids=*")
    assert "RATE_DECAY" in page.inner_text("main")
    assert page.locator("tr.differs").count() >= 2


def test_plot_a_result_against_an_argument_and_open_a_point(page: Page) -> None:
    page.goto(f"{RUNS}/plot")
    page.get_by_label("Across").select_option("arg.lr")
    page.wait_for_url("**x=arg.lr*")
    page.get_by_label("Colour").select_option("arg.optimiser")
    page.wait_for_url("**colour=arg.optimiser*")
    chart = page.locator(".u-over")
    chart.wait_for()
    assert page.locator(".chart-key").inner_text().split() >= ["arg.optimiser"]
    page.get_by_text("The same as a table").click()
    assert page.locator("[data-points-table] tbody tr").count() == 60
    canvas = page.evaluate("() => document.querySelector('canvas').toDataURL().length")
    assert canvas > 5_000


def test_a_run_shows_pictures_figures_and_code(page: Page, demo: tuple[ThreadServer, dict[str, int]]) -> None:
    page.goto(f"/dashboard/runs/{demo[1]['run']}")
    assert page.locator("img.picture").evaluate("image => image.naturalWidth") > 100
    page.locator("[data-plotly] canvas").wait_for()
    frame = page.frame_locator("iframe")
    assert frame.locator("h3").inner_text() == "Report"
    assert page.evaluate("() => window.pwned") is None
    assert "def train" in page.inner_text("pre.code")


def test_live_runs_appear_by_themselves(page: Page, demo: tuple[ThreadServer, dict[str, int]]) -> None:
    from tests.server.api import Api

    page.goto("/dashboard/live")
    body = {"key": {"symbol": "m:f", "fingerprint": "0", "arguments": "9"}, "title": "a_new_run(x=1)", "host": "h"}
    Api(demo[0])("POST", "/runs", json=body)
    page.get_by_text("a_new_run(x=1)").wait_for(timeout=10_000)


def test_make_and_revoke_a_key(page: Page) -> None:
    page.goto("/dashboard/keys")
    page.get_by_label("Person or machine").fill("zoe")
    page.get_by_role("button", name="Make key").click()
    assert page.locator("#new-key").inner_text().startswith("hs_write_")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke the key of zoe").click()
    page.get_by_role("row", name="zoe").get_by_text("revoked").wait_for()


def test_pages_work_without_javascript(browser: Browser, demo: tuple[ThreadServer, dict[str, int]]) -> None:
    context = browser.new_context(base_url=demo[0].url, java_script_enabled=False)
    page = context.new_page()
    page.goto(login_link(demo[0].state, demo[0].key))
    page.goto(RUNS)
    page.get_by_label("Filter optimiser").fill("adam")
    page.get_by_role("button", name="Filter").click()
    assert "of 60 runs" in page.inner_text("main")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1360, 390])
def test_no_serious_barrier_for_anyone(
    browser: Browser, demo: tuple[ThreadServer, dict[str, int]], scheme: str, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    context = browser.new_context(
        base_url=demo[0].url,
        color_scheme=scheme,  # type: ignore[arg-type]
        viewport={"width": width, "height": 900},
        bypass_csp=True,  # axe itself is a script put into the page
    )
    page = context.new_page()
    page.goto("/login")
    found: list[str] = []
    paths = [
        "/login",
        "/dashboard/experiments",
        RUNS,
        f"{RUNS}/plot",
        f"{RUNS}/code",
        "/dashboard/usage",
        "/dashboard/keys",
    ]
    paths += ["/dashboard/live", "/dashboard/conflicts", f"/dashboard/runs/{demo[1]['run']}"]
    paths += [f"/dashboard/compare?ids={demo[1]['run']},{demo[1]['last']}"]
    for i, path in enumerate(paths):
        if i == 1:
            page.goto(login_link(demo[0].state, demo[0].key))
        page.goto(path)
        for violation in axe.Axe().run(page).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                targets = [node["target"] for node in violation["nodes"][:3]]
                found.append(f"{path}: {violation['id']} {targets}")
    context.close()
    assert found == []


def test_nothing_is_wider_than_a_phone(browser: Browser, demo: tuple[ThreadServer, dict[str, int]]) -> None:
    context = browser.new_context(base_url=demo[0].url, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(login_link(demo[0].state, demo[0].key))
    for path in (
        "/dashboard/experiments",
        RUNS,
        f"{RUNS}/plot",
        "/dashboard/usage",
        "/dashboard/keys",
        f"/dashboard/runs/{demo[1]['run']}",
    ):
        page.goto(path)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390, path
    context.close()
