"""A data pipeline over four years of Seattle's weather: read, clean, features, report.

    hitsave run examples/etl.py          # computes all four steps
    hitsave run examples/etl.py          # computes none
    # now edit `report` below, for instance its title, and run again: one step; edit WET_MM: two; edit `clean`: three

The data comes with the package vega-datasets, so nothing is downloaded.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from vega_datasets import local_data

import hitsave
from hitsave import memo

WET_MM = 0.5
RESAMPLES = 4000


@memo
def read(path: str) -> pd.DataFrame:
    """The file as it is. Its content is part of the result's key: change the file, and this runs again."""
    print("computing read")
    return pd.read_csv(path, parse_dates=["date"])


@memo
def clean(path: str) -> pd.DataFrame:
    """One row per day, with the daily mean temperature, sorted."""
    print("computing clean")
    weather = read(path).dropna().drop_duplicates("date").sort_values("date")
    weather["temp_mean"] = (weather["temp_min"] + weather["temp_max"]) / 2
    return weather.set_index("date")


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """A 95 % bootstrap interval of the mean."""
    means = rng.choice(values, size=(RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@memo
def features(path: str) -> pd.DataFrame:
    """Per month: mean temperature with its interval, share of wet days, strongest wind."""
    print("computing features")
    rng = np.random.default_rng(seed=1)
    rows = {}
    for month, days in clean(path).groupby(lambda day: day.month):
        low, high = interval(days["temp_mean"].to_numpy(), rng)
        wet = float((days["precipitation"] > WET_MM).mean())
        rows[month] = (days["temp_mean"].mean(), low, high, wet, days["wind"].max())
    return pd.DataFrame.from_dict(rows, orient="index", columns=["temp", "low", "high", "wet", "wind"])


@memo
def report(path: str) -> str:
    """The table that people read."""
    print("computing report")
    lines = ["Seattle by month, 2012-2015", "month   temp   95 % interval   wet days   wind"]
    for month, row in features(path).iterrows():
        lines.append(
            f"{month:>5} {row.temp:>6.1f} {row.low:>6.1f} to {row.high:>4.1f} {row.wet:>10.0%} {row.wind:>6.1f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    started = time.perf_counter()
    print(report(local_data.seattle_weather.filepath))
    print(f"took {time.perf_counter() - started:.2f} s")
    print(hitsave.report())
