"""Golden cases, natively: every folder of `cases/` through the rule's own class, compared with its `expected.csv` byte by byte.

The rule is driven as its component drives it, with the same amounts at the same scales, without an engine around it. What only the daemon
knows, limits and other orders of charges, is left to `rerate plugin test`, which also compares the two.
"""

import inspect
import os
import unittest
from pathlib import Path

from . import session
from .bill import MISSING, Failed, applied, combine, formed, selected, total, units_in
from .cases import read_cases, record
from .config import ConfigError
from .decimals import CUSTOMER_COST, of_units, text
from .rules import Adjust, Charge, Check

_LINE = ("ChargeCategory", "ChargeDescription", "ServiceName", "SubAccountId", CUSTOMER_COST, "Reason")
_MESSAGE_CHARS = 1000
"""Longest message of a rule that the daemon keeps."""


def golden(rule):
    """A class of tests, one for each golden case beside the rule's module.

    Where RERATE_CASES_OUT is set, the answers are written there instead, for whoever set it to compare; RERATE_CASES_FILTER takes only
    cases with that text in their name.
    """
    out, wanted = os.environ.get("RERATE_CASES_OUT"), os.environ.get("RERATE_CASES_FILTER", "")

    def test(case):
        def run(self):
            got = outcome(rule, case)
            if out:
                Path(out, f"{case.name}.csv").write_bytes(got.encode())
            else:
                self.assertEqual(got, case.expected, "`rerate plugin test --update` writes expected.csv as the rule answers")

        return run

    cases = [case for case in read_cases(Path(inspect.getfile(rule)).parent / "cases") if wanted in case.name]
    return type("GoldenCases", (unittest.TestCase,), {f"test_{case.name}": test(case) for case in cases})


def outcome(rule, case):
    """What a rule does to a case, as the text of `expected.csv`."""
    try:
        _, plan = session.configure(rule, case.config, case.period)
    except Exception as error:
        pointer, message = (error.pointer, error.message) if isinstance(error, ConfigError) else ("", session.told(error))
        return record(("Refused", "Pointer", "Message")) + record(("1", pointer, message))
    try:
        return "\n".join(_blocks(rule, plan, case))
    except Failed as failed:
        reason = str(failed)
    except session.Overflow:
        reason = "an amount left the range in which the rule computes"
    except Exception as error:
        reason = f"the rule refused: {session.told(error)[:_MESSAGE_CHARS]}"
    return record(("Failed", "Reason")) + record(("1", reason))


def _blocks(rule, plan, case):
    blocks, rows = [], case.rows

    def totals():
        return [total(rows, request) for request in plan.totals]

    if issubclass(rule, Adjust):
        charges = _adjusted(rule, case, totals())
        blocks.append(_charge_block(charges))
        rows = [charge.after() for charge in charges if charge.treatment != "drop"]
    if issubclass(rule, Charge):
        config, _ = session.configure(rule, case.config, case.period)
        lines = [session.line(line) for line in rule.charge(config, case.period, totals(), case.earlier if plan.history else [])]
        blocks.append(_table(("Line", *_LINE), lines))
        added = [dict(zip(_LINE, line), SubAccountId=line[3] or None, BillingCurrency=case.period.currency) for line in lines]
        rows = rows + added
    if issubclass(rule, Check):
        config, _ = session.configure(rule, case.config, case.period)
        findings = rule.check(config, case.period, totals())
        blocks.append(_table(("Finding", "Severity", "Message"), [(finding.severity, finding.message) for finding in findings]))
    return blocks


def _table(titles, rows):
    return record(titles) + "".join(record((str(number), *row)) for number, row in enumerate(rows, 1))


class _Charged:
    """A charge as the rule left it."""

    def __init__(self, row):
        self.row = row
        self.cost = units_in(row, CUSTOMER_COST)
        self.treatment, self.reason, self.labels = "keep", "", {}

    def put(self, decision, answer):
        """`answer` is units, None where the rule leaves the amount alone, or MISSING."""
        held = answer is MISSING and decision.if_missing == "hold"
        self.treatment = "hold" if held else decision.treatment
        if self.treatment == "drop":
            self.cost = 0
        elif answer is not None and answer is not MISSING:
            self.cost = answer
        self.labels.update(decision.labels)
        # What a rule only looked at carries no trace of it.
        if answer is not None or decision.treatment != "keep" or decision.labels:
            self.reason = decision.reason + (": the amount is missing" if answer is MISSING else "")

    def plain(self):
        return text(of_units(self.cost, 18))

    def after(self):
        return {**self.row, **self.labels, CUSTOMER_COST: self.plain()}


def _charge_block(charges):
    columns = sorted({column for charge in charges for column in charge.labels}, key=str.encode)
    rows = []
    for charge in charges:
        labels = [charge.labels.get(column, charge.row.get(column)) or "" for column in columns]
        rows.append((charge.plain(), charge.treatment, charge.reason, *labels))
    return _table(("Charge", CUSTOMER_COST, "x_Treatment", "Reason", *columns), rows)


def _adjusted(rule, case, totals):
    charges = [_Charged(row) for row in case.rows]
    _, plan = session.configure(rule, case.config, case.period)
    chosen = {id(row) for row in selected(case.rows, plan.applies_to)}
    seen = [charge for charge in charges if id(charge.row) in chosen]
    if not seen:
        return charges
    slots, count, columns = combine([charge.row for charge in seen], plan.dimensions)
    rater = session.Rater(rule, case.config, case.period, totals)
    decisions = rater.decide(columns)
    if len(decisions) != count:
        raise Failed(f"it answered {len(decisions)} decisions for {count} combinations")
    custom = [at for at, slot in enumerate(slots) if decisions[slot].amount == "custom"]
    answers = {}
    if custom:
        answers = dict(zip(custom, applied(rater, [seen[at].row for at in custom], [slots[at] for at in custom])))
    for at, charge in enumerate(seen):
        decision = decisions[slots[at]]
        charge.put(decision, answers.get(at) if decision.amount == "custom" else formed(decision, charge.row))
    return charges
