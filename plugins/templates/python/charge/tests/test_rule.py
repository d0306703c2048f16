import unittest

from rerate import text
from rerate.testing import Table
from rule import {{Type}}


def fee(usage):
    bill = Table({"ChargeCategory": "Usage", "BilledCost": usage}, {"ChargeCategory": "Tax", "BilledCost": "100"})
    [line] = bill.charge({{Type}}, {"percent": "3", "least": "50"})
    return line


class Fees(unittest.TestCase):
    def test_the_fee_is_three_percent_of_usage_and_nothing_of_tax(self):
        line = fee("2000.50")
        self.assertEqual((text(line.amount), line.reason), ("60.02", "3 % of 2000.5 USD"))

    def test_a_small_month_pays_the_least_fee(self):
        self.assertEqual(text(fee("10").amount), "50")
