// The files of golden cases: CSV with quotes, and the few forms of TOML that `case.toml` uses.
//
// A mistake in them ends the test with file and line; `rerate plugin test` says more.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { CUSTOMER_COST, decimal } from './decimal.js';
import { bytewise, period } from './testing.js';

/** Every case of a folder, by name. */
export function readCases(folder) {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  return names.map(({ name }) => readCase(join(folder, name), name)).sort((a, b) => bytewise(a.name, b.name));
}

function readCase(folder, name) {
  const read = (file) => (existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : undefined);
  const needed = (file) => read(file) ?? fail(`${join(folder, file)} is missing`);
  const { month, currency, earlier } = settings(read('case.toml') ?? '', join(folder, 'case.toml'));
  return {
    name,
    rows: charges(needed('input.csv'), join(folder, 'input.csv'), currency),
    config: needed('config.json'),
    period: period(month, currency),
    earlier: earlier.map((one) => ({ period: period(one.month, currency), amount: one.amount.toString() })),
    expected: read('expected.csv'),
  };
}

function fail(message) {
  throw new Error(message);
}

/** A record as `expected.csv` has it; the daemon writes the same bytes. */
export function record(fields) {
  const quoted = fields.map((field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field));
  return `${quoted.join(',')}\n`;
}

/** `input.csv`, completed as the daemon completes it: objects of text or null by column. */
function charges(text, file, currency) {
  const [head, ...others] = records(text.replace(/^\ufeff/, ''));
  if (head === undefined) fail(`${file} is empty; the first line names the columns`);
  const columns = head.fields;
  const rows = others.map(({ line, fields }) => {
    if (fields.length !== columns.length) fail(`${file}, line ${line}: as many fields as the header has`);
    return Object.fromEntries(columns.map((column, at) => [column, fields[at] === '' ? null : fields[at]]));
  });
  const payers = new Set(rows.map((row) => row.BillingAccountId ?? null).filter((payer) => payer !== null));
  for (const row of rows) {
    row[CUSTOMER_COST] = decimal(row[CUSTOMER_COST] ?? row.BilledCost ?? '0').toString();
    row.BillingCurrency ??= currency;
    if (!columns.includes('x_LineType')) row.x_LineType = row.x_SourceLineType ?? null;
    if (!columns.includes('x_CommitmentOwner')) {
      const owner = row.x_CommitmentOwnerAccountId ?? null;
      row.x_CommitmentOwner = owner === null ? null : payers.has(owner) ? 'payer' : 'tenant';
    }
  }
  return rows;
}

/** Records of a CSV text with the line at which each begins; empty lines are none. */
export function records(text) {
  const found = [];
  let [fields, field, quoted, wasQuoted, line, first] = [[], '', false, false, 1, 1];
  const end = () => {
    if (fields.length || field || wasQuoted) found.push({ line: first, fields: [...fields, field] });
    [fields, field, wasQuoted] = [[], '', false];
  };
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\n') line += 1;
    if (quoted && character === '"') {
      if (text[at + 1] === '"') at += 1;
      else quoted = false;
      if (quoted) field += '"';
    } else if (quoted) field += character;
    else if (character === '"' && field === '') [quoted, wasQuoted] = [true, true];
    else if (character === ',') {
      fields.push(field);
      field = '';
    } else if (character === '\n') {
      end();
      first = line;
    } else if (!(character === '\r' && text[at + 1] === '\n')) field += character;
  }
  end();
  return found;
}

/** `period`, `currency` and `[[earlier]]` tables of `period` and `amount`, all as text. */
export function settings(text, file) {
  const found = { month: '2026-09', currency: 'USD', earlier: [] };
  text.split('\n').forEach((whole, index) => {
    const line = whole.trim();
    const wrong = () => fail(`${file}, line ${index + 1}: not a line of a case.toml: ${line}`);
    if (line === '' || line.startsWith('#')) return;
    if (line === '[[earlier]]') {
      found.earlier.push({ month: '', amount: decimal('0') });
      return;
    }
    const [, key, value] = /^(\w+)\s*=\s*"([^"]*)"\s*(?:#.*)?$/.exec(line) ?? wrong();
    const entry = found.earlier.at(-1);
    if (key === 'period' && !entry) found.month = value;
    else if (key === 'currency' && !entry) found.currency = value;
    else if (key === 'period') entry.month = value;
    else if (key === 'amount' && entry) entry.amount = decimal(value);
    else wrong();
  });
  return found;
}
