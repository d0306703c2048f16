"""The daemon's side of a golden case: it selects charges, combines them, sums totals, and computes what closed forms decide.

Amounts are whole counts of 10^-18, as the daemon has them. It is for tests: the daemon has its own arithmetic, and limits that are not
tried here.
"""

from . import session
from .decimals import Rounding, billionths, money, of_units, units_of
from .plan import Group, Total

_LARGEST = 10**38 - 1
_NARROW_SCALES = (10, 6, 12, 14, 18)
"""Scales at which the daemon tries to narrow the amounts of rows, in its order."""


class Failed(Exception):
    """The run fails with this reason, which is not the rule's."""


def _out_of_range():
    return Failed("an amount left the range of 20 digits before and 18 after the decimal point")


def _storable(units):
    if abs(units) > _LARGEST:
        raise _out_of_range()
    return units


def _product(units):
    """An intermediate of the daemon's, which has 128 bits."""
    if not -(2**127) <= units < 2**127:
        raise _out_of_range()
    return units


def units_in(row, column):
    value = row.get(column)
    return None if value is None else units_of(money(value))


def selected(rows, conditions):
    return [row for row in rows if all(condition.holds(row.get(condition.column)) for condition in conditions)]


def total(rows, request):
    """The answer to a request for totals, groups sorted as the daemon sorts them."""
    groups = {} if request.group_by else {(): [0] * len(request.sums)}
    for row in selected(rows, request.where):
        key = tuple(row.get(column) for column in request.group_by)
        sums = groups.setdefault(key, [0] * len(request.sums))
        for at, column in enumerate(request.sums):
            sums[at] += units_in(row, column) or 0
    keys = sorted(groups, key=lambda key: [(part is not None, (part or "").encode()) for part in key])
    columns = [_at_scale([groups[key][at] for key in keys]) for at in range(len(request.sums))]
    return Total([Group(key, tuple(column[row] for column in columns)) for row, key in enumerate(keys)])


def _at_scale(units):
    """Totals come at the smallest scale that loses no digit."""
    scale = 0
    while any(value % 10 ** (18 - scale) for value in units):
        scale += 1
    if not _narrow(units, scale):
        scale = 18
    return [of_units(value // 10 ** (18 - scale), scale) for value in units]


def _narrow(units, scale):
    """The column at that scale if 64 bits hold every value exactly."""
    unit = 10 ** (18 - scale)
    if all(value is None or (value % unit == 0 and abs(value // unit) < 2**63) for value in units):
        return [session.LEAST_NARROW if value is None else value // unit for value in units]
    return None


def combine(rows, dimensions):
    """Which combination each row has, in the order of their appearance; how many; and new values and codes, one a dimension."""
    known = {}
    slots = [known.setdefault(tuple(row.get(column) for column in dimensions), len(known)) for row in rows]
    columns = []
    for at in range(len(dimensions)):
        codes, values = [], {}
        for combination in known:
            value = combination[at]
            codes.append(session.NULL if value is None else values.setdefault(value, len(values)))
        columns.append((list(values), codes))
    return slots, len(known), columns


def applied(rater, rows, slots):
    """What `apply` answers for rows and their slots; narrow amounts first, wide ones where it says overflow."""
    columns = [[units_in(row, column) for row in rows] for column in rater.plan.reads]
    narrow = [next(((scale, found, session.LEAST_NARROW) for scale in _NARROW_SCALES if (found := _narrow(units, scale))), None) for units in columns]
    wide = [(18, [session.LEAST_WIDE if value is None else value for value in units], session.LEAST_WIDE) for units in columns]
    is_narrow = None not in narrow
    try:
        scale, answers = rater.rows(slots, [own or other for own, other in zip(narrow, wide)], is_narrow)
    except session.Overflow:
        is_narrow = False
        scale, answers = rater.rows(slots, wide, False)
    least = session.LEAST_NARROW if is_narrow else session.LEAST_WIDE
    return [None if value == least else _storable(value * 10 ** (18 - scale)) for value in answers]


def _divided(value, exponent, rounding):
    quotient, rest = divmod(abs(value), 10**exponent)
    half = rest * 2 - 10**exponent
    up = {
        Rounding.DOWN: False,
        Rounding.UP: rest > 0,
        Rounding.HALF_UP: half >= 0,
        Rounding.HALF_EVEN: half > 0 or (half == 0 and quotient % 2 == 1),
    }[rounding]
    return -(quotient + up) if value < 0 else quotient + up


def _at_digits(value, digits, rounding):
    return _storable(_product(_divided(value, 9 + 18 - digits, rounding) * 10 ** (18 - digits)))


MISSING = object()


def formed(decision, row):
    """What a closed form makes of a row: units, None where it leaves the amount alone, or MISSING."""
    match decision.amount:
        case "zero":
            return 0
        case "copied":
            return units_in(row, decision.column) or MISSING
        case "scaled" | "tiered":
            units = units_in(row, decision.column)
            if units is None:
                return None
            lower = units if decision.amount == "scaled" else min(units, units_of(decision.threshold))
            above = 0 if decision.above is None else billionths(decision.above)
            exact = _product(_product(lower * billionths(decision.rate)) + _product((units - lower) * above))
            return _at_digits(exact, decision.digits, decision.rounding)
    return None
