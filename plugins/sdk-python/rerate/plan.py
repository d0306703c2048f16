"""What a rule is told of the bill, and what it says that it needs."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Period:
    """First day and the day after the last, `YYYY-MM-DD`, and the ISO 4217 code of the bill."""

    start: str
    end: str
    currency: str

    @property
    def month(self):
        return self.start[:7]


@dataclass(frozen=True)
class Condition:
    """A test of a text column: is_in, not_in, starts_with, is_null or not_null. Null is in no list and starts with nothing."""

    column: str
    test: str
    values: list = field(default_factory=list)

    def holds(self, value):
        match self.test:
            case "is_in":
                return value is not None and value in self.values
            case "not_in":
                return value is None or value not in self.values
            case "starts_with":
                return value is not None and value.startswith(tuple(self.values))
            case "is_null":
                return value is None
            case "not_null":
                return value is not None
        raise ValueError(f"{self.test} is no test")


@dataclass(frozen=True)
class TotalRequest:
    """Sums of money columns over the charges that all conditions select, for each combination of `group_by`."""

    sums: list
    group_by: list = field(default_factory=list)
    where: list = field(default_factory=list)


@dataclass(frozen=True)
class Group:
    """Keys in the order of `group_by`, sums in the order of `sums`."""

    keys: tuple
    sums: tuple


@dataclass(frozen=True)
class Total:
    """The answer to a request."""

    groups: list

    @property
    def grand(self):
        """The first sum of the first group: the answer to a request without `group_by`."""
        return self.groups[0].sums[0] if self.groups else Decimal(0)


@dataclass(frozen=True)
class Earlier:
    """What this rule charged the tenant in an earlier period."""

    period: Period
    amount: Decimal


@dataclass(frozen=True)
class Plan:
    """What a rule needs and touches under one configuration. The daemon enforces it."""

    dimensions: list = field(default_factory=list)
    """Text columns that decisions depend on. The fewer, the faster."""
    reads: list = field(default_factory=list)
    """Money columns that decisions name, and that `apply` is given."""
    writes: list = field(default_factory=list)
    """Text columns that decisions may relabel."""
    applies_to: list = field(default_factory=list)
    """Charges that the rule sees at all; all conditions hold."""
    totals: list = field(default_factory=list)
    history: bool = False
    """Whether `charge` wants to know what it charged in earlier periods."""
