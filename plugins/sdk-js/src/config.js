// A configuration's fields: from them its JSON Schema is written and its values are read.

import { Percent, decimal } from './decimal.js';

const DECIMAL = '^[-+]?(\\d+\\.?\\d*|\\.\\d+)$';
const TESTS = ['is_in', 'not_in', 'starts_with', 'is_null', 'not_null'];
const LIST = { type: 'array', minItems: 1, items: { type: 'string' } };

/** A configuration that the rule refuses: a JSON pointer into it, and what is wrong. */
export class ConfigError extends Error {
  constructor(pointer, message) {
    super(pointer ? `${pointer}: ${message}` : message);
    this.pointer = pointer;
    this.what = message;
  }
}

/** A field of the configuration. Options: `required`, or a `default` as JSON would write it. */
export function field(name, kind, about = '', { required = false, default: absent } = {}) {
  return { name, kind, about, required, default: absent };
}

function need(holds, value, pointer, expected) {
  if (!holds) throw new ConfigError(pointer, `expected ${expected}, not ${JSON.stringify(value)}`);
  return value;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const escaped = (name) => name.replaceAll('~', '~0').replaceAll('/', '~1');

function parsed(parse) {
  return (value, pointer) => {
    try {
      if (typeof value !== 'string') throw new RangeError('write it as text, in quotes: "12.50"');
      return parse(value);
    } catch (error) {
      throw new ConfigError(pointer, error.message);
    }
  };
}

/** What a field holds: a schema, and how to read it. */
export const Kind = {
  text: { schema: { type: 'string' }, read: (value, at) => need(typeof value === 'string', value, at, 'text') },
  boolean: { schema: { type: 'boolean' }, read: (value, at) => need(typeof value === 'boolean', value, at, 'true or false') },
  decimal: { schema: { type: 'string', format: 'decimal', pattern: DECIMAL }, read: parsed(decimal) },
  percent: { schema: { type: 'string', format: 'percent', pattern: DECIMAL }, read: parsed((text) => new Percent(text)) },
  /** Conditions on text columns, for `appliesTo` and `where` of a plan. */
  where: {
    schema: {
      type: 'array',
      items: {
        type: 'object', required: ['column'], minProperties: 2, maxProperties: 2, additionalProperties: false,
        properties: {
          column: { type: 'string' }, is_in: LIST, not_in: LIST, starts_with: LIST, is_null: { const: true }, not_null: { const: true },
        },
      },
    },
    read: (value, at) => need(Array.isArray(value), value, at, 'a list').map((item, index) => condition(item, `${at}/${index}`)),
  },
  choice: (...choices) => ({
    schema: { enum: choices },
    read: (value, at) => need(choices.includes(value), value, at, `one of ${choices.join(', ')}`),
  }),
  upTo: (most) => ({
    schema: { type: 'integer', minimum: 0, maximum: most },
    read: (value, at) => need(Number.isInteger(value) && value >= 0 && value <= most, value, at, `a whole number from 0 to ${most}`),
  }),
  listOf: (kind) => ({
    schema: { type: 'array', items: kind.schema },
    read: (value, at) => need(Array.isArray(value), value, at, 'a list').map((item, index) => kind.read(item, `${at}/${index}`)),
  }),
  /** A Map by the keys of the author's choosing. */
  mapOf: (kind) => ({
    schema: { type: 'object', additionalProperties: kind.schema },
    read: (value, at) =>
      new Map(Object.entries(need(isObject(value), value, at, 'an object')).map(([key, item]) => [key, kind.read(item, `${at}/${escaped(key)}`)])),
  }),
  objectOf: (...fields) => ({ schema: object(fields), read: (value, at) => readObject(fields, value, at) }),
};

function condition(value, pointer) {
  need(isObject(value) && typeof value.column === 'string', value, pointer, 'an object with a column');
  const tests = Object.keys(value).filter((name) => name !== 'column');
  if (tests.length !== 1 || !TESTS.includes(tests[0])) {
    throw new ConfigError(pointer, `a condition needs exactly one of ${TESTS.join(', ')}`);
  }
  const [test] = tests;
  const values = value[test];
  if (test.endsWith('_null')) {
    need(values === true, values, `${pointer}/${test}`, 'true');
  } else {
    const texts = Array.isArray(values) && values.length > 0 && values.every((text) => typeof text === 'string');
    need(texts && !(test === 'starts_with' && values.includes('')), values, `${pointer}/${test}`, 'a list of texts');
  }
  return value;
}

function object(fields) {
  const described = ({ kind, about, default: absent }) => ({
    ...kind.schema,
    ...(about && { description: about }),
    ...(absent !== undefined && { default: absent }),
  });
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(fields.map((field) => [field.name, described(field)])),
    required: fields.filter((field) => field.required).map((field) => field.name),
  };
}

export function schema(fields) {
  return JSON.stringify({ $schema: 'https://json-schema.org/draft/2020-12/schema', ...object(fields) });
}

export function read(fields, text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ConfigError('', `not JSON: ${error.message}`);
  }
  return readObject(fields, value, '');
}

function readObject(fields, value, pointer) {
  need(isObject(value), value, pointer, 'an object');
  for (const name of Object.keys(value)) {
    if (!fields.some((field) => field.name === name)) throw new ConfigError(`${pointer}/${escaped(name)}`, `unknown field \`${name}\``);
  }
  const values = {};
  for (const { name, kind, required, default: absent } of fields) {
    const given = value[name] ?? absent;
    if (given !== undefined) values[name] = kind.read(given, `${pointer}/${escaped(name)}`);
    else if (required) throw new ConfigError(pointer, `missing field \`${name}\``);
  }
  return values;
}
