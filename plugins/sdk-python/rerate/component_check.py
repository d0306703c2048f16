"""The contract's `check`."""

from wit_world.exports import check as wit_check

from .component import RULE, failure, to_period, to_total
from . import session

_SEVERITY = {"info": wit_check.Severity.INFO, "warning": wit_check.Severity.WARNING, "block": wit_check.Severity.BLOCK}


class Check:
    def check(self, config, period, totals):
        try:
            period = to_period(period)
            read, _ = session.configure(RULE, config, period)
            findings = RULE.check(read, period, [to_total(total) for total in totals])
            return [wit_check.Finding(_SEVERITY[finding.severity], finding.message) for finding in findings]
        except Exception as error:
            raise failure(error) from None
