"""The hard rules of BILLING section 5 for AWS CUR, computed a second time from the source text with decimal arithmetic.

Usage: independent.py public-price|commitments BILL.csv [PAYER ...]  ->  CSV of line item, customer cost, treatment

It shares no code with rerate and reads legacy and 2.0 names alike. Default configuration of each rule; every row belongs to one tenant,
and a commitment that a payer bought is the payer's.
"""

import csv
import sys
from decimal import Decimal

FEES = {"SavingsPlanRecurringFee", "SavingsPlanUpfrontFee", "RIFee"}
NEGOTIATED = {"EdpDiscount", "PrivateRateDiscount", "SppDiscount", "DistributorDiscount", "RiVolumeDiscount"}
KNOWN = FEES | NEGOTIATED | {
    "Usage", "DiscountedUsage", "SavingsPlanCoveredUsage", "SavingsPlanNegation", "Fee", "FlatRateSubscription", "BundledDiscount",
    "Tax", "Credit", "Refund",
}


def plain(name):
    """lineItem/UsageAccountId and line_item_usage_account_id under one key."""
    return "".join(c for c in name.lower() if c.isalnum())


def amount(text):
    try:
        return Decimal(text)
    except ArithmeticError:
        return None


def public_price(kind, row, billed, listed):
    keep, public = (billed, "keep"), (listed if listed else billed, "keep")
    if kind == "Usage":
        spot = "SpotUsage" in row["lineitemusagetype"]
        market = row["billbillingentity"] == "AWS Marketplace"
        return keep if spot or market else public
    if kind in ("DiscountedUsage", "SavingsPlanCoveredUsage"):
        return public
    if kind == "Fee":
        return (Decimal(0), "drop") if commitment(row) else keep
    if kind == "SavingsPlanNegation" or kind == "Tax" or kind in FEES or kind in NEGOTIATED:
        return Decimal(0), "drop"
    return keep if kind in KNOWN else (billed, "hold")


def commitments(kind, row, billed, listed, payers):
    arn = commitment(row)
    bought_by_payer = arn and arn.split(":")[4] in payers
    if kind not in KNOWN:
        return billed, "hold"
    if kind == "Tax":
        return Decimal(0), "drop"
    if bought_by_payer and kind in ("DiscountedUsage", "SavingsPlanCoveredUsage"):
        return (listed if listed else billed), "keep"
    if bought_by_payer and (kind == "SavingsPlanNegation" or kind == "Fee" or kind in FEES):
        return Decimal(0), "drop"
    return billed, "keep"


def commitment(row):
    return row["savingsplansavingsplanarn"] or row["reservationreservationarn"]


def main(rule, path, *payers):
    out = csv.writer(sys.stdout, lineterminator="\n")
    with open(path, newline="", encoding="utf-8-sig") as source:
        for record in csv.DictReader(source):
            row = {plain(name): value for name, value in record.items()}
            kind = row["lineitemlineitemtype"]
            split = row["lineitemoperation"] in ("EKSPod-EC2", "ECSTask-EC2")
            billed = amount(row["lineitemnetunblendedcost"]) or amount(row["lineitemunblendedcost"]) or Decimal(0)
            listed = None if kind == "SavingsPlanNegation" else amount(row["pricingpubliconDemandcost".lower()])
            if split:
                billed, listed = Decimal(0), Decimal(0)
            if rule == "public-price":
                cost, treatment = public_price(kind, row, billed, listed)
            else:
                cost, treatment = commitments(kind, row, billed, listed, payers)
            text = format(cost.normalize(), "f") if cost else "0"
            out.writerow([row["identitylineitemid"], kind, text, treatment])


if __name__ == "__main__":
    main(*sys.argv[1:])
