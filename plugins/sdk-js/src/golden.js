// Golden cases, natively: every folder of `cases/` through the rule's own functions in node, compared with its `expected.csv` byte by byte.
//
// The rule answers through the interface of its component, with the contract's own values, so that what is tried here is what the sandbox
// runs, without an engine around it. What only the daemon knows, limits and other orders of charges, is left to `rerate plugin test`, which
// also compares the two.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Failed, applied, combine, formed, plain, selected, total, unitsIn } from './bill.js';
import { readCases, record } from './cases.js';
import { component } from './component.js';
import { CUSTOMER_COST } from './decimal.js';
import { bytewise } from './testing.js';

const LINE = ['Line', 'ChargeCategory', 'ChargeDescription', 'ServiceName', 'SubAccountId', CUSTOMER_COST, 'Reason'];

/** Longest message of a rule that the daemon keeps. */
const MESSAGE_CHARS = 1000;

/**
 * A test for each golden case of the project in a folder, a URL. Where RERATE_CASES_OUT is set, the answers are written there instead, for
 * whoever set it to compare; RERATE_CASES_FILTER takes only cases with that text in their name.
 */
export function golden(rule, project) {
  const folder = fileURLToPath(project);
  const { does } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).rerate;
  const { RERATE_CASES_OUT: out, RERATE_CASES_FILTER: filter = '' } = process.env;
  for (const one of readCases(join(folder, 'cases')).filter(({ name }) => name.includes(filter))) {
    test(`case ${one.name}`, () => {
      const got = outcome(rule, does, one);
      if (out) writeFileSync(join(out, `${one.name}.csv`), got);
      else assert.equal(got, one.expected, `${one.name}: \`rerate plugin test --update\` writes expected.csv as the rule answers`);
    });
  }
}

/** What a rule does to a case, as the text of `expected.csv`. */
export function outcome(rule, does, one) {
  const parts = component(rule);
  let plan;
  try {
    plan = parts.describe.configure(one.config, one.period);
  } catch ({ pointer, message }) {
    return record(['Refused', 'Pointer', 'Message']) + record(['1', pointer, message]);
  }
  try {
    return blocks(parts, does, plan, one).join('\n');
  } catch (failure) {
    return record(['Failed', 'Reason']) + record(['1', reasonOf(failure)]);
  }
}

function reasonOf(failure) {
  if (failure instanceof Failed) return failure.message;
  if (failure.tag === 'overflow') return 'an amount left the range in which the rule computes';
  if (failure.tag === 'invalid') return `the rule refused: ${[...failure.val].slice(0, MESSAGE_CHARS).join('')}`;
  throw failure;
}

function blocks(parts, does, plan, { config, period, rows, earlier }) {
  const found = [];
  let after = rows;
  const totals = () => plan.totals.map((request) => total(after, request));
  if (does.includes('adjust')) {
    const charges = adjusted(parts.adjust, plan, config, period, totals(), rows);
    found.push(chargeBlock(charges));
    after = charges.filter(({ treatment }) => treatment !== 'drop').map(({ row, cost, labels }) => ({ ...row, ...labels, [CUSTOMER_COST]: plain(cost) }));
  }
  if (does.includes('charge')) {
    const lines = parts.charge.charge(config, period, totals(), plan.history ? earlier : []);
    const texts = lines.map((line) => [line.chargeCategory, line.description, line.serviceName, line.subAccountId ?? '', line.amount, line.reason]);
    found.push(table(LINE, texts));
    after = after.concat(lines.map((line) => rowOf(line, period.currency)));
  }
  if (does.includes('check')) {
    const findings = parts.check.check(config, period, totals());
    found.push(table(['Finding', 'Severity', 'Message'], findings.map(({ severity, message }) => [severity, message])));
  }
  return found;
}

const table = (titles, rows) => record(titles) + rows.map((row, at) => record([`${at + 1}`, ...row])).join('');

function rowOf(line, currency) {
  return {
    ChargeCategory: line.chargeCategory,
    ChargeDescription: line.description,
    ServiceName: line.serviceName,
    SubAccountId: line.subAccountId ?? null,
    BillingCurrency: currency,
    [CUSTOMER_COST]: line.amount,
  };
}

function chargeBlock(charges) {
  const columns = [...new Set(charges.flatMap(({ labels }) => Object.keys(labels)))].sort(bytewise);
  const label = ({ row, labels }, column) => (column in labels ? labels[column] : row[column]) ?? '';
  const texts = charges.map((charge) => [
    plain(charge.cost),
    charge.treatment,
    charge.reason,
    ...columns.map((column) => label(charge, column)),
  ]);
  return table(['Charge', CUSTOMER_COST, 'x_Treatment', 'Reason', ...columns], texts);
}

/** Every charge as the rule left it. */
function adjusted(adjust, plan, config, period, totals, rows) {
  const charges = new Map(rows.map((row) => [row, { row, cost: unitsIn(row, CUSTOMER_COST), treatment: 'keep', reason: '', labels: {} }]));
  const seen = selected(rows, plan.appliesTo);
  if (seen.length > 0) {
    const { slots, count, columns } = combine(seen, plan.dimensions);
    const rater = adjust.Rater.open(config, period, totals);
    const decisions = rater.decide(columns);
    if (decisions.length !== count) throw new Failed(`it answered ${decisions.length} decisions for ${count} combinations`);
    const isCustom = (at) => decisions[slots[at]].amount.tag === 'custom';
    const custom = seen.map((row, at) => ({ row, at })).filter(({ at }) => isCustom(at));
    const answers = custom.length === 0 ? [] : applied(rater, custom.map(({ row }) => row), custom.map(({ at }) => slots[at]), plan.reads);
    const own = new Map(custom.map(({ at }, index) => [at, answers[index]]));
    seen.forEach((row, at) => {
      const decision = decisions[slots[at]];
      put(charges.get(row), decision, isCustom(at) ? own.get(at) : formed(decision.amount, row, plan.reads), plan);
    });
  }
  return [...charges.values()];
}

/** `answer` is the amount, null where the rule leaves it alone, undefined where it is missing. */
function put(charge, { amount, treatment, relabel, reason }, answer, plan) {
  const missing = answer === undefined;
  const held = missing && amount.val.ifMissing === 'hold';
  charge.treatment = held ? 'hold' : treatment;
  if (charge.treatment === 'drop') charge.cost = 0n;
  else if (answer !== null && !missing) charge.cost = answer;
  for (const [position, value] of relabel) charge.labels[plan.writes[position]] = value ?? null;
  // What a rule only looked at carries no trace of it.
  const kept = answer === null && treatment === 'keep' && relabel.length === 0;
  if (!kept) charge.reason = missing ? `${reason}: the amount is missing` : reason;
}
