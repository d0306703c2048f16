import unittest

from rerate import ConfigError, text
from rerate.testing import Table
from rule import TieredSupport

CONFIG = {"tiers": [{"up_to": "1000", "percent": "10"}, {"percent": "5"}], "least": "20"}


def fee(usage):
    [line] = Table({"ChargeCategory": "Usage", "BilledCost": usage}).charge(TieredSupport, CONFIG)
    return text(line.amount), line.reason


class Fees(unittest.TestCase):
    def test_each_tier_takes_its_own_percentage_of_its_own_part(self):
        self.assertEqual(fee("1000"), ("100", "on 1000 USD of usage"))
        self.assertEqual(fee("1500.10"), ("125", "on 1500.1 USD of usage"))

    def test_a_small_month_pays_the_least_fee(self):
        self.assertEqual(fee("3"), ("20", "at least 20"))

    def test_tiers_that_fall_are_refused(self):
        falling = {"tiers": [{"up_to": "5", "percent": "1"}, {"up_to": "4", "percent": "1"}, {"percent": "1"}]}
        with self.assertRaises(ConfigError) as refused:
            Table().charge(TieredSupport, falling)
        self.assertEqual(refused.exception.pointer, "/tiers")
