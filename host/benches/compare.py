#!/usr/bin/env python3
"""Times rerate against DuckDB on the same generated bills and the same work, in one sitting.

    pip install duckdb
    cargo build --release
    python3 host/benches/compare.py --rows 5000000 --runs 3

(b)  five CSV.gz files of CUR 2.0 -> rated Parquet by a chain of three rules (public-price, commitments, markup by service),
     against DuckDB's read_csv of all columns as text, casts of the cost columns to decimals, the same rules as CASE expressions,
     and COPY to Parquet with all columns;
(c)  the same month rated again after a change of the markup, from what each has stored: rerate from its snapshot, DuckDB from
     its own typed Parquet, once writing all columns as rerate's export does, once only the line's key and the customer's cost;
(d)  peak memory of (b), and of (b) with twice the lines.

Runs alternate between the two, so that a busy machine slows both; medians and ratios are reported. Both must come to the same
customer cost, to the last digit, or the comparison fails. See README.md beside this file for what is and is not compared.
"""

import argparse
import decimal
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARKUPS = {"AmazonEC2": "8", "AmazonS3": "3.5", "AmazonRDS": "10", "AWSLambda": "12"}
CHANGED = {"AmazonEC2": "9", "AmazonS3": "3.5", "AmazonRDS": "10", "AWSLambda": "12"}
OTHERS = "5"

COST_COLUMNS = [
    "line_item_unblended_cost",
    "line_item_net_unblended_cost",
    "pricing_public_on_demand_cost",
    "savings_plan_savings_plan_effective_cost",
    "reservation_effective_cost",
    "line_item_usage_amount",
]


def chain_toml(services):
    table = ", ".join(f'{service} = "{percent}"' for service, percent in services.items())
    return f"""
[[rule]]
title = "Public price"
plugin = "public-price"

[[rule]]
title = "Commitments"
plugin = "commitments"

[[rule]]
title = "Markup by service"
plugin = "markup"
config = {{ percent = "{OTHERS}", services = {{ {table} }} }}
"""


def customer_cost_sql(services):
    """The three rules as one expression over a CUR 2.0 row; NULL where the tenant does not see the line."""
    kind = "line_item_line_item_type"
    cost = "coalesce(line_item_net_unblended_cost, line_item_unblended_cost, 0)"
    public = f"CASE WHEN pricing_public_on_demand_cost > 0 THEN pricing_public_on_demand_cost ELSE {cost} END"
    factor = " ".join(
        f"WHEN '{service}' THEN {1 + decimal.Decimal(percent) / 100}::DECIMAL(6,4)" for service, percent in services.items()
    )
    others = 1 + decimal.Decimal(OTHERS) / 100
    return f"""(CASE
        WHEN line_item_operation IN ('EKSPod-EC2', 'ECSTask-EC2') THEN 0::DECIMAL(20,10)
        WHEN {kind} IN ('SavingsPlanNegation', 'SavingsPlanRecurringFee', 'SavingsPlanUpfrontFee', 'RIFee', 'EdpDiscount',
                        'PrivateRateDiscount', 'SppDiscount', 'DistributorDiscount', 'RiVolumeDiscount', 'Tax') THEN NULL
        WHEN {kind} = 'Fee' AND reservation_reservation_a_r_n IS NOT NULL THEN NULL
        WHEN {kind} = 'Usage' AND (bill_billing_entity = 'AWS Marketplace' OR line_item_usage_type LIKE '%SpotUsage%') THEN {cost}
        WHEN {kind} IN ('Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage') THEN {public}
        ELSE {cost}
    END)::DECIMAL(20,10) * (CASE product_servicecode {factor} ELSE {others}::DECIMAL(6,4) END)"""


def as_sql(path):
    return str(path).replace("'", "''")


class Side:
    """One of the two: how to run a step in a process of its own, with its time and its peak memory."""

    def __init__(self, name):
        self.name = name
        self.times = {}
        self.peaks = {}

    def run(self, step, command):
        before = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE)
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        took = time.perf_counter() - before
        if child.returncode != 0:
            sys.exit(f"{self.name}: {step} failed: {' '.join(map(str, command))[:2000]}")
        self.times.setdefault(step, []).append(took)
        self.peaks.setdefault(step, []).append(usage.ru_maxrss * 1024)
        return output

    def median(self, step):
        return statistics.median(self.times[step])

    def peak(self, step):
        return max(self.peaks[step])


