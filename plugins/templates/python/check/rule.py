"""Warns where a service is sold for less than it costs.

The daemon computes the totals that `plan` asks for, over the charges as the rules before this one left them, and shows the findings that
`check` answers; one of `Severity.BLOCK` keeps the invoice from being issued.
"""

from rerate import CUSTOMER_COST, About, Check, ConfigError, Field, Finding, Kind, Plan, Severity, TotalRequest, text


class {{Type}}(Check):
    # A chain writes: {"tolerance": "1.00"}
    ABOUT = About(
        name="{{name}}",
        version="0.1.0",
        title="{{title}}",
        summary="Warns where a service is sold for less than it costs.",
        config=[Field("tolerance", Kind.DECIMAL, "A smaller loss on a service is nobody's business.", default="0")],
    )

    @staticmethod
    def plan(config, period):
        if config.tolerance < 0:
            raise ConfigError("/tolerance", "a loss that is tolerated is not negative")
        return Plan(totals=[TotalRequest(["BilledCost", CUSTOMER_COST], group_by=["ServiceName"])])

    @staticmethod
    def check(config, period, totals):
        findings = []
        for service in totals[0].groups:
            cost, price = service.sums
            if cost - price > config.tolerance:
                name = service.keys[0] or "no service"
                message = f"{name} costs {text(cost)} and is sold for {text(price)} {period.currency}"
                findings.append(Finding(Severity.WARNING, message))
        return findings
