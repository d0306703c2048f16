import unittest

from rerate import Finding, Severity
from rerate.testing import Table
from rule import {{Type}}


class Findings(unittest.TestCase):
    def test_a_service_below_cost_is_found_and_a_tolerated_loss_is_not(self):
        bill = Table(
            {"ServiceName": "AmazonEC2", "BilledCost": "10", "x_CustomerCost": "8"},
            {"ServiceName": "AmazonS3", "BilledCost": "1", "x_CustomerCost": "0.5"},
            {"ServiceName": "AWS Lambda", "BilledCost": "1", "x_CustomerCost": "2"},
        )
        findings = bill.check({{Type}}, {"tolerance": "1"})
        self.assertEqual(findings, [Finding(Severity.WARNING, "AmazonEC2 costs 10 and is sold for 8 USD")])
