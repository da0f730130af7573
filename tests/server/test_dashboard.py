"""The dashboard over HTTP: who may see what, forms, hostile content, sizes, the local view."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from hitsave.evaluation import Evaluation
from hitsave.server.dashboard.assets import files
from hitsave.server.dashboard.local import serve_local
from hitsave.server.dashboard.pages import ROUTES
from hitsave.server.dashboard.view import Column, parse_filter, parse_view
from hitsave.server.starting import login_link
from tests.server.api import Api, a_key, an_evaluation
from tests.server.demo import TRAIN, fill
from tests.services import ThreadServer, running, wait_until

RUNS = f"/dashboard/functions/{TRAIN}"


class Browser:
    """A visitor with cookies."""

    def __init__(self, server: ThreadServer, key: str = "") -> None:
        self.url = server.url
        self.session = requests.Session()
        self.session.trust_env = False
        if key:
            assert self.session.post(f"{self.url}/login", data={"key": key}, timeout=10).status_code == 200

    def get(self, path: str, **kwargs: object) -> requests.Response:
        """A page."""
        return self.session.get(self.url + path, timeout=20, **kwargs)  # type: ignore[arg-type]

    def post(self, path: str, **form: object) -> requests.Response:
        """A form with the session's token."""
        token = re.search(r'name="csrf" value="([^"]+)"', self.get("/dashboard/experiments").text)
        assert token
        return self.session.post(self.url + path, data={"csrf": token[1], **form}, timeout=20)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ThreadServer, dict[str, int]]]:
    with running(tmp_path_factory.mktemp("demo")) as server:
        yield server, fill(server)


@pytest.fixture
def visitor(demo: tuple[ThreadServer, dict[str, int]]) -> Browser:
    return Browser(demo[0], demo[0].key)


def test_nobody_sees_a_page_without_logging_in(demo: tuple[ThreadServer, dict[str, int]]) -> None:
    stranger = Browser(demo[0])
    for route in ROUTES:
        path = re.sub(r"{[\w:]+}", "1", route.path)
        method = next(iter(m for m in route.methods or () if m != "HEAD"))
        reply = stranger.session.request(method, stranger.url + path, allow_redirects=False, timeout=10)
        assert reply.status_code == 303, path
        assert reply.headers["Location"].startswith("/login")


def test_a_login_link_works_once(demo: tuple[ThreadServer, dict[str, int]]) -> None:
    server = demo[0]
    link = login_link(server.state, server.key).removeprefix(server.url)
    assert "Experiments" in Browser(server).get(link).text
    again = Browser(server).get(link)
    assert again.status_code == 403
    assert "used already" in again.text


def test_a_wrong_key_is_refused_and_the_cookie_is_locked_down(demo: tuple[ThreadServer, dict[str, int]]) -> None:
    server = demo[0]
    assert requests.post(f"{server.url}/login", data={"key": "hs_nonsense"}, timeout=10).status_code == 403
    reply = requests.post(f"{server.url}/login", data={"key": server.key}, allow_redirects=False, timeout=10)
    cookie = reply.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    form = {"key": server.key, "next": "//evil.example"}
    evil = requests.post(f"{server.url}/login", data=form, allow_redirects=False, timeout=10)
    assert evil.headers["Location"] == "/dashboard/experiments"


def test_logging_out_ends_the_session_on_the_server(demo: tuple[ThreadServer, dict[str, int]]) -> None:
    visitor = Browser(demo[0], demo[0].key)
    kept = dict(visitor.session.cookies)
    visitor.post("/logout")
    assert "Log in" in requests.get(f"{demo[0].url}/dashboard/experiments", cookies=kept, timeout=10).text


def test_forms_without_the_token_or_from_elsewhere_change_nothing(
    demo: tuple[ThreadServer, dict[str, int]], visitor: Browser
) -> None:
    path = f"{visitor.url}/dashboard/runs/{demo[1]['run']}/change"
    assert visitor.session.post(path, data={"action": "delete"}, timeout=10).status_code == 403
    token = re.search(r'name="csrf" value="([^"]+)"', visitor.get("/dashboard/experiments").text)
    assert token
    form = {"csrf": token[1], "action": "delete"}
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert visitor.session.post(path, data=form, headers=headers, timeout=10).status_code == 403
    assert visitor.get(f"/dashboard/runs/{demo[1]['run']}").status_code == 200


