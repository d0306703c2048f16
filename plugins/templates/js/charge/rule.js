// A support fee: a percentage of the month's usage, and at least an amount.
//
// The daemon computes the totals that `plan` asks for, and adds the lines that `charge` answers to the tenant's bill.

import { CUSTOMER_COST, ConfigError, Kind, field } from './sdk/index.js';

export default {
  about: {
    name: '{{name}}',
    version: '0.1.0',
    title: '{{title}}',
    summary: "Charges a percentage of the month's usage, and at least an amount.",
    // A chain writes: {"percent": "3", "least": "50.00"}
    config: [
      field('percent', Kind.percent, 'Of what the tenant pays for usage.', { required: true }),
      field('least', Kind.decimal, 'The smallest fee of a month.', { default: '0' }),
    ],
  },

  plan(config, period) {
    if (config.least.isNegative()) throw new ConfigError('/least', 'a fee is not negative');
    return { totals: [{ sums: [CUSTOMER_COST], where: [{ column: 'ChargeCategory', is_in: ['Usage'] }] }] };
  },

  charge({ percent, least }, { currency }, [total], earlier) {
    const usage = total.grand;
    const share = usage.times(percent.share).rounded(2);
    const isSmall = share.compare(least) < 0;
    return [
      {
        description: 'Support',
        category: 'Purchase',
        service: 'Support',
        amount: isSmall ? least : share,
        reason: isSmall ? `at least ${least.toString()} ${currency}` : `${percent} % of ${usage.toString()} ${currency}`,
      },
    ];
  },
};
