"""A training sweep on scikit-learn's handwritten digits: every run is an experiment, kept and comparable.

    hitsave run examples/sweep.py                # trains each point of the grid
    hitsave run examples/sweep.py                # trains none
    hitsave run examples/sweep.py --folds 4      # other arguments: trains all of them anew
    # add a value to GAMMAS and run again: only the new points are trained

Prints a table, and draws it to examples/output/sweep.png. The data comes with scikit-learn.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import hitsave
from hitsave import experiment

COSTS = [0.1, 1.0, 10.0]
GAMMAS = [0.001, 0.01, 0.1]


def images() -> tuple:
    """Standardised pixels and labels of 1,797 digits."""
    digits = load_digits()
    return StandardScaler().fit_transform(digits.data), digits.target


@experiment
def train(cost: float, gamma: float, folds: int = 3) -> dict[str, float]:
    """Cross-validated accuracy of a support vector machine."""
    print(f"training cost={cost} gamma={gamma}")
    pixels, labels = images()
    scores = cross_val_score(SVC(C=cost, gamma=gamma), pixels, labels, cv=folds)
    return {"accuracy": float(scores.mean()), "spread": float(scores.std())}


def table(results: dict[tuple[float, float], dict[str, float]]) -> str:
    lines = ["accuracy " + "".join(f"{f'gamma {gamma}':>14}" for gamma in GAMMAS)]
    for cost in COSTS:
        cells = "".join(f"{results[cost, gamma]['accuracy']:>14.3f}" for gamma in GAMMAS)
        lines.append(f"C = {cost:<5}" + cells)
    return "\n".join(lines)


def draw(results: dict[tuple[float, float], dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for cost in COSTS:
        points = [results[cost, gamma] for gamma in GAMMAS]
        heights, bars = [p["accuracy"] for p in points], [p["spread"] for p in points]
        axes.errorbar(GAMMAS, heights, yerr=bars, marker="o", capsize=3, label=f"C = {cost}")
    axes.set(xscale="log", xlabel="gamma", ylabel="accuracy", title="Support vector machine on handwritten digits")
    axes.legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--folds", type=int, default=3)
    folds = parser.parse_args().folds
    started = time.perf_counter()
    results = {(cost, gamma): train(cost, gamma, folds) for cost in COSTS for gamma in GAMMAS}
    print(table(results))
    best = max(results, key=lambda point: results[point]["accuracy"])
    print(f"best: C = {best[0]}, gamma = {best[1]}")
    output = Path(__file__).parent / "output" / "sweep.png"
    draw(results, output)
    print(f"plot: {output.name}, took {time.perf_counter() - started:.2f} s")
    print(hitsave.report())
