"""The contract's `charge`."""

from wit_world.exports import charge as wit_charge

from .component import RULE, failure, to_earlier, to_period, to_total
from . import session


class Charge:
    def charge(self, config, period, totals, earlier):
        try:
            period = to_period(period)
            read, _ = session.configure(RULE, config, period)
            lines = RULE.charge(read, period, [to_total(total) for total in totals], [to_earlier(one) for one in earlier])
            return [_line(line) for line in lines]
        except Exception as error:
            raise failure(error) from None


def _line(line):
    category, description, service, account, amount, reason = session.line(line)
    return wit_charge.Line(description, category, service, account or None, amount, reason)