def duckdb_command(sql, threads, memory_limit):
    script = f"""
import duckdb, json, sys
connection = duckdb.connect(config={{"threads": {threads}{', "memory_limit": "' + memory_limit + '"' if memory_limit else ''}}})
connection.execute("SET preserve_insertion_order = true")
for statement in json.loads(sys.argv[1]):
    connection.execute(statement)
"""
    return [sys.executable, "-c", script, json.dumps(sql)]


def duckdb_rated(source, services, target, columns):
    return f"COPY (SELECT {columns}, {customer_cost_sql(services)} AS x_CustomerCost FROM {source}) TO '{as_sql(target)}' (FORMAT parquet)"


def csv_source(files):
    listed = ", ".join(f"'{as_sql(file)}'" for file in files)
    casts = ", ".join(f"CAST(nullif({column}, '') AS DECIMAL(20,10)) AS {column}" for column in COST_COLUMNS)
    return f"(SELECT * REPLACE ({casts}) FROM read_csv([{listed}], header = true, all_varchar = true))"


def duckdb_total(path):
    import duckdb

    total = duckdb.sql(f"SELECT sum(x_CustomerCost) FROM read_parquet('{as_sql(path)}')").fetchall()[0][0]
    return decimal.Decimal(total)


def rerate_charged(output):
    report = json.loads(output)
    if report["unassigned"] != "0":
        sys.exit("rerate left something unassigned, though there is one tenant")
    return sum((decimal.Decimal(tenant["charged"]) for tenant in report["tenants"]), decimal.Decimal(0))


def check_equal(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what}: rerate charges {ours}, DuckDB {theirs}: they do not do the same work")


def generate(rerate, rows, files, folder):
    command = [rerate, "bill", "generate", "--rows", str(rows), "--files", str(files), "--out", folder, "--json"]
    return [pathlib.Path(file) for file in json.loads(subprocess.check_output(command))["files"]]


def fresh(path):
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
    return path


def compare(arguments, work):
    rerate = str(arguments.rerate)
    threads = arguments.threads
    ours, theirs = Side("rerate"), Side("duckdb")
    bills = work / "bills"
    files = generate(rerate, arguments.rows, arguments.files, bills)
    size = sum(file.stat().st_size for file in files)
    for name, services in (("chain.toml", MARKUPS), ("changed.toml", CHANGED)):
        (work / name).write_text(chain_toml(services))
    rate = [rerate, "rate", "--json", "--workers", str(threads)]

    def duckdb(step, sql):
        theirs.run(step, duckdb_command([sql], threads, arguments.duckdb_memory))

    for run in range(arguments.runs):
        print(f"run {run + 1} of {arguments.runs}", file=sys.stderr)
        # (b) files to rated Parquet
        out, target = fresh(work / "rated"), fresh(work / "duckdb.parquet")
        charged = rerate_charged(ours.run("b", [*rate, str(bills), "--chain", str(work / "chain.toml"), "--out", str(out)]))
        duckdb("b", duckdb_rated(csv_source(files), MARKUPS, target, "*"))
        if run == 0:
            check_equal("(b)", charged, duckdb_total(target))
    # What each stores of the month, once.
    kept, table = work / "kept", work / "table.parquet"
    subprocess.check_output(
        [*rate, str(bills), "--chain", str(work / "chain.toml"), "--out", str(fresh(out)), "--format", "none", "--keep-snapshot", str(kept)]
    )
    theirs.run("store", duckdb_command([f"COPY {csv_source(files)} TO '{as_sql(table)}' (FORMAT parquet)"], threads, arguments.duckdb_memory))
    stored = f"read_parquet('{as_sql(table)}')"
    key = "identity_line_item_id, identity_time_interval"
    for run in range(arguments.runs):
        print(f"re-rating {run + 1} of {arguments.runs}", file=sys.stderr)
        again = [*rate, "--from-snapshot", str(kept), "--chain", str(work / "changed.toml")]
        # (c) the overlay only: what the daemon does when a rule changes
        charged = rerate_charged(ours.run("c overlay", [*again, "--out", str(fresh(work / "again")), "--format", "none"]))
        duckdb("c key", duckdb_rated(stored, CHANGED, fresh(target), key))
        if run == 0:
            check_equal("(c)", charged, duckdb_total(target))
        # (c) whole files
        ours.run("c export", [*again, "--out", str(fresh(work / "again"))])
        duckdb("c all", duckdb_rated(stored, CHANGED, fresh(target), "*"))
    for path in (kept, table, target, out, work / "again"):
        fresh(path)
    memory = {"rows": arguments.rows, "rerate": ours.peak("b"), "duckdb": theirs.peak("b")}
    doubled = None
    if not arguments.skip_doubled:
        # (d) twice the lines: memory must not follow the size of the bill
        fresh(bills)
        generate(rerate, 2 * arguments.rows, 2 * arguments.files, bills)
        ours.run("d", [*rate, str(bills), "--chain", str(work / "chain.toml"), "--out", str(fresh(out))])
        doubled = {"rows": 2 * arguments.rows, "rerate": ours.peak("d"), "seconds": ours.median("d")}
    pairs = [
        ("(b) CSV.gz to rated Parquet, all columns", "b", "b"),
        ("(c) rate again: overlay / all columns", "c overlay", "c all"),
        ("(c) rate again: overlay / key and cost", "c overlay", "c key"),
        ("(c) rate again: whole files / all columns", "c export", "c all"),
    ]
    results = [
        {
            "what": what,
            "rerate_seconds": round(ours.median(a), 3),
            "duckdb_seconds": round(theirs.median(b), 3),
            "times_as_fast": round(theirs.median(b) / ours.median(a), 2),
        }
        for what, a, b in pairs
    ]
    return {
        "rows": arguments.rows,
        "files": arguments.files,
        "bytes": size,
        "threads": threads,
        "runs": arguments.runs,
        "results": results,
        "peak_memory_bytes": memory,
        "doubled": doubled,
        "all_seconds": {"rerate": ours.times, "duckdb": theirs.times},
    }


