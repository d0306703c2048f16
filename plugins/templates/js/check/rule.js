// Warns where a service is sold for less than it costs.
//
// The daemon computes the totals that `plan` asks for, over the charges as the rules before this one left them, and shows the findings
// that `check` answers; one of severity 'block' keeps the invoice from being issued.

import { CUSTOMER_COST, ConfigError, Kind, field } from './sdk/index.js';

export default {
  about: {
    name: '{{name}}',
    version: '0.1.0',
    title: '{{title}}',
    summary: 'Warns where a service is sold for less than it costs.',
    // A chain writes: {"tolerance": "1.00"}
    config: [field('tolerance', Kind.decimal, "A smaller loss on a service is nobody's business.", { default: '0' })],
  },

  plan(config, period) {
    if (config.tolerance.isNegative()) throw new ConfigError('/tolerance', 'a loss that is tolerated is not negative');
    return { totals: [{ groupBy: ['ServiceName'], sums: ['BilledCost', CUSTOMER_COST] }] };
  },

  check({ tolerance }, { currency }, [byService]) {
    const findings = [];
    for (const { keys, sums } of byService.groups) {
      const [cost, price] = sums;
      if (cost.minus(price).compare(tolerance) > 0) {
        const message = `${keys[0] ?? 'no service'} costs ${cost.toString()} and is sold for ${price.toString()} ${currency}`;
        findings.push({ severity: 'warning', message });
      }
    }
    return findings;
  },
};
