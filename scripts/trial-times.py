"""What scripts/trial-times does; see there."""

import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

import pyarrow.dataset as ds

pulse, events, kills, seed, work = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
chance = random.Random(seed)


def timestamp(low, high):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(chance.randrange(low, high)))


def spoil(clean, troubled):
    """Writes the input with wrong times and broken lines."""
    key = b'"arrival_timestamp":"'
    with open(clean, "rb") as source, open(troubled, "wb") as target:
        for line in source:
            kind = chance.randrange(100)
            if kind < 2 and key in line:
                start = line.index(key) + len(key)
                end = line.index(b'"', start)
                wrong = timestamp(0, 1_600_000_000) if kind == 0 else timestamp(1_900_000_000, 4_000_000_000)
                line = line[:start] + wrong.encode() + line[end:]
            elif kind == 2:
                line = line[: chance.randrange(1, len(line) - 2)] + b"\n"
            target.write(line)


def run(source, data, after=None):
    """Runs to the end, or kills the run after some seconds; seconds, peak memory in MB, whether it was killed."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [pulse, "run", "--use-case", "redset", "--source", source, "--data", data, "--quiet"],
        stderr=subprocess.PIPE)
    peak, killed = 0.0, False
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status") as status:
                for line in status:
                    if line.startswith("VmHWM:"):
                        peak = max(peak, int(line.split()[1]) / 1024)
        except OSError:
            pass
        if after is not None and time.monotonic() - begin > after:
            process.kill()
            killed = True
            break
        time.sleep(0.01)
    process.wait()
    if process.returncode != 0 and not killed:
        sys.exit(f"a run ended with {process.returncode}: {process.stderr.read().decode()[-500:]}")
    return time.monotonic() - begin, peak, killed


def history(paths):
    """Rows of history and a digest of all their values, in the order of the input."""
    order = [("_segment", "ascending"), ("_offset", "ascending")]
    table = ds.dataset(paths, format="arrow").to_table().sort_by(order)
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns):
        digest.update(name.encode())
        for start in range(0, len(column), 100_000):
            # Values as Python has them: the same ones may be coded and padded differently.
            digest.update(repr(column.slice(start, 100_000).to_pylist()).encode())
    return table.num_rows, digest.hexdigest()[:12]


def stored(data):
    """Digests of everything that results are, by table."""
    database = sqlite3.connect(f"file:{data}/pulse.sqlite?mode=ro", uri=True)
    digests = {}
    for table, columns in [
        ("anomalies", "*"), ("dead_letters", "*"),
        ("window_parts", "window, start, end, hex(by_key), closed, events, aggregates, classes, hex(state)"),
        ("partitions", "segment, offset, row, watermark, totals"),
    ]:
        rows = sorted(map(repr, database.execute(f"SELECT {columns} FROM {table}")))
        digests[table] = (len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()[:12])
    paths = [f"{data}/{path}" for (path,) in database.execute("SELECT path FROM history_shards")]
    digests["history"] = history(paths)
    return digests, len(paths)


shutil.rmtree(work, ignore_errors=True)
os.makedirs(work)
clean, troubled = f"{work}/clean.ndjson", f"{work}/troubled.ndjson"
subprocess.run([pulse, "simulate", "redset", "--events", str(events), "--seed", str(seed), "--to", clean],
               check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
spoil(clean, troubled)

rates = {"clean": [], "troubled": []}
for _ in range(3):
    for name, source in [("clean", clean), ("troubled", troubled)]:
        shutil.rmtree(f"{work}/{name}", ignore_errors=True)
        seconds, peak, _ = run(source, f"{work}/{name}")
        rates[name].append(events / seconds)
        print(f"{name}: {events / seconds:,.0f} records/s, peak {peak:.0f} MB", flush=True)
ratio = sorted(a / b for a, b in zip(rates["troubled"], rates["clean"]))[1]
expected, files = stored(f"{work}/troubled")

peaks, done = [], 0
while done < kills:
    _, peak, killed = run(troubled, f"{work}/killed", after=chance.uniform(0.1, 1.2 * events / max(rates["troubled"]) / kills * 4))
    peaks.append(peak)
    if killed:
        done += 1
    else:
        # It came to its end before: what is stored is compared, and it begins anew.
        if stored(f"{work}/killed")[0] != expected:
            sys.exit("after kills the stored results differ")
        shutil.rmtree(f"{work}/killed")
peaks.append(run(troubled, f"{work}/killed")[1])
found, found_files = stored(f"{work}/killed")
for table in expected:
    print(f"{table}: {expected[table][0]:,} rows, {'equal' if found[table] == expected[table] else 'DIFFERENT'}")
print(f"rate against clean (median of three pairs) {ratio:.2f}; {files} history files, {found_files} after {done} kills; "
      f"peak memory of {len(peaks)} starts {max(peaks):.0f} MB at most")
sys.exit(0 if found == expected and max(peaks) < 400 and ratio >= 0.5 else 1)
