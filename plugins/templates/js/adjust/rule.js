// A percentage on top of every charge, and services that are free of charge.
//
// The daemon asks `plan` which columns the rule looks at, then `decide` once for each combination of their values, not once for each
// charge, and computes the amounts itself.

import { CUSTOMER_COST, ConfigError, Decision, Kind, field } from './sdk/index.js';

export default {
  about: {
    name: '{{name}}',
    version: '0.1.0',
    title: '{{title}}',
    summary: 'Adds a percentage to every charge, except for services that are free.',
    // A chain writes: {"percent": "5", "free": ["AWS Support"]}
    config: [
      field('percent', Kind.percent, 'Added to every charge: "5" charges 1.05 times the cost.', { required: true }),
      field('free', Kind.listOf(Kind.text), 'Services that the tenant does not pay for.', { default: [] }),
    ],
  },

  plan(config, period) {
    if (config.free.includes('')) throw new ConfigError('/free', 'a service has a name');
    return { dimensions: ['ServiceName'], reads: [CUSTOMER_COST] };
  },

  open(config, period, totals) {
    const { percent } = config;
    return {
      decide(charge) {
        const service = charge.ServiceName;
        if (config.free.includes(service)) return Decision.zero(`${service} is free`);
        return Decision.scaled(CUSTOMER_COST, percent.onTop, 10, `${percent} % more`);
      },
    };
  },
};