def test_a_read_key_looks_but_cannot_change_or_see_keys(demo: tuple[ThreadServer, dict[str, int]]) -> None:
    reader = Browser(demo[0], demo[0].new_key("read", "reader"))
    page = reader.get(f"/dashboard/runs/{demo[1]['run']}").text
    assert "Delete result" not in page
    assert reader.post(f"/dashboard/runs/{demo[1]['run']}/change", action="delete").status_code == 403
    assert reader.get("/dashboard/keys").status_code == 403


def test_every_page_shows(demo: tuple[ThreadServer, dict[str, int]], visitor: Browser) -> None:
    ids = demo[1]
    for path, words in {
        "/dashboard/experiments": ["train", "fibo", "Time saved"],
        "/dashboard/functions": ["clean", "summarise"],
        RUNS: ["optimiser", "accuracy", "1 never differ"],
        f"{RUNS}/plot": ["data-points", "arg.lr"],
        f"{RUNS}/code": ["RATE_DECAY", "Definition", "<svg"],
        f"/dashboard/runs/{ids['run']}": ["Arguments", "Get it in Python", "from vision.training import train"],
        f"/dashboard/runs/{ids['clash']}": ["gave another result"],
        f"/dashboard/compare?ids={ids['run']},{ids['last']}": ["Compare 2 runs", "RATE_DECAY"],
        "/dashboard/live": ["running", "failed"],
        f"/dashboard/live/{ids['failed']}": ["loss is nan"],
        "/dashboard/usage": ["Largest results"],
        "/dashboard/conflicts": ["simulate(steps=1000)"],
        "/dashboard/snapshots": ["No snapshots yet"],
        "/dashboard/keys": ["owner of this server"],
    }.items():
        reply = visitor.get(path)
        assert reply.status_code == 200, path
        for word in words:
            assert word in reply.text, f"{path}: {word}"
    for path in (
        "/dashboard/runs/9999999",
        "/dashboard/functions/no:such",
        "/dashboard/compare?ids=1",
        "/dashboard/live/x",
    ):
        assert visitor.get(path).status_code in (400, 404)
        assert "Request" in visitor.get(path).text


def test_filters_sorting_and_paging_agree_with_plain_python(
    demo: tuple[ThreadServer, dict[str, int]], visitor: Browser
) -> None:
    every = json.loads(visitor.get(f"{RUNS}/export?format=json").text)
    assert len(every) == 60
    filters: dict[str, Callable[[dict[str, Any]], bool]] = {
        "f.arg.lr=<0.01": lambda r: r["arg.lr"] < 0.01,
        "f.arg.lr=0.001..0.1": lambda r: 0.001 <= r["arg.lr"] <= 0.1,
        "f.arg.optimiser=adam": lambda r: r["arg.optimiser"] == "adam",
        "f.arg.optimiser=!=adam&f.res.accuracy=>=0.9": lambda r: (
            r["arg.optimiser"] != "adam" and r["res.accuracy"] >= 0.9
        ),
        "f.arg.layers=4": lambda r: r["arg.layers"] == 4,
        "f.arg.nothing=any": lambda r: False,
        "f.arg.nothing=none": lambda r: True,
        "q=sgd": lambda r: "sgd" in r["call"],
        "f.elapsed=>100": lambda r: r["elapsed_s"] > 100,
    }
    for query, wanted in filters.items():
        found = json.loads(visitor.get(f"{RUNS}/export?format=json&{query}").text)
        assert {r["id"] for r in found} == {r["id"] for r in every if wanted(r)}, query
    for sort, key in {
        "arg.lr": "arg.lr",
        "res.loss": "res.loss",
        "arg.optimiser": "arg.optimiser",
        "elapsed": "elapsed_s",
    }.items():
        for sign in ("", "-"):
            for extra in ("", "&q=train"):
                found = json.loads(visitor.get(f"{RUNS}/export?format=json&sort={sign}{sort}{extra}").text)
                values = [r[key] for r in found]
                assert values == sorted(values, reverse=bool(sign)), sort
                assert walk(visitor, f"sort={sign}{sort}{extra}") == [r["id"] for r in found]


