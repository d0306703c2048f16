"""The contract's `charge`."""

from wit_world.exports import charge as wit_charge

from .component import RULE, failure, to_earlier, to_period, to_total
from . import session
from .decimals import text, units_of


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
    units_of(line.amount)  # an amount that no bill can hold fails here, with the rule's line
    return wit_charge.Line(line.description, line.category, line.service, line.account, text(line.amount), line.reason)
