"""Reads cases as JSON from standard input and writes SciPy's and NumPy's statistics of the raw rows.

Missing numbers and undefined statistics are null.
"""

import json
import sys
from collections import Counter

import numpy as np
from scipy import stats

FLOOR = 1e-4


def population_stability_index(reference, current):
    """The population stability index of two lists of counts."""
    if sum(reference) == 0 or sum(current) == 0:
        return None
    before = np.maximum(np.array(reference) / sum(reference), FLOOR)
    now = np.maximum(np.array(current) / sum(current), FLOOR)
    return float(np.sum((now - before) * np.log(now / before)))


def number(case):
    before = np.array(case["reference"], dtype=float)
    now = np.array(case["current"], dtype=float)
    kept, kept_now = before[~np.isnan(before)], now[~np.isnan(now)]
    deciles = np.quantile(kept, np.arange(1, 10) / 10, method="inverted_cdf") if len(kept) else np.array([])
    bins, lower = [], -np.inf
    for edge, times in sorted(Counter(deciles.tolist()).items()):
        if times > 1:
            bins.append(lambda values, lower=lower, edge=edge: (values > lower) & (values < edge))
            bins.append(lambda values, edge=edge: values == edge)
        else:
            bins.append(lambda values, lower=lower, edge=edge: (values > lower) & (values <= edge))
        lower = edge
    bins.append(lambda values: values > lower)
    bins.append(np.isnan)
    both = len(kept) > 0 and len(kept_now) > 0
    return {
        "psi": population_stability_index([int(inside(before).sum()) for inside in bins], [int(inside(now).sum()) for inside in bins]),
        "ks": float(stats.ks_2samp(kept, kept_now).statistic) if both else None,
        "deciles": sorted(set(deciles.tolist())),
    }


def category(case):
    before, now = Counter(case["reference"]), Counter(case["current"])
    listed = sorted((value for value in before if value is not None), key=lambda value: (-before[value], value))[:50]
    missing = [before.pop(None, 0), now.pop(None, 0)]
    counts = [
        [side[value] for value in listed] + [sum(side.values()) - sum(side[value] for value in listed), missing_rows]
        for side, missing_rows in zip((before, now), missing)
    ]
    return {"psi": population_stability_index(*counts), "listed": listed}


def latency(case):
    return {str(q): float(np.quantile(case["values"], q, method="inverted_cdf")) for q in case["quantiles"]}


KINDS = {f.__name__: f for f in (number, category, latency)}

json.dump([KINDS[case["kind"]](case) for case in json.load(sys.stdin)], sys.stdout)