def walk(visitor: Browser, query: str) -> list[int]:
    """The ids of all pages, following the links."""
    ids: list[int] = []
    path = f"{RUNS}?{query}"
    while path:
        page = visitor.get(path).text
        ids += [int(i) for i in re.findall(r'name="ids" value="(\d+)"', page)]
        link = re.search(r'rel="next" href="([^"]+)"', page)
        path = html.unescape(link[1]) if link else ""
    return ids


def test_csv_holds_every_column_and_no_formula(small_server: ThreadServer) -> None:
    api = Api(small_server)
    details = json.dumps({"arguments": {"x": "=HYPERLINK(1)", "y": -3, "z": "@cmd"}, "result": 1})
    api.put(an_evaluation(a_key(symbol="m:f"), b"x", is_experiment=True, details=details, title="f()"), b"x")
    visitor = Browser(small_server, small_server.key)
    reply = visitor.get("/dashboard/functions/m:f/export")
    [row] = csv.DictReader(io.StringIO(reply.text))
    assert (row["arg.x"], row["arg.y"], row["arg.z"]) == ("'=HYPERLINK(1)", "-3", "'@cmd")
    assert reply.headers["Content-Disposition"] == 'attachment; filename="m_f.csv"'


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "</pre></td></tr><svg/onload=alert(1)>",
    "{{7*7}}{% raw %}",
    "' onmouseover='alert(1)",
    "\u202e\u2066evil",
    "</script><script>alert(1)</script>",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_hostile_text_is_only_ever_text(small_server: ThreadServer, nasty: str) -> None:
    api = Api(small_server, small_server.new_key("write", nasty[:50]))
    symbol = "m:" + nasty.replace("/", "_")
    details = {
        "arguments": {nasty: nasty, "n": 1.5},
        "result": {nasty: nasty, "n": 2.5},
        "host": nasty,
        "git": nasty,
        "previews": [
            {"kind": "text", "title": nasty, "data": nasty},
            {"kind": "table", "title": nasty, "data": {"columns": [nasty], "rows": [[nasty]], "note": nasty}},
            {"kind": "image/png", "title": nasty, "data": nasty},
            {"kind": "text/html", "title": nasty, "data": nasty},
            {"kind": "plotly", "title": nasty, "data": {"data": [{"name": nasty, "y": [1]}]}},
            {"kind": nasty, "data": nasty},
        ],
    }
    key = a_key(symbol=symbol)
    evaluation = an_evaluation(key, b"x", title=nasty, preview=nasty, is_experiment=True, details=json.dumps(details))
    run = api.put(evaluation, b"x").json()["id"]
    api.put(
        an_evaluation(a_key(1, symbol=symbol), b"y", is_experiment=True, title=nasty, details=json.dumps(details)), b"y"
    )
    api.put(an_evaluation(key, b"z", title=nasty, is_experiment=True), b"z")
    body = {"key": {"symbol": symbol, "fingerprint": "0", "arguments": "0"}, "title": nasty, "host": nasty[:90]}
    live = api("POST", "/runs", json=body).json()["id"]
    api("PATCH", f"/runs/{live}", json={"status": "failed", "error": nasty})
    visitor = Browser(small_server, small_server.key)
    quoted = quote(symbol, safe="")
    query = quote(nasty)
    for path in (
        f"/dashboard/experiments?q={query}&sort={query}",
        f"/dashboard/functions/{quoted}?q={query}&f.arg.x={query}&hide={query}&v={query}&sort=arg.{query}",
        f"/dashboard/functions/{quoted}?all=1",
        f"/dashboard/functions/{quoted}/plot?x={query}",
        f"/dashboard/functions/{quoted}/code?v={query}",
        f"/dashboard/runs/{run}",
        f"/dashboard/compare?ids={run},{run + 1}&all=1",
        "/dashboard/live",
        f"/dashboard/live/{live}",
        "/dashboard/usage",
        "/dashboard/conflicts",
        "/dashboard/keys",
        "/dashboard/experiments",
        f"/dashboard/nothing/{query}",
        f"/login?next={query}",
    ):
        reply = visitor.get(path)
        assert reply.status_code < 500, path
        assert "script-src 'self'" in reply.headers["Content-Security-Policy"] or reply.status_code == 404
        page = reply.text
        for danger in ("<script>alert", "<img src=x", "<svg/onload", "onmouseover='alert", 'href="javascript', "49"):
            if danger == "49":
                assert "49{%" not in page
            else:
                assert danger not in page, f"{path}: {danger}"
    preview = visitor.get(f"/dashboard/runs/{run}/preview/3")
    if preview.status_code == 200:
        assert "sandbox" in preview.headers["Content-Security-Policy"]
        assert "script-src" not in preview.headers["Content-Security-Policy"]


