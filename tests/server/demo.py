"""A server filled with what a small team leaves behind: sweeps, versions, pictures, failures, conflicts."""

from __future__ import annotations

import json
import math
import random
import time
import zlib
from typing import Any

from hitsave.digest import digest_text
from hitsave.evaluation import Child, Evaluation, FileRead, Key, Observed
from hitsave.wire import key_to_json
from tests.server.api import Api
from tests.services import ThreadServer

TRAIN = "vision.training:train"
OLD = '''"""Training."""
from vision.data import load
from vision.layers import Net

RATE_DECAY = 0.95


@experiment
def train(lr, layers=3, optimiser="adam", seed=0):
    """Train a small network."""
    net = Net(layers)
    data = load("digits.csv")
    for epoch in range(20):
        step(net, data, lr * RATE_DECAY ** epoch)
    return evaluate(net)


def step(net, data, lr):
    for x, y in data:
        net.learn(x, y, lr)


def evaluate(net):
    return {"accuracy": net.accuracy(), "loss": net.loss()}
'''
NEW = OLD.replace("net.learn(x, y, lr)", "net.learn(x, y, min(lr, 0.1))").replace("0.95", "0.9")
LAYERS = (
    "class Net:\n    def __init__(self, layers):\n        self.layers = layers\n\n    def learn(self, x, y, lr): ...\n"
)
DATA = "def load(path):\n    return open(path).read().splitlines()\n"


def fill(server: ThreadServer, runs: int = 60) -> dict[str, Any]:
    """Fill the server; some ids to look at."""
    ann = Api(server, server.new_key("write", "ann"))
    bob = Api(server, server.new_key("write", "bob"))
    now = time.time()
    rng = random.Random(7)
    first: dict[str, Any] = {}
    titles: list[str] = []
    codes = [_share_code(ann, OLD), _share_code(ann, NEW)]
    for i in range(runs):
        api = ann if rng.random() < 0.6 else bob
        code = codes[0] if i < runs * 0.4 else codes[1]
        lr, layers = 10 ** rng.uniform(-4, -0.5), rng.choice([2, 3, 4, 6])
        optimiser = rng.choice(["adam", "sgd", "rmsprop"])
        accuracy = max(
            0.1, min(0.995, 0.97 - 0.06 * abs(math.log10(lr) + 2) ** 2 + rng.gauss(0, 0.015) + 0.004 * layers)
        )
        arguments = {"lr": float(f"{lr:.3g}"), "layers": layers, "optimiser": optimiser, "seed": 0}
        result = {"accuracy": round(accuracy, 4), "loss": round(-math.log(accuracy) * 3, 4)}
        title = f"train(lr={arguments['lr']}, layers={layers}, optimiser='{optimiser}', seed=0)"
        titles.append(title)
        started = now - (runs - i) * 5400
        stored = put(api, TRAIN, code, title, arguments, result, started, rng.uniform(20, 400), previews=i % 9 == 0)
        first.setdefault("run", stored)
        first["last"] = stored
    for i in range(25):
        text = "vision.data:clean" if i % 3 else "reports.monthly:summarise"
        put(
            ann,
            text,
            f"c{i % 2}",
            f"{text.partition(':')[2]}(path='data/{2000 + i}.csv')",
            {},
            {},
            now - i * 9000,
            rng.uniform(1, 90),
            experiment=False,
        )
    for i in range(11):
        fibo = {1: 1, 2: 1}
        for n in range(3, 12):
            fibo[n] = fibo[n - 1] + fibo[n - 2]
        put(bob, "hello:fibo", "f", f"fibo(n={i + 1})", {"n": i + 1}, fibo[i + 1], now - 1e5 + i, 0.0003 * (i + 1))
    clash = put(
        ann, "sim.walk:simulate", "s", "simulate(steps=1000)", {"steps": 1000}, {"mean": 0.12}, now - 7000, 12.0
    )
    put(
        bob,
        "sim.walk:simulate",
        "s",
        "simulate(steps=1000)",
        {"steps": 1000},
        {"mean": -0.31},
        now - 5000,
        12.0,
        data=b"other",
    )
    first["clash"] = clash
    for api, title, error in ((ann, "train(lr=0.02, layers=8)", ""), (bob, "train(lr=3.0)", TRACEBACK)):
        body = {"key": key_to_json(a_key(TRAIN, codes[1], title)), "title": title, "host": "gpu-3"}
        run_id = api("POST", "/runs", json=body).json()["id"]
        if error:
            api("PATCH", f"/runs/{run_id}", json={"status": "failed", "error": error})
        first["failed" if error else "running"] = run_id
    for title in rng.sample(titles, min(40, runs)):
        bob.look_up(a_key(TRAIN, codes[1], title), candidates=False)
    for _ in range(8):
        bob.look_up(*[a_key("vision.data:clean", f"c{i % 2}", f"clean(path='data/{2000 + i}.csv')") for i in range(25)])
    server.state.database.write_now(server.state.flush)
    return first


