"""The component's side of the contract: `rerate plugin build` uses it, an author never does."""

from componentize_py_types import Err
from wit_world.imports import types as wit

import rule as author

from . import session
from .config import ConfigError, schema
from .decimals import money, of_units
from .plan import Earlier, Group, Period, Total

RULE = session.find(author)
_TESTS = {"is_in": wit.Test_IsIn, "not_in": wit.Test_NotIn, "starts_with": wit.Test_StartsWith}
_NULL_TESTS = {"is_null": wit.Test_IsNull, "not_null": wit.Test_NotNull}


class Describe:
    def about(self):
        from wit_world.exports.describe import Manifest

        about = RULE.ABOUT
        return Manifest(about.name, about.version, about.title, about.summary, schema(about.config))

    def configure(self, config, period):
        try:
            _, plan = session.configure(RULE, config, to_period(period))
            return _plan(plan)
        except ConfigError as error:
            raise Err(wit.ConfigError(error.pointer, error.message)) from None
        except Exception as error:
            raise Err(wit.ConfigError("", session.told(error))) from None


def failure(error):
    return Err(wit.Failure_Invalid(session.told(error)))


def to_period(period):
    return Period(period.start, period.end, period.currency)


def to_earlier(earlier):
    return Earlier(to_period(earlier.period), money(earlier.amount))


def _condition(condition):
    if condition.test in _NULL_TESTS:
        return wit.Condition(condition.column, _NULL_TESTS[condition.test]())
    return wit.Condition(condition.column, _TESTS[condition.test](list(condition.values)))


def _plan(plan):
    return wit.Plan(
        list(plan.dimensions),
        list(plan.reads),
        list(plan.writes),
        [_condition(condition) for condition in plan.applies_to],
        [wit.TotalRequest(list(t.group_by), list(t.sums), [_condition(condition) for condition in t.where]) for t in plan.totals],
        plan.history,
    )


def to_total(total):
    keys = [[None if code == session.NULL else column.new_values[code] for code in column.codes] for column in total.groups]
    sums = [to_amounts(column) for column in total.sums]
    return Total([Group(tuple(key[row] for key in keys), tuple(column[row] for column in sums)) for row in range(total.rows)])


def to_amounts(column):
    """A column of the contract as decimals; None is null."""
    scale, units, null = units_of_column(column)
    return [None if unit == null else of_units(unit, scale) for unit in units]


def units_of_column(column):
    value = column.value
    if isinstance(column, wit.Money_Narrow):
        return value.scale, value.units, session.LEAST_NARROW
    limbs = value.limbs
    units = [limbs[at] | limbs[at + 1] << 64 for at in range(0, len(limbs), 2)]
    return value.scale, [unit - 2**128 if unit >> 127 else unit for unit in units], session.LEAST_WIDE