def test_html_previews_can_run_nothing_and_reach_nothing(
    demo: tuple[ThreadServer, dict[str, int]], visitor: Browser
) -> None:
    reply = visitor.get(f"/dashboard/runs/{demo[1]['run']}/preview/2")
    assert "<script>" in reply.text
    policy = reply.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox;" in policy
    assert 'sandbox=""' in visitor.get(f"/dashboard/runs/{demo[1]['run']}").text


def test_all_assets_are_ours_and_small(visitor: Browser) -> None:
    assert sum(len(compressed) for _, compressed, _, _ in files().values()) <= 100_000
    page = visitor.get("/dashboard/experiments").text
    for url in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert url.startswith(("/", "#")), url
    assert " onclick=" not in page
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)
    asset = re.search(r'href="(/static/app.css[^"]+)"', page)
    assert asset
    reply = visitor.get(asset[1])
    assert "immutable" in reply.headers["Cache-Control"]
    assert reply.headers["Content-Encoding"] == "gzip"
    assert gzip.compress(reply.content)
    assert visitor.get("/static/nothing.js").status_code == 404


def test_results_are_pinned_noted_and_deleted_from_the_page(small_server: ThreadServer) -> None:
    api = Api(small_server)
    run = api.put(an_evaluation(a_key(symbol="m:f"), b"x", is_experiment=True, title="f(x=1)"), b"x").json()["id"]
    visitor = Browser(small_server, small_server.key)
    assert (
        "★ Pinned"
        in visitor.post(f"/dashboard/runs/{run}/change", action="pin", pinned="1", back=f"/dashboard/runs/{run}").text
    )
    form = {"action": "note", "note": "best so far", "tags": "good, paper", "back": f"/dashboard/runs/{run}"}
    page = visitor.post(f"/dashboard/runs/{run}/change", **form).text
    assert "best so far" in page
    assert "good, paper" in page
    visitor.post(f"/dashboard/runs/{run}/change", action="delete")
    assert visitor.get(f"/dashboard/runs/{run}").status_code == 404


def test_keys_are_made_shown_once_and_revoked_on_the_page(small_server: ThreadServer) -> None:
    visitor = Browser(small_server, small_server.key)
    page = visitor.post("/dashboard/keys/create", user="ci", scope="read", days="30", label="pull requests").text
    key = re.search(r'id="new-key">(hs_read_[^<]+)<', page)
    assert key
    assert Api(small_server, key[1])("GET", "//api/v1/me").status_code == 200
    listed = visitor.get("/dashboard/keys").text
    assert key[1] not in listed
    ids = re.findall(r'name="id" value="(\d+)"', listed)
    visitor.post("/dashboard/keys/revoke", id=max(ids, key=int))
    assert Api(small_server, key[1])("GET", "//api/v1/me").status_code == 401


def test_a_key_of_one_project_shows_that_project_only(small_server: ThreadServer) -> None:
    owner = Api(small_server)
    owner("PUT", "//api/v1/projects/secret", json={})
    there = Api(small_server, project="secret")
    run = there.put(an_evaluation(a_key(symbol="m:concealed"), b"x", is_experiment=True), b"x").json()["id"]
    key = owner("POST", "//api/v1/tokens", json={"scope": "admin", "project": "default"}).json()["key"]
    bound = Browser(small_server, key)
    assert bound.get(f"/dashboard/runs/{run}").status_code == 404
    assert bound.get("/dashboard/experiments?project=secret").status_code == 404
    assert "concealed" not in bound.get("/dashboard/experiments").text
    everywhere = Browser(small_server, small_server.key)
    assert "concealed" in everywhere.get("/dashboard/experiments?project=secret").text
    assert everywhere.get(f"/dashboard/runs/{run}?project=secret").status_code == 200


