"""A percentage on top of every charge, and services that are free of charge.

The daemon asks `plan` which columns the rule looks at, then `decide` once for each combination of their values, not once for each charge,
and computes the amounts itself.
"""

from rerate import CUSTOMER_COST, About, Adjust, ConfigError, Decision, Field, Kind, Plan


class {{Type}}(Adjust):
    # A chain writes: {"percent": "5", "free": ["AWS Support"]}
    ABOUT = About(
        name="{{name}}",
        version="0.1.0",
        title="{{title}}",
        summary="Adds a percentage to every charge, except for services that are free.",
        config=[
            Field("percent", Kind.PERCENT, 'Added to every charge: "5" charges 1.05 times the cost.', required=True),
            Field("free", Kind.list_of(Kind.TEXT), "Services that the tenant does not pay for.", default=[]),
        ],
    )

    @staticmethod
    def plan(config, period):
        if "" in config.free:
            raise ConfigError("/free", "a service has a name")
        return Plan(dimensions=["ServiceName"], reads=[CUSTOMER_COST])

    def __init__(self, config, period, totals):
        self.config = config

    def decide(self, charge):
        service = charge["ServiceName"]
        if service in self.config.free:
            return Decision.zero(f"{service} is free")
        percent = self.config.percent
        return Decision.scaled(CUSTOMER_COST, percent.on_top, 10, f"{percent} % more")
