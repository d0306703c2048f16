"""A support fee: a percentage of the month's usage, and at least an amount.

The daemon computes the totals that `plan` asks for, and adds the lines that `charge` answers to the tenant's bill.
"""

from rerate import CUSTOMER_COST, About, Charge, Condition, ConfigError, Field, Kind, Line, Plan, TotalRequest, rounded, text


class {{Type}}(Charge):
    # A chain writes: {"percent": "3", "least": "50.00"}
    ABOUT = About(
        name="{{name}}",
        version="0.1.0",
        title="{{title}}",
        summary="Charges a percentage of the month's usage, and at least an amount.",
        config=[
            Field("percent", Kind.PERCENT, "Of what the tenant pays for usage.", required=True),
            Field("least", Kind.DECIMAL, "The smallest fee of a month.", default="0"),
        ],
    )

    @staticmethod
    def plan(config, period):
        if config.least < 0:
            raise ConfigError("/least", "a fee is not negative")
        usage = Condition("ChargeCategory", "is_in", ["Usage"])
        return Plan(totals=[TotalRequest([CUSTOMER_COST], where=[usage])])

    @staticmethod
    def charge(config, period, totals, earlier):
        usage = totals[0].grand
        share = rounded(usage * config.percent.share, 2)
        if share < config.least:
            reason = f"at least {text(config.least)} {period.currency}"
        else:
            reason = f"{config.percent} % of {text(usage)} {period.currency}"
        return [Line("Support", max(share, config.least), reason, service="Support")]