TRACEBACK = """Traceback (most recent call last):
  File "vision/training.py", line 14, in train
    step(net, data, lr * RATE_DECAY ** epoch)
  File "vision/training.py", line 20, in step
    net.learn(x, y, min(lr, 0.1))
ValueError: loss is nan after 3 epochs <script>alert(1)</script>
"""


def a_key(symbol: str, code: str, title: str) -> Key:
    return Key(symbol, code if len(code) == 32 else digest_text(code), digest_text(title))  # type: ignore[arg-type]


def put(
    api: Api,
    symbol: str,
    code: str,
    title: str,
    arguments: dict[str, Any],
    result: Any,
    started: float,
    elapsed_s: float,
    *,
    previews: bool = False,
    experiment: bool = True,
    data: bytes = b"",
) -> int:
    """Store a run; its id."""
    details: dict[str, Any] = {
        "arguments": arguments,
        "result": result,
        "host": "desk-1",
        "user": "ann",
        "python": "3.12.4",
    }
    details |= {"git": "4f1c0ffee", "command": "python -m vision.sweep", "metrics": {}}
    if previews:
        details["previews"] = PREVIEWS
    data = data or title.encode() * 30
    observed = Observed(
        files=(FileRead("data/digits.csv", digest_text("digits")),),
        environment=(("OMP_NUM_THREADS", digest_text("2")),),
        children=(Child("vision.data:clean", digest_text("x"), digest_text("y")),) if experiment else (),  # type: ignore[arg-type]
        ran=("vision.training:train", "vision.training:step"),  # type: ignore[arg-type]
        complete=True,
        narrowed=digest_text(code),
    )
    evaluation = Evaluation(
        a_key(symbol, code, title),
        observed,
        "pickle5-1",
        digest_text(title),
        len(data),
        started,
        elapsed_s,
        title,
        str(result) if result != {} else "DataFrame 1,204 × 8",
        experiment,
        json.dumps(details) if experiment else "",
    )
    reply = api.put(evaluation, data)
    return int(reply.json().get("id", 0))


def _share_code(api: Api, text: str) -> str:
    sources = {"vision.training": text, "vision.layers": LAYERS, "vision.data": DATA}
    pairs = [
        [f"vision.training:{n}", digest_text(n + body(text, n))] for n in ("train", "step", "evaluate", "RATE_DECAY")
    ]
    pairs += [["vision.layers:Net", digest_text(LAYERS)], ["vision.data:load", digest_text(DATA)]]
    code = digest_text(text)
    closure = {"v": 1, "pairs": sorted(pairs), "versions": [["numpy", "2.1.0"]]}
    closure["sources"] = sorted([m, digest_text(t)] for m, t in sources.items())
    api("PUT", f"/records/closure/{code}", data=json.dumps(closure).encode())
    for source in sources.values():
        api("PUT", f"/records/source/{digest_text(source)}", data=zlib.compress(source.encode()))
    return code


def body(text: str, name: str) -> str:
    """What stands behind a name, roughly: enough to give it a digest."""
    start = text.find(f"def {name}(")
    if start < 0:
        start = text.find(f"{name} =")
        return text[start : text.find("\n", start)]
    end = text.find("\n\n\n", start)
    return text[start : end if end > 0 else len(text)]


def _picture() -> str:
    import numpy as np

    from hitsave.wire.previews import preview_of

    y, x = np.mgrid[0:160, 0:240]
    pixels = np.stack([x, (x + y) // 2, 255 - y], axis=2).astype("uint8")
    return str(preview_of(pixels)[0]["data"])


PREVIEWS: list[dict[str, Any]] = [
    {
        "kind": "table",
        "title": "confusion",
        "data": {
            "columns": ["", "0", "1", "2"],
            "rows": [["0", "98", "1", "1"], ["1", "2", "95", "3"], ["2", "0", "4", "96"]],
            "note": "3 rows × 3 columns",
        },
    },
    {"kind": "image/png", "title": "filters", "data": ""},
    {"kind": "text/html", "title": "report", "data": "<h3>Report</h3><script>parent.pwned=1</script><p>by class</p>"},
    {
        "kind": "plotly",
        "title": "history",
        "data": {
            "data": [
                {"type": "scatter", "name": "train", "mode": "lines", "y": [1.9, 1.1, 0.7, 0.5, 0.41, 0.36]},
                {"type": "scatter", "name": "test", "mode": "lines+markers", "y": [2.0, 1.3, 0.9, 0.75, 0.7, 0.69]},
            ],
            "layout": {"xaxis": {"title": {"text": "epoch"}}, "yaxis": {"title": {"text": "loss"}}},
        },
    },
]
PREVIEWS[1]["data"] = _picture()
