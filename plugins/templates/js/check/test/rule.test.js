import assert from 'node:assert/strict';
import { test } from 'node:test';

import rule from '../rule.js';
import { Table } from '../sdk/testing.js';

test('a service below cost is found and a tolerated loss is not', () => {
  const bill = new Table([
    { ServiceName: 'AmazonEC2', BilledCost: '10', x_CustomerCost: '8' },
    { ServiceName: 'AmazonS3', BilledCost: '1', x_CustomerCost: '0.5' },
    { ServiceName: 'AWS Lambda', BilledCost: '1', x_CustomerCost: '2' },
  ]);
  const findings = bill.check(rule, { tolerance: '1' });
  assert.deepEqual(findings, [{ severity: 'warning', message: 'AmazonEC2 costs 10 and is sold for 8 USD' }]);
});