def show(report):
    print(f"{report['rows']:,} lines in {report['files']} files, {report['threads']} threads, medians of {report['runs']} alternating runs\n")
    print(f"{'':46}{'rerate':>10}{'duckdb':>10}{'ratio':>9}")
    for result in report["results"]:
        print(f"{result['what']:46}{result['rerate_seconds']:>9.2f}s{result['duckdb_seconds']:>9.2f}s{result['times_as_fast']:>8.2f}x")
    memory = report["peak_memory_bytes"]
    mib = lambda size: f"{size / 2**20:,.0f} MiB"
    print(f"\n(d) peak memory of (b): rerate {mib(memory['rerate'])}, duckdb {mib(memory['duckdb'])}")
    if report["doubled"]:
        print(f"(d) with {report['doubled']['rows']:,} lines: rerate {mib(report['doubled']['rerate'])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--files", type=int, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rerate", type=pathlib.Path, default=ROOT / "target/release/rerate")
    parser.add_argument("--work", type=pathlib.Path, help="folder for bills and results [default: a temporary one]")
    parser.add_argument("--duckdb-memory", help="DuckDB's memory_limit, such as 4GB [default: its own]")
    parser.add_argument("--skip-doubled", action="store_true", help="leave out (d)'s second half")
    parser.add_argument("--json", type=pathlib.Path, help="also write everything measured there")
    arguments = parser.parse_args()
    if not arguments.rerate.exists():
        sys.exit(f"{arguments.rerate} is not there; cargo build --release, or --rerate PATH")
    arguments.rerate = arguments.rerate.resolve()
    try:
        import duckdb  # noqa: F401
    except ImportError:
        sys.exit("DuckDB is not installed; pip install duckdb")
    # Freed memory of earlier children must not count: every step is a process of its own.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    decimal.getcontext().prec = 60
    parent = arguments.work
    if parent:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rerate-compare-", dir=parent) as work:
        report = compare(arguments, pathlib.Path(work))
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    else:
        print("\n" + json.dumps({key: report[key] for key in ("rows", "threads", "runs", "results", "peak_memory_bytes", "doubled")}))


if __name__ == "__main__":
    main()
