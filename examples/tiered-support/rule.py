"""A support fee as the providers charge it: a percentage that falls with the month's usage, and at least an amount."""

from decimal import Decimal

from rerate import CUSTOMER_COST, About, Charge, Condition, ConfigError, Field, Kind, Line, Plan, TotalRequest, rounded, text

TIER = Kind.object_of(
    Field("up_to", Kind.DECIMAL, "Where the tier ends; the last has none."),
    Field("percent", Kind.PERCENT, "Of the usage within the tier.", required=True),
)


class TieredSupport(Charge):
    # A chain writes: {"tiers": [{"up_to": "10000", "percent": "10"}, {"percent": "7"}], "least": "100"}
    ABOUT = About(
        name="tiered-support",
        version="0.1.0",
        title="Support in tiers",
        summary="Charges a percentage of usage that falls with the usage, and at least an amount.",
        config=[
            Field("tiers", Kind.list_of(TIER), "In rising order.", required=True),
            Field("least", Kind.DECIMAL, "The smallest fee of a month.", default="0"),
        ],
    )

    @staticmethod
    def plan(config, period):
        ends = [tier.up_to for tier in config.tiers]
        if not ends or ends[-1] is not None or None in ends[:-1]:
            raise ConfigError("/tiers", "every tier but the last ends somewhere, and the last does not")
        if any(a >= b for a, b in zip([Decimal(0), *ends[:-1]], ends[:-1])):
            raise ConfigError("/tiers", "tiers come in rising order")
        return Plan(totals=[TotalRequest([CUSTOMER_COST], where=[Condition("ChargeCategory", "is_in", ["Usage"])])])

    @staticmethod
    def charge(config, period, totals, earlier):
        usage = totals[0].grand
        fee, start = Decimal(0), Decimal(0)
        for tier in config.tiers:
            end = usage if tier.up_to is None else min(usage, tier.up_to)
            if end > start:
                fee += (end - start) * tier.percent.share
                start = end
        fee = rounded(fee, 2)
        reason = f"on {text(usage)} {period.currency} of usage" if fee >= config.least else f"at least {text(config.least)}"
        return [Line("Support", max(fee, config.least), reason, service="Support")]
