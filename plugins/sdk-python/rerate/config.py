"""A configuration's fields: from them its JSON Schema is written and its values are read."""

import json

from .decimals import Percent, money
from .plan import Condition

_DECIMAL = r"^[-+]?(\d+\.?\d*|\.\d+)$"
_TESTS = ("is_in", "not_in", "starts_with", "is_null", "not_null")


class ConfigError(Exception):
    """A configuration that the rule refuses: a JSON pointer into it, and what is wrong."""

    def __init__(self, pointer, message):
        super().__init__(f"{pointer}: {message}" if pointer else message)
        self.pointer = pointer
        self.message = message


class Kind:
    """What a field holds: a schema, and how to read it."""

    def __init__(self, schema, read):
        self.schema = schema
        self.read = read

    @staticmethod
    def choice(*choices):
        def read(value, pointer):
            return _require(value in choices, value, pointer, f"one of {', '.join(choices)}")

        return Kind({"enum": list(choices)}, read)

    @staticmethod
    def up_to(most):
        def read(value, pointer):
            whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
            return _require(whole, value, pointer, f"a whole number from 0 to {most}")

        return Kind({"type": "integer", "minimum": 0, "maximum": most}, read)

    @staticmethod
    def list_of(kind):
        def read(value, pointer):
            _require(isinstance(value, list), value, pointer, "a list")
            return [kind.read(item, f"{pointer}/{at}") for at, item in enumerate(value)]

        return Kind({"type": "array", "items": kind.schema}, read)

    @staticmethod
    def map_of(kind):
        def read(value, pointer):
            _require(isinstance(value, dict), value, pointer, "an object")
            return {key: kind.read(item, f"{pointer}/{_escape(key)}") for key, item in value.items()}

        return Kind({"type": "object", "additionalProperties": kind.schema}, read)

    @staticmethod
    def object_of(*fields):
        return Kind(_object(fields), lambda value, pointer: read_object(fields, value, pointer))


class Field:
    """A field of the configuration; `default` is what an absent one means, as JSON would write it."""

    def __init__(self, name, kind, about="", *, required=False, default=None):
        self.name = name
        self.kind = kind
        self.about = about
        self.required = required
        self.default = default


class Config:
    """The configuration, a field an attribute."""

    def __init__(self, values):
        self.__dict__.update(values)

    def __repr__(self):
        return f"Config({self.__dict__})"


def schema(fields):
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **_object(fields)})


def read(fields, text):
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError("", f"not JSON: {error}") from None
    return read_object(fields, value, "")


def read_object(fields, value, pointer):
    _require(isinstance(value, dict), value, pointer, "an object")
    known = {field.name for field in fields}
    for name in value:
        if name not in known:
            raise ConfigError(f"{pointer}/{_escape(name)}", f"unknown field `{name}`")
    values = {}
    for field in fields:
        if value.get(field.name) is not None:
            values[field.name] = field.kind.read(value[field.name], f"{pointer}/{_escape(field.name)}")
        elif field.required:
            raise ConfigError(pointer, f"missing field `{field.name}`")
        else:
            default = field.default
            values[field.name] = None if default is None else field.kind.read(default, f"{pointer}/{_escape(field.name)}")
    return Config(values)


def _object(fields):
    properties = {}
    for field in fields:
        described = dict(field.kind.schema)
        if field.about:
            described["description"] = field.about
        if field.default is not None:
            described["default"] = field.default
        properties[field.name] = described
    required = [field.name for field in fields if field.required]
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def _require(holds, value, pointer, expected):
    if not holds:
        raise ConfigError(pointer, f"expected {expected}, not {json.dumps(value)}")
    return value


def _escape(name):
    return name.replace("~", "~0").replace("/", "~1")


def _parsed(parse):
    def read(value, pointer):
        try:
            if not isinstance(value, str):
                raise ValueError('write it as text, in quotes: "12.50"')
            return parse(value)
        except ValueError as error:
            raise ConfigError(pointer, str(error)) from None

    return read


def _conditions(value, pointer):
    _require(isinstance(value, list), value, pointer, "a list")
    return [_condition(item, f"{pointer}/{at}") for at, item in enumerate(value)]


def _condition(value, pointer):
    _require(isinstance(value, dict) and isinstance(value.get("column"), str), value, pointer, "an object with a column")
    tests = [name for name in value if name != "column"]
    if len(tests) != 1 or tests[0] not in _TESTS:
        raise ConfigError(pointer, f"a condition needs exactly one of {', '.join(_TESTS)}")
    test, values = tests[0], value[tests[0]]
    if test in ("is_null", "not_null"):
        _require(values is True, values, f"{pointer}/{test}", "true")
        values = []
    else:
        texts = isinstance(values, list) and values and all(isinstance(text, str) for text in values)
        _require(texts and not (test == "starts_with" and "" in values), values, f"{pointer}/{test}", "a list of texts")
    return Condition(value["column"], test, values)


_LIST = {"type": "array", "minItems": 1, "items": {"type": "string"}}

Kind.TEXT = Kind({"type": "string"}, lambda value, pointer: _require(isinstance(value, str), value, pointer, "text"))
Kind.BOOLEAN = Kind({"type": "boolean"}, lambda value, pointer: _require(isinstance(value, bool), value, pointer, "true or false"))
Kind.DECIMAL = Kind({"type": "string", "format": "decimal", "pattern": _DECIMAL}, _parsed(money))
Kind.PERCENT = Kind({"type": "string", "format": "percent", "pattern": _DECIMAL}, _parsed(Percent))
Kind.WHERE = Kind(
    {
        "type": "array",
        "items": {
            "type": "object", "required": ["column"], "minProperties": 2, "maxProperties": 2, "additionalProperties": False,
            "properties": {
                "column": {"type": "string"}, "is_in": _LIST, "not_in": _LIST, "starts_with": _LIST,
                "is_null": {"const": True}, "not_null": {"const": True},
            },
        },
    },
    _conditions,
)
