import assert from 'node:assert/strict';
import { test } from 'node:test';

import rule from '../rule.js';
import { Table } from '../sdk/testing.js';

const CONFIG = { tag: 'environment', discounts: { dev: '20' } };

test('development costs a fifth less and everything else what it did', () => {
  const bill = new Table([{ 'Tags.environment': 'dev', BilledCost: '10' }, { 'Tags.environment': 'production', BilledCost: '10' }, { BilledCost: '1' }]);
  const rated = bill.rate(rule, CONFIG);
  assert.deepEqual(rated.map(({ cost }) => cost.toString()), ['8', '10', '1']);
  assert.deepEqual(rated.map(({ reason }) => reason), ['20 % off for environment dev', 'nothing off for environment production', 'no tag environment']);
});

test('a discount of more than everything is refused where it stands', () => {
  assert.throws(() => new Table([]).rate(rule, { tag: 'environment', discounts: { dev: '120' } }), { pointer: '/discounts/dev' });
});
