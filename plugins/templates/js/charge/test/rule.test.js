import assert from 'node:assert/strict';
import { test } from 'node:test';

import rule from '../rule.js';
import { Table } from '../sdk/testing.js';

function fee(usage) {
  const bill = new Table([
    { ChargeCategory: 'Usage', BilledCost: usage },
    { ChargeCategory: 'Tax', BilledCost: '100' },
  ]);
  return bill.charge(rule, { percent: '3', least: '50' })[0];
}

test('the fee is three percent of usage and nothing of tax', () => {
  const { amount, reason } = fee('2000.50');
  assert.equal(amount.toString(), '60.02');
  assert.equal(reason, '3 % of 2000.5 USD');
});

test('a small month pays the least fee', () => {
  assert.equal(fee('10').amount.toString(), '50');
});
