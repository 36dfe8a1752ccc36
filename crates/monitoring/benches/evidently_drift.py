"""Measures Evidently's drift of 100,000 rows of 19 columns, for comparison with `cargo bench -p perennial-monitoring`.

Run with a Python that has `evidently`. The columns are generated as in drift.rs.
"""

import statistics
import time

import numpy as np
import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

ROWS, NUMBERS, TEXTS, ROUNDS = 100_000, 14, 5, 5


def rows(seed):
    random = np.random.default_rng(seed)
    columns = {}
    for place in range(NUMBERS):
        values = np.log(random.random(ROWS))
        values[random.random(ROWS) < 0.1] = np.nan
        columns[f"number {place}"] = values
    for place in range(TEXTS):
        codes = (random.random(ROWS) ** 2 * 3 ** (place + 1)).astype(int)
        columns[f"text {place}"] = pd.Series(codes).map("v{}".format)
    return pd.DataFrame(columns)


def main():
    reference, current = rows(1), rows(2)
    for name, preset in (("default statistics", DataDriftPreset()), ("psi", DataDriftPreset(method="psi"))):
        times = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            Report([preset]).run(current, reference).dict()
            times.append((time.perf_counter() - began) * 1000)
        print(f"{name}: median {statistics.median(times):.0f} ms, fastest {min(times):.0f} ms")


if __name__ == "__main__":
    main()
