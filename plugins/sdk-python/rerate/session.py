"""A rule as the daemon drives it, in plain values: the component and the native tests are thin coats over this."""

import os

from . import config as configuration
from .config import ConfigError
from .decimals import billionths, of_units, text, units_of
from .rules import Decision, Charged, Failure, Rule

NULL = 0xFFFFFFFF
LEAST_NARROW, LEAST_WIDE = -(2**63), -(2**127)
"""What stands for null among 64-bit and 128-bit counts."""
_AMOUNTS = ("keep", "zero", "copied", "scaled", "tiered", "custom")


def find(module):
    """The one rule that a module defines."""
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Rule) and "ABOUT" in vars(value)]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define one rule, a class with ABOUT; it defines {len(found)}")
    return found[0]


def configure(rule, text, period):
    config = configuration.read(rule.ABOUT.config, text)
    return config, rule.plan(config, period)


def told(error):
    """What went wrong, with the rule's own line."""
    place = ""
    here = os.path.dirname(__file__)
    root = os.path.dirname(here)
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if file.startswith(root) and not file.startswith(here):
            place = f"{os.path.relpath(file, root)}:{frame.tb_lineno}: "
        frame = frame.tb_next
    kind = "" if isinstance(error, (Failure, ConfigError)) else f"{type(error).__name__}: "
    return f"{place}{kind}{error}"


class Overflow(Exception):
    """Answers that 64 bits or the rows' own decimals do not hold: the daemon sends the same rows wide."""


def line(added):
    """An added line as the contract has it: category, description, service, account or \"\", amount, reason."""
    units_of(added.amount)  # an amount that no bill can hold fails here, with the rule's line
    return added.category, added.description, added.service, added.account or "", text(added.amount), added.reason


class Rater:
    def __init__(self, rule, text, period, totals):
        config, self.plan = configure(rule, text, period)
        self.rule = rule(config, period, totals)
        self.values = [[] for _ in self.plan.dimensions]
        self.slots = 0

    def decide(self, dimensions):
        """Pairs of new values and codes, one a dimension; answers a decision for each new combination."""
        for values, (new_values, _) in zip(self.values, dimensions, strict=True):
            values.extend(new_values)
        names = self.plan.dimensions
        count = len(dimensions[0][1]) if dimensions else 1
        decisions = []
        for index in range(count):
            combination = {
                name: None if codes[index] == NULL else values[codes[index]]
                for name, values, (_, codes) in zip(names, self.values, dimensions)
            }
            decisions.append(self.checked(self.rule.decide(Charged(combination, self.slots))))
            self.slots += 1
        return decisions

    def checked(self, decision):
        if not isinstance(decision, Decision) or decision.amount not in _AMOUNTS:
            raise Failure(f"decide must return a Decision, not {decision!r}")
        if decision.column is not None and decision.column not in self.plan.reads:
            raise Failure(f"decides on {decision.column}, which its plan does not read")
        for column, _ in decision.labels:
            if column not in self.plan.writes:
                raise Failure(f"relabels {column}, which its plan does not write")
        for rate in (decision.rate, decision.above):
            if rate is not None:
                billionths(rate)
        return decision

    def rows(self, slots, columns, narrow):
        """Scale and counts that `apply` answers; `columns` are scale, counts and what stands for null, one of the plan's reads each."""
        scale = max((own for own, _, _ in columns), default=0)
        answers = []
        for index, slot in enumerate(slots):
            row = {
                name: None if units[index] == null else of_units(units[index], own)
                for name, (own, units, null) in zip(self.plan.reads, columns)
            }
            answers.append(self.apply(slot, row))
        if not narrow:
            return 18, [LEAST_WIDE if answer is None else units_of(answer) for answer in answers]
        try:
            units = [LEAST_NARROW if answer is None else units_of(answer, scale) for answer in answers]
        except ValueError:
            raise Overflow from None  # more decimals than these rows have
        if any(not LEAST_NARROW <= unit < 2**63 for unit in units):
            raise Overflow
        return scale, units

    def apply(self, slot, row):
        return self.rule.apply(slot, row)
