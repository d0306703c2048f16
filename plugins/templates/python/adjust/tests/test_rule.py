import unittest

from rerate import ConfigError, text
from rerate.testing import Table
from rule import {{Type}}


class Charges(unittest.TestCase):
    def test_every_charge_costs_five_percent_more_and_support_nothing(self):
        bill = Table(
            {"ServiceName": "AmazonEC2", "BilledCost": "10"},
            {"ServiceName": "AmazonS3", "BilledCost": "-0.2"},
            {"ServiceName": "AWS Support", "BilledCost": "100"},
        )
        rated = bill.rate({{Type}}, {"percent": "5", "free": ["AWS Support"]})
        self.assertEqual([text(charge.cost) for charge in rated], ["10.5", "-0.21", "0"])
        self.assertEqual(rated[2].reason, "AWS Support is free")

    def test_a_percentage_is_written_as_text(self):
        with self.assertRaises(ConfigError) as refused:
            Table().rate({{Type}}, {"percent": 5})
        self.assertEqual(refused.exception.pointer, "/percent")
