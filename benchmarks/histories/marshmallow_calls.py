"""Calls to marshmallow for `benchmarks/history.py`."""

import datetime
import decimal
import enum
import inspect
import uuid

from marshmallow import (
    Schema,
    ValidationError,
    class_registry,
    fields,
    post_dump,
    post_load,
    pre_load,
    validate,
    validates_schema,
)
from marshmallow import utils as mutils

# It was renamed in 4.0.
_MANY = {"pass_collection" if "pass_collection" in inspect.signature(post_dump).parameters else "pass_many": True}


class _Color(enum.Enum):
    red = 1
    blue = 2


class _Author(Schema):
    name = fields.Str(required=True)
    email = fields.Email()


class _Book(Schema):
    title = fields.Str(required=True, validate=validate.Length(min=2))
    year = fields.Int()
    author = fields.Nested(_Author)
    tags = fields.List(fields.Str())


class _Hooks(Schema):
    a = fields.Int()

    @pre_load
    def lower(self, data, **kwargs):
        return {key.lower(): value for key, value in data.items()}

    @post_load
    def make(self, data, **kwargs):
        return ("made", data)

    @post_dump(**_MANY)
    def wrap(self, data, many, **kwargs):
        return {"data": data}


class _Checked(Schema):
    low = fields.Int()
    high = fields.Int()

    @validates_schema
    def order(self, data, **kwargs):
        if data["low"] > data["high"]:
            raise ValidationError("low above high", "low")


def _errors(schema, data, **options):
    try:
        return schema.load(data, **options)
    except ValidationError as error:
        return error.messages, error.valid_data


def _field(field, value):
    try:
        return field.deserialize(value)
    except ValidationError as error:
        return error.messages


def load():
    return _Book().load({"title": "Dune", "year": "1965", "tags": ["a"]})


def load_nested():
    return _Book().load({"title": "Dune", "author": {"name": "Frank", "email": "f@example.com"}})


def load_errors():
    return _errors(_Book(), {"title": "D", "year": "x", "author": {"email": "no"}})


def load_unknown():
    return _errors(_Book(), {"title": "Dune", "isbn": 1})


def load_exclude_unknown():
    return _errors(_Book(unknown="exclude"), {"title": "Dune", "isbn": 1})


def load_include_unknown():
    return _errors(_Book(unknown="include"), {"title": "Dune", "isbn": 1})


def load_partial():
    return _errors(_Book(), {"year": 3}, partial=True)


def load_many():
    return _errors(_Book(many=True), [{"title": "Dune"}, {"year": 1}])


def load_wrong_type():
    return _errors(_Book(), "nothing")


def loads():
    return _Book().loads('{"title": "Dune", "year": 1965}')


def dump():
    return _Book().dump({"title": "Dune", "year": 1965, "author": {"name": "F"}, "more": 1})


def dump_only():
    return _Book(only=("title", "author.name")).dump({"title": "Dune", "author": {"name": "F", "email": "e"}})


def dump_exclude():
    return _Book(exclude=("year",)).dump({"title": "Dune", "year": 1})


def dumps():
    return _Book().dumps({"title": "Dune"})


def hooks_load():
    return _Hooks().load({"A": "5"})


def hooks_dump():
    return _Hooks().dump({"a": 5}), _Hooks(many=True).dump([{"a": 1}, {"a": 2}])


def schema_validator():
    return _errors(_Checked(), {"low": 3, "high": 2}), _errors(_Checked(), {"low": 1, "high": 2})


def schema_validate():
    return _Book().validate({"year": "x"})


def from_dict():
    made = Schema.from_dict({"x": fields.Int(), "y": fields.Str()})
    return made().load({"x": "1", "y": "z"}), made.__name__


def field_repr():
    return sorted(_Book().fields), type(_Book().fields["author"]).__name__


def integer():
    return [_field(fields.Int(strict=s), v) for s in (False, True) for v in ("3", 3.0, 3.5, None, True)]


def float_field():
    return [_field(fields.Float(allow_nan=n), v) for n in (False, True) for v in ("3.5", "nan", "x")]


def decimal_field():
    return [_field(fields.Decimal(places=2), v) for v in ("3.555", "x", 4)], fields.Decimal(as_string=True).serialize(
        "a", {"a": decimal.Decimal("1.0")}
    )


def boolean():
    return [_field(fields.Bool(), v) for v in ("true", "off", 1, "maybe", None)]


