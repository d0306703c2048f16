import assert from 'node:assert/strict';
import { test } from 'node:test';

import rule from '../rule.js';
import { Table } from '../sdk/testing.js';

test('every charge costs five percent more and support nothing', () => {
  const bill = new Table([
    { ServiceName: 'AmazonEC2', BilledCost: '10' },
    { ServiceName: 'AmazonS3', BilledCost: '-0.2' },
    { ServiceName: 'AWS Support', BilledCost: '100' },
  ]);
  const rated = bill.rate(rule, { percent: '5', free: ['AWS Support'] });
  assert.deepEqual(rated.map(({ cost }) => `${cost.toString()}`), ['10.5', '-0.21', '0']);
  assert.equal(rated[2].reason, 'AWS Support is free');
});

test('a percentage is written as text', () => {
  assert.throws(() => new Table([]).rate(rule, { percent: 5 }), { pointer: '/percent' });
});