def test_a_page_of_thirty_columns_stays_small(tmp_path: Path) -> None:
    from hitsave.server import entries
    from hitsave.wire import Manifest, blob_name, render_manifest

    with running(tmp_path) as server:

        def fill_in(connection: object) -> None:
            for i in range(500):
                arguments = {f"a{n}": (i * n) % 97 / 10 for n in range(20)}
                details = json.dumps({"arguments": arguments, "result": {f"r{n}": i / (n + 1) for n in range(10)}})
                e = an_evaluation(a_key(i, symbol="m:f"), b"x", is_experiment=True, details=details, title=f"f(a0={i})")
                manifest = Manifest("default", "k", blob_name(b"x"), e)
                entries.store(connection, 1, entries.Offer(manifest, render_manifest(manifest), "t", b"x", 0, "u"))  # type: ignore[arg-type]

        server.state.database.write_now(fill_in)
        visitor = Browser(server, server.key)
        for query in ("", "?size=200", "?sort=-arg.a3", "?f.arg.a3=>5&sort=res.r1"):
            reply = visitor.get(f"/dashboard/functions/m:f{query}")
            assert len(reply.content) <= 300_000, query
            assert reply.text.count("<tr><td><input") in (50, 200)


def test_the_little_language_of_filters() -> None:
    column = Column("arg", "lr")
    for text, op, number in (
        (">0.1", ">", 0.1),
        ("<= 3", "<=", 3.0),
        ("0.5", "=", 0.5),
        ("1..5", "between", 1.0),
        ("adam", "contains", None),
        ("=adam", "=", None),
        ("!=2", "!=", 2.0),
        ("~0.1", "contains", None),
        ("none", "missing", None),
        ("any", "present", None),
    ):
        found = parse_filter(column, text)
        assert (found.op, found.number) == (op, number), text


def test_a_view_survives_its_own_url() -> None:
    from urllib.parse import parse_qsl

    pairs = [
        ("sort", "-res.loss"),
        ("f.arg.lr", ">0.1"),
        ("v", "3f2a"),
        ("q", "a&b"),
        ("all", "1"),
        ("hide", "arg.x"),
        ("size", "200"),
    ]
    view = parse_view(pairs)
    assert parse_view(parse_qsl(view.query())) == view
    assert parse_view([("sort", "-"), ("size", "x"), ("after", "?"), ("zz", "1")]).size == 50


def test_the_local_view_shows_a_store_without_a_server(tmp_path: Path) -> None:
    stored: list[Evaluation] = [
        an_evaluation(
            a_key(i, symbol="hello:fibo"), b"x", is_experiment=True, title=f"fibo(n={i})", preview=str(i)
        ).replace(result="")
        for i in range(5)
    ]
    said: list[str] = []
    ready = threading.Event()
    import uvicorn

    servers: list[uvicorn.Server] = []
    original = uvicorn.Server.__init__

    def remember(self: uvicorn.Server, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)  # type: ignore[arg-type]
        servers.append(self)

    uvicorn.Server.__init__ = remember  # type: ignore[method-assign]
    try:
        thread = threading.Thread(
            target=serve_local,
            args=(lambda: list(stored),),
            kwargs={"say": said.append, "on_ready": lambda *_: ready.set()},
        )
        thread.start()
        assert ready.wait(20)
        wait_until(lambda: servers and servers[0].started)
        link = said[0].split(": ", 1)[1]
        session = requests.Session()
        page = session.get(link, timeout=10).text
        assert "fibo" in page
        base = link.partition("/login")[0]
        assert "5 runs" in session.get(f"{base}/dashboard/functions/hello:fibo", timeout=10).text
        stored.append(an_evaluation(a_key(99, symbol="hello:later"), b"x", is_experiment=True))
        wait_until(lambda: "later" in session.get(f"{base}/dashboard/experiments", timeout=10).text)
        assert requests.get(f"{base}/dashboard/experiments", timeout=10).text.count("fibo") == 0
    finally:
        uvicorn.Server.__init__ = original  # type: ignore[method-assign]
        for server in servers:
            server.should_exit = True
        thread.join(10)
