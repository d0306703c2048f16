"""Exact amounts: `decimal.Decimal` with more digits than any product of two amounts has."""

import decimal
import re
from decimal import Decimal

CUSTOMER_COST = "x_CustomerCost"
"""The amount that a tenant is charged, as the rules before left it."""

SCALE = 18
_LARGEST = 10**38 - 1
_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)", re.ASCII)

# An amount has 38 digits and a rate 19: nothing that a rule multiplies or adds is ever rounded behind its back.
CONTEXT = decimal.Context(prec=120, rounding=decimal.ROUND_HALF_EVEN)
decimal.setcontext(CONTEXT)


class Rounding:
    HALF_EVEN = decimal.ROUND_HALF_EVEN
    HALF_UP = decimal.ROUND_HALF_UP
    DOWN = decimal.ROUND_DOWN
    UP = decimal.ROUND_UP


def money(value):
    """An amount from text such as "-12.50", or from an int. A float is refused: it is no exact decimal."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, str):
        raise ValueError('a decimal number as text, in quotes: "12.50"')
    if not _PLAIN.fullmatch(value):
        raise ValueError('not a decimal number such as "-12.50"')
    amount = Decimal(value)
    units_of(amount)
    return amount


def rounded(amount, digits, rounding=Rounding.HALF_EVEN):
    """Rounded to that many decimals, at most 18."""
    return amount.quantize(Decimal(1).scaleb(-digits), rounding=rounding, context=CONTEXT)


def text(amount):
    """Plain decimal text without trailing zeros: `-0.0000000007`, `12.5`, `0`."""
    plain = format(amount, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain == "-0" else plain


def units_of(amount, scale=SCALE):
    """The count of 10^-scale."""
    units = amount.scaleb(scale, context=CONTEXT)
    whole = int(units)
    if whole != units:
        raise ValueError(f"more than {scale} decimals")
    if scale == SCALE and abs(whole) > _LARGEST:
        raise ValueError("more than 20 digits before the decimal point")
    return whole


def of_units(units, scale):
    return Decimal(units).scaleb(-scale, context=CONTEXT)


class Percent:
    """A percentage such as "7.5", of which every use as a factor is exact."""

    def __init__(self, value):
        self.percent = money(value)
        billionths(self.share)

    @property
    def share(self):
        """This part of an amount: 75 % is 0.75."""
        return self.percent.scaleb(-2, context=CONTEXT)

    @property
    def on_top(self):
        """An amount and this part of it: 30 % more is 1.3."""
        return 1 + self.share

    def __str__(self):
        return text(self.percent)


def billionths(rate):
    """A factor as the contract counts it."""
    units = units_of(money(rate), 9) if not _too_fine(rate) else None
    if units is None or not -(2**63) < units < 2**63:
        raise ValueError("a rate has at most 9 decimals and 9 digits before them")
    return units


def _too_fine(rate):
    scaled = money(rate).scaleb(9, context=CONTEXT)
    return scaled != scaled.to_integral_value()
