"""The classes that a rule's author derives from, and what a rule answers."""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from .decimals import Rounding


@dataclass(frozen=True)
class About:
    name: str
    """Lower case with hyphens: what a chain calls the plugin."""
    version: str
    title: str
    summary: str
    config: list = field(default_factory=list)


class Failure(Exception):
    """The tenant's run fails with this message."""


class Rule:
    ABOUT: About

    @staticmethod
    def plan(config, period):
        """Names the columns that the rule needs; raises ConfigError for a configuration that makes no sense."""
        raise NotImplementedError


class Adjust(Rule):
    """Changes charges. One object lives as long as the daemon feeds it charges of one bill."""

    def __init__(self, config, period, totals):
        self.config = config

    def decide(self, charge):
        """Decides for all charges that share a combination of the plan's dimensions; called once for each combination."""
        raise NotImplementedError

    def apply(self, slot, row):
        """The customer amount of one row whose decision was custom, or None to leave it. `row` is the plan's reads by name."""
        raise Failure("decides `custom` but has no row logic: implement apply")


class Charge(Rule):
    @staticmethod
    def charge(config, period, totals, earlier):
        """The lines that are added to the bill."""
        raise NotImplementedError


class Check(Rule):
    @staticmethod
    def check(config, period, totals):
        """Findings about the bill."""
        raise NotImplementedError


@dataclass(frozen=True)
class Charged:
    """One combination of the plan's dimensions, as `decide` is given it."""

    values: dict
    slot: int

    def __getitem__(self, column):
        """The value of one of the plan's dimensions; None is null."""
        return self.values[column]


@dataclass(frozen=True)
class Decision:
    """What happens to every charge of one combination, and why, in a few words."""

    amount: str
    reason: str
    treatment: str = "keep"
    column: str | None = None
    rate: Decimal | None = None
    above: Decimal | None = None
    threshold: Decimal | None = None
    digits: int = 18
    rounding: str = Rounding.HALF_EVEN
    if_missing: str = "keep"
    labels: tuple = ()

    @staticmethod
    def keep(reason):
        """Leaves the charge as it is."""
        return Decision("keep", reason)

    @staticmethod
    def zero(reason):
        """The tenant sees the charge and pays nothing for it."""
        return Decision("zero", reason)

    @staticmethod
    def drop(reason):
        """The tenant neither sees nor pays the charge."""
        return Decision("keep", reason, "drop")

    @staticmethod
    def hold(reason):
        """A person must look before an invoice is issued."""
        return Decision("keep", reason, "hold")

    @staticmethod
    def copied(column, reason, *, if_missing="keep"):
        """Another money column; null or zero counts as missing: `keep` or `hold`."""
        return Decision("copied", reason, column=column, if_missing=if_missing)

    @staticmethod
    def scaled(column, rate, digits, reason, *, rounding=Rounding.HALF_EVEN):
        """column * rate, rounded once."""
        return Decision("scaled", reason, column=column, rate=rate, digits=digits, rounding=rounding)

    @staticmethod
    def tiered(column, threshold, below, above, digits, reason, *, rounding=Rounding.HALF_EVEN):
        """One rate up to the threshold and another for the part above it, rounded once."""
        return Decision("tiered", reason, "keep", column, below, above, threshold, digits, rounding)

    @staticmethod
    def custom(reason):
        """`apply` computes each row."""
        return Decision("custom", reason)

    def relabel(self, column, value):
        """Also sets a text column; None sets null."""
        return replace(self, labels=(*self.labels, (column, value)))


@dataclass(frozen=True)
class Line:
    """A line that a rule adds. `category` is Purchase, Credit, Tax or Adjustment; without an account the tenant as a whole is charged."""

    description: str
    amount: Decimal
    reason: str
    category: str = "Purchase"
    service: str = "Managed services"
    account: str | None = None


class Severity:
    INFO = "info"
    WARNING = "warning"
    BLOCK = "block"


@dataclass(frozen=True)
class Finding:
    severity: str
    message: str
