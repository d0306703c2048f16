"""The contract's `adjust`."""

from componentize_py_types import Err
from wit_world.exports import adjust as wit_adjust
from wit_world.imports import types as wit

from . import session
from .component import RULE, failure, to_period, to_total, units_of_column
from .decimals import Rounding, billionths, units_of

_ROUNDING = {
    Rounding.HALF_EVEN: wit_adjust.Rounding.HALF_EVEN,
    Rounding.HALF_UP: wit_adjust.Rounding.HALF_UP,
    Rounding.DOWN: wit_adjust.Rounding.DOWN,
    Rounding.UP: wit_adjust.Rounding.UP,
}
_MISSING = {"keep": wit_adjust.Missing.KEEP, "hold": wit_adjust.Missing.HOLD}
_TREATMENT = {"keep": wit_adjust.Treatment.KEEP, "drop": wit_adjust.Treatment.DROP, "hold": wit_adjust.Treatment.HOLD}


class Rater(wit_adjust.Rater):
    def __init__(self, rater):
        self.rater = rater

    @classmethod
    def open(cls, config, period, totals):
        try:
            return cls(session.Rater(RULE, config, to_period(period), [to_total(total) for total in totals]))
        except Exception as error:
            raise failure(error) from None

    def decide(self, dimensions):
        try:
            return [self._placed(decision) for decision in self.rater.decide([(d.new_values, d.codes) for d in dimensions])]
        except Exception as error:
            raise failure(error) from None

    def apply(self, slots, reads):
        try:
            narrow = all(isinstance(column, wit.Money_Narrow) for column in reads)
            scale, units = self.rater.rows(slots, [units_of_column(column) for column in reads], narrow)
        except session.Overflow:
            raise Err(wit.Failure_Overflow()) from None
        except Exception as error:
            raise failure(error) from None
        return wit.Money_Narrow(wit.NarrowMoney(scale, units)) if narrow else _wide(units)

    def _placed(self, decision):
        plan = self.rater.plan
        labels = [(plan.writes.index(column), value) for column, value in decision.labels]
        return wit_adjust.Decision(self._amount(decision), _TREATMENT[decision.treatment], labels, decision.reason)

    def _amount(self, decision):
        match decision.amount:
            case "keep":
                return wit_adjust.Amount_Keep()
            case "zero":
                return wit_adjust.Amount_Zero()
            case "custom":
                return wit_adjust.Amount_Custom()
        column = self.rater.plan.reads.index(decision.column)
        if decision.amount == "copied":
            return wit_adjust.Amount_Copied(wit_adjust.Copied(column, _MISSING[decision.if_missing]))
        rounding = _ROUNDING[decision.rounding]
        rate = billionths(decision.rate)
        if decision.amount == "scaled":
            return wit_adjust.Amount_Scaled(wit_adjust.Scaled(column, rate, decision.digits, rounding))
        threshold, scale = _shortest(decision.threshold)
        tiers = wit_adjust.Tiered(column, threshold, scale, rate, billionths(decision.above), decision.digits, rounding)
        return wit_adjust.Amount_Tiered(tiers)


def _wide(units):
    limbs = []
    for unit in units:
        limbs += [unit & (2**64 - 1), unit >> 64 & (2**64 - 1)]
    return wit.Money_Wide(wit.WideMoney(18, limbs))


def _shortest(amount):
    units, scale = units_of(amount), 18
    while scale > 0 and units % 10 == 0:
        units, scale = units // 10, scale - 1
    return units, scale
