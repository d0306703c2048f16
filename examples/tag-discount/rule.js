// A discount by the value of a tag: development and test environments cost the tenant less.

import { CUSTOMER_COST, ConfigError, Decision, Kind, decimal, field } from './sdk/index.js';

export default {
  about: {
    name: 'tag-discount',
    version: '0.1.0',
    title: 'Discount by tag',
    summary: 'Takes a percentage off charges whose tag has a certain value.',
    // A chain writes: {"tag": "environment", "discounts": {"dev": "20"}}
    config: [
      field('tag', Kind.text, 'The key of the tag.', { required: true }),
      field('discounts', Kind.mapOf(Kind.percent), 'Value of the tag to percentage taken off.', { required: true }),
    ],
  },

  plan({ tag, discounts }) {
    if (tag === '') throw new ConfigError('/tag', 'a tag has a key');
    for (const [value, { percent }] of discounts) {
      if (percent.isNegative() || percent.compare(100) > 0) throw new ConfigError(`/discounts/${value}`, 'a discount is 0 to 100');
    }
    return { dimensions: [`Tags.${tag}`], reads: [CUSTOMER_COST] };
  },

  open({ tag, discounts }) {
    return {
      decide(charge) {
        const value = charge[`Tags.${tag}`];
        const discount = discounts.get(value);
        if (!discount) return Decision.keep(value === null ? `no tag ${tag}` : `nothing off for ${tag} ${value}`);
        return Decision.scaled(CUSTOMER_COST, decimal(1).minus(discount.share), 10, `${discount} % off for ${tag} ${value}`);
      },
    };
  },
};
