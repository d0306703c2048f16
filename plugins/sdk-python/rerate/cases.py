"""The files of golden cases. A mistake in them ends the test with file and line; `rerate plugin test` says more."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from .decimals import CUSTOMER_COST, money, text
from .plan import Earlier, Period
from .testing import period

_SETTING = re.compile(r'(\w+)\s*=\s*"([^"]*)"\s*(?:#.*)?')


@dataclass(frozen=True)
class Case:
    name: str
    rows: list
    """Dictionaries of text or None by column, completed as the daemon completes them."""
    config: str
    period: Period
    earlier: list
    expected: str | None


def read_cases(folder):
    """Every case of a folder, by name."""
    folders = [path for path in Path(folder).glob("*/") if path.is_dir() and not path.name.startswith(".")]
    return [_read(path) for path in sorted(folders, key=lambda path: path.name.encode())]


def _read(folder):
    def read(file):
        path = folder / file
        return path.read_bytes().decode() if path.is_file() else None

    def needed(file):
        found = read(file)
        if found is None:
            raise ValueError(f"{folder / file} is missing")
        return found

    month, currency, earlier = settings(read("case.toml") or "", folder / "case.toml")
    return Case(
        folder.name,
        _charges(needed("input.csv"), folder / "input.csv", currency),
        needed("config.json"),
        period(month, currency),
        [Earlier(period(one["period"], currency), money(one["amount"])) for one in earlier],
        read("expected.csv"),
    )


def record(fields):
    """A record as `expected.csv` has it; the daemon writes the same bytes."""
    quoted = ['"' + field.replace('"', '""') + '"' if re.search('[",\n\r]', field) else field for field in fields]
    return ",".join(quoted) + "\n"


def _charges(content, file, currency):
    reader = csv.reader(io.StringIO(content.removeprefix("\ufeff"), newline=""))
    columns = next(reader, None)
    if not columns:
        raise ValueError(f"{file} is empty; the first line names the columns")
    rows = []
    for fields in filter(None, reader):
        if len(fields) != len(columns):
            raise ValueError(f"{file}, line {reader.line_num}: as many fields as the header has")
        rows.append({column: field or None for column, field in zip(columns, fields)})
    payers = {row.get("BillingAccountId") for row in rows} - {None}
    for row in rows:
        row[CUSTOMER_COST] = text(money(row.get(CUSTOMER_COST) or row.get("BilledCost") or "0"))
        row["BillingCurrency"] = row.get("BillingCurrency") or currency
        if "x_LineType" not in columns:
            row["x_LineType"] = row.get("x_SourceLineType")
        if "x_CommitmentOwner" not in columns:
            owner = row.get("x_CommitmentOwnerAccountId")
            row["x_CommitmentOwner"] = None if owner is None else "payer" if owner in payers else "tenant"
    return rows


def settings(content, file):
    """`period`, `currency` and `[[earlier]]` tables of `period` and `amount`, all as text."""
    found = {"period": "2026-09", "currency": "USD"}
    earlier = []
    for number, line in enumerate(content.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line == "[[earlier]]":
            earlier.append({})
            continue
        setting = _SETTING.fullmatch(line)
        table, names = (earlier[-1], ("period", "amount")) if earlier else (found, ("period", "currency"))
        if not setting or setting[1] not in names:
            raise ValueError(f"{file}, line {number}: not a line of a case.toml: {line}")
        table[setting[1]] = setting[2]
    return found["period"], found["currency"], earlier
