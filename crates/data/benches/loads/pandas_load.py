"""Reads a file with pandas and appends it to a new Delta table; prints the median seconds.

Arguments: the file, its number of rows, the number of rounds.
"""

import statistics
import sys
import tempfile
import time

import pandas as pd
from deltalake import write_deltalake


def load(path, table):
    if path.endswith(".jsonl"):
        frame = pd.read_json(path, lines=True, convert_dates=["scheduled"])
    else:
        frame = pd.read_csv(path, parse_dates=["scheduled"])
    write_deltalake(table, frame, mode="append")
    return len(frame)


def main():
    path, rows, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            started = time.perf_counter()
            loaded = load(path, f"{folder}/{number}")
            seconds.append(time.perf_counter() - started)
            assert loaded == rows, f"{loaded} of {rows} rows were read"
    print(statistics.median(seconds))


main()
