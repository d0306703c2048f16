"""Native tests: a table of charges, rated as the daemon would. Small and plain on purpose; the daemon has its own arithmetic."""

import json
from dataclasses import dataclass
from decimal import Decimal

from . import session
from .decimals import CUSTOMER_COST, money, of_units, rounded, units_of
from .plan import Group, Period, Total


def period(month, currency="USD"):
    year, number = int(month[:4]), int(month[5:])
    following = f"{year + number // 12:04}-{number % 12 + 1:02}"
    return Period(f"{month}-01", f"{following}-01", currency)


@dataclass(frozen=True)
class Rated:
    cost: Decimal
    treatment: str
    reason: str
    labels: dict


class Table:
    """Charges as dictionaries of text by column; a column that is not there is null."""

    def __init__(self, *rows, month="2026-09", currency="USD"):
        self.rows = rows
        self.period = period(month, currency)

    def rate(self, rule, config):
        """What becomes of each charge under an adjusting rule; None for one that the rule does not see."""
        rater = session.Rater(rule, json.dumps(config), self.period, self.totals(rule, config))
        plan = rater.plan
        slots, decisions, answers = {}, [], []
        for row in self.rows:
            if not all(condition.holds(row.get(condition.column)) for condition in plan.applies_to):
                answers.append(None)
                continue
            combination = tuple(row.get(column) for column in plan.dimensions)
            if combination not in slots:
                slots[combination] = len(decisions)
                new = [([] if value is None else [value], [session.NULL if value is None else len(known)])
                       for value, known in zip(combination, rater.values)]
                decisions += rater.decide(new)
            answers.append(self._rated(rater, decisions[slots[combination]], slots[combination], row))
        return answers

    def totals(self, rule, config):
        _, plan = session.configure(rule, json.dumps(config), self.period)
        return [self._total(request) for request in plan.totals]

    def charge(self, rule, config, earlier=()):
        read, _ = session.configure(rule, json.dumps(config), self.period)
        return rule.charge(read, self.period, self.totals(rule, config), list(earlier))

    def check(self, rule, config):
        read, _ = session.configure(rule, json.dumps(config), self.period)
        return rule.check(read, self.period, self.totals(rule, config))

    def _total(self, request):
        groups = {}
        for row in self.rows:
            if all(condition.holds(row.get(condition.column)) for condition in request.where):
                key = tuple(row.get(column) for column in request.group_by)
                sums = groups.get(key, (Decimal(0),) * len(request.sums))
                groups[key] = tuple(total + (_amount(row, column) or 0) for total, column in zip(sums, request.sums))
        if not groups and not request.group_by:
            groups[()] = (Decimal(0),) * len(request.sums)
        ordered = sorted(groups.items(), key=lambda item: [(part is not None, part or "") for part in item[0]])
        return Total([Group(key, sums) for key, sums in ordered])

    def _rated(self, rater, decision, slot, row):
        before = _amount(row, CUSTOMER_COST) or Decimal(0)
        cost, treatment, reason = before, decision.treatment, decision.reason
        read = _amount(row, decision.column) if decision.column else None
        match decision.amount:
            case "zero":
                cost = Decimal(0)
            case "copied":
                if read:
                    cost = read
                else:
                    reason += ": the amount is missing"
                    treatment = "hold" if decision.if_missing == "hold" else treatment
            case "scaled" if read is not None:
                cost = rounded(read * decision.rate, decision.digits, decision.rounding)
            case "tiered" if read is not None:
                below = min(read, decision.threshold)
                cost = rounded(below * decision.rate + (read - below) * decision.above, decision.digits, decision.rounding)
            case "custom":
                answer = rater.apply(slot, {column: _amount(row, column) for column in rater.plan.reads})
                cost = before if answer is None else answer
        if treatment == "drop":
            cost = Decimal(0)
        return Rated(of_units(units_of(cost), 18), treatment, reason, dict(decision.labels))


def _amount(row, column):
    value = row.get(column)
    if value is None and column == CUSTOMER_COST:
        value = row.get("BilledCost")
    return None if value is None else money(value)