def date():
    return [_field(fields.Date(), v) for v in ("2020-01-02", "x")], fields.Date().serialize(
        "a", {"a": datetime.date(2020, 1, 2)}
    )


def date_time():
    formats = ("iso", "rfc", "timestamp", "%Y")
    return [
        _field(fields.DateTime(format=f), v)
        for f in formats
        for v in ("2020-01-02T03:04:05", "Thu, 02 Jan 2020 03:04:05 -0000", 5, "2020")
    ]


def time_field():
    return [_field(fields.Time(), v) for v in ("03:04:05", "x")]


def time_delta():
    return [_field(fields.TimeDelta(precision="minutes"), v) for v in (5, "7", "x")]


def uuid_field():
    return [_field(fields.UUID(), v) for v in (str(uuid.UUID(int=5)), "x")]


def url_field():
    return [
        _field(fields.Url(relative=r), v) for r in (False, True) for v in ("http://example.com/a?b", "/a", "no url")
    ]


def email_field():
    return [_field(fields.Email(), v) for v in ("a@b.org", "a@b", '"q q"@x.org', "")]


def ip_field():
    return [_field(fields.IP(), v) for v in ("1.2.3.4", "::1", "x")]


def enum_field():
    return [_field(fields.Enum(_Color, by_value=b), v) for b in (False, True) for v in ("red", 1, "green")]


def list_field():
    return [_field(fields.List(fields.Int()), v) for v in ([1, "2"], ["x", 1], "abc")]


def tuple_field():
    return [_field(fields.Tuple((fields.Int(), fields.Str())), v) for v in ([1, "a"], [1], ["x", 2])]


def dict_field():
    return [_field(fields.Dict(keys=fields.Str(), values=fields.Int()), v) for v in ({"a": "1"}, {"a": "x"}, 5)]


def constant_function():
    made = Schema.from_dict({"c": fields.Constant(5), "f": fields.Function(lambda o: o["x"] + 1)})
    return made().dump({"x": 2})


def method_field():
    class Made(Schema):
        m = fields.Method("compute")

        def compute(self, obj):
            return obj["x"] * 2

    return Made().dump({"x": 4})


def pluck():
    made = Schema.from_dict({"a": fields.Pluck(_Author, "name")})
    return made().dump({"a": {"name": "F", "email": "e"}}), made().load({"a": "F"})


def data_key():
    made = Schema.from_dict({"a": fields.Int(data_key="A"), "b": fields.Int(attribute="x.y")})
    return made().dump({"a": 1, "x": {"y": 2}}), made().load({"A": 1, "b": 2})


def defaults():
    made = Schema.from_dict({"a": fields.Int(load_default=3, dump_default=4)})
    return made().load({}), made().dump({})


def validators():
    checks = (
        validate.Range(1, 5),
        validate.OneOf([1, 2]),
        validate.NoneOf([3]),
        validate.Equal(4),
        validate.Predicate("bit_length"),
    )
    return [_field(fields.Int(validate=check), v) for check in checks for v in (2, 3, 9)]


def text_validators():
    checks = (
        validate.Length(equal=3),
        validate.Regexp("a+$"),
        validate.ContainsOnly("abc"),
        validate.ContainsNoneOf("x"),
        validate.Email(),
        validate.URL(),
    )
    return [_field(fields.Str(validate=check), v) for check in checks for v in ("aaa", "abcd", "x@y.org")]


def validator_repr():
    return repr(validate.Range(1, 5)), repr(validate.Length(max=3)), repr(validate.OneOf([1, 2], labels=["a", "b"]))


def and_validator():
    check = validate.And(validate.Range(min=0), validate.Range(max=3))
    return [_field(fields.Int(validate=check), v) for v in (-1, 2, 9)]


def utilities():
    return mutils.get_value({"a": {"b": 1}}, "a.b"), mutils.is_collection([1]), mutils.pluck([{"a": 1}], "a")


def registry():
    return class_registry.get_class("_Book").__name__


def error_messages():
    return _field(fields.Int(error_messages={"invalid": "not {input}"}), "x"), _field(fields.Str(required=True), None)


def nested_many():
    made = Schema.from_dict({"authors": fields.Nested(_Author, many=True, only=("name",))})
    return made().dump({"authors": [{"name": "a", "email": "e"}]}), _errors(made(), {"authors": [{}, {"name": "b"}]})
