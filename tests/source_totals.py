"""Totals of a bill straight from its source, with csv and Decimal only: an opinion that shares no code with the importer.

    python3 source_totals.py FILE...

prints one JSON object: file -> {"rows", "billed", "effective"}. Values are rounded half-even to 18 decimals one by one, as stored.
"""

import csv
import gzip
import json
import re
import sys
from decimal import ROUND_HALF_EVEN, Decimal, getcontext

getcontext().prec = 80
csv.field_size_limit(1 << 30)
UNIT = Decimal(1).scaleb(-18)


def number(text):
    text = (text or "").strip()
    if text in ("", "NULL", "null", "None"):
        return None
    text = re.sub(r"[$€£,]", "", text)
    return Decimal(text).quantize(UNIT, rounding=ROUND_HALF_EVEN)


def zero(value):
    return Decimal(0) if value is None else value


def cur(row):
    def cell(legacy, snake):
        return row[legacy] if legacy in row else row.get(snake, "")

    if cell("lineItem/Operation", "line_item_operation") in ("EKSPod-EC2", "ECSTask-EC2"):
        return Decimal(0), Decimal(0)
    net = number(cell("lineItem/NetUnblendedCost", "line_item_net_unblended_cost"))
    billed = net if net is not None else number(cell("lineItem/UnblendedCost", "line_item_unblended_cost"))
    kind = cell("lineItem/LineItemType", "line_item_line_item_type")
    reservation = cell("reservation/ReservationARN", "reservation_reservation_a_r_n")
    money = lambda legacy, snake: zero(number(cell(legacy, snake)))
    if kind == "SavingsPlanCoveredUsage":
        effective = money("savingsPlan/SavingsPlanEffectiveCost", "savings_plan_savings_plan_effective_cost")
    elif kind in ("SavingsPlanNegation", "SavingsPlanUpfrontFee") or (kind == "Fee" and reservation):
        effective = Decimal(0)
    elif kind == "SavingsPlanRecurringFee":
        effective = money("savingsPlan/TotalCommitmentToDate", "savings_plan_total_commitment_to_date") - money(
            "savingsPlan/UsedCommitment", "savings_plan_used_commitment"
        )
    elif kind == "DiscountedUsage":
        effective = money("reservation/EffectiveCost", "reservation_effective_cost")
    elif kind == "RIFee":
        effective = money(
            "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod",
            "reservation_unused_amortized_upfront_fee_for_billing_period",
        ) + money("reservation/UnusedRecurringFee", "reservation_unused_recurring_fee")
    elif (
        kind == "Refund"
        and cell("lineItem/ProductCode", "line_item_product_code") == "ComputeSavingsPlans"
        and cell("lineItem/LineItemDescription", "line_item_line_item_description").startswith("Refund for one-time fee")
    ):
        effective = Decimal(0)
    else:
        effective = billed
    return billed, effective


def gcp(row):
    credits = sum((c["amount"] for c in json.loads(row["credits"] or "[]", parse_float=Decimal, parse_int=Decimal)), Decimal(0))
    net = zero(number(row["cost"])) + credits
    return net, net


def costs(row):
    if "lineItem/UnblendedCost" in row or "line_item_unblended_cost" in row:
        return cur(row)
    if "BilledCost" in row:
        return number(row["BilledCost"]), number(row.get("EffectiveCost"))
    if "cost/myCost" in row:
        return number(row["cost/myCost"]), number(row["cost/myCost"])
    if "billing_account_id" in row:
        return gcp(row)
    cost = number(row["CostInBillingCurrency"] if "CostInBillingCurrency" in row else row["Cost"])
    return cost, cost


def totals(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
        rows, billed, effective = 0, Decimal(0), Decimal(0)
        for row in csv.DictReader(file):
            if None in row or None in row.values():
                raise SystemExit(f"{path}: ragged row {rows + 2}")
            b, e = costs(row)
            rows, billed, effective = rows + 1, billed + zero(b), effective + zero(e)
    return {"rows": rows, "billed": f"{billed:f}", "effective": f"{effective:f}"}


print(json.dumps({path: totals(path) for path in sys.argv[1:]}))
