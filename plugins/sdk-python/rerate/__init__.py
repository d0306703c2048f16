"""What the author of a billing rule sees.

A rule is a class: `ABOUT` says what it is and what its configuration has, `plan` which columns it needs, and `decide`, `charge` or
`check` what it does. Amounts are `decimal.Decimal`, never floats. An exception fails the tenant's run with its message and line.
"""

from .config import ConfigError, Field, Kind
from .decimals import CUSTOMER_COST, Rounding, money, rounded, text
from .plan import Condition, Earlier, Group, Period, Plan, Total, TotalRequest
from .rules import About, Adjust, Charge, Charged, Check, Decision, Failure, Finding, Line, Severity

__all__ = [
    "About", "Adjust", "CUSTOMER_COST", "Charge", "Charged", "Check", "Condition", "ConfigError", "Decision", "Earlier", "Failure", "Field",
    "Finding", "Group", "Kind", "Line", "Period", "Plan", "Rounding", "Severity", "Total", "TotalRequest", "money", "rounded", "text",
]
