"""The protobuf messages of TFaaS (``tfaas.proto``), built at run time.

Generated ``_pb2`` modules demand a runtime at least as new as their generator; these
messages work with whatever protobuf TensorFlow brought.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "tfaaspb"

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"string": _Field.TYPE_STRING, "float": _Field.TYPE_FLOAT}

#: message → ordered fields: (name, repeated, type), where a type is a scalar or a message.
SCHEMA: dict[str, tuple[tuple[str, bool, str], ...]] = {
    "Row": (("key", True, "string"), ("value", True, "float"), ("model", False, "string")),
    "DataFrame": (("row", True, "Row"),),
    "Class": (("label", False, "string"), ("probability", False, "float")),
    "Predictions": (("prediction", True, "Class"),),
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="tfaas_nb/wire/tfaas.proto", package=PACKAGE, syntax="proto3"
    )
    for message, fields in SCHEMA.items():
        entry = file.message_type.add(name=message)
        for number, (name, repeated, kind) in enumerate(fields, start=1):
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            field = entry.field.add(name=name, number=number, label=label)
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{PACKAGE}.{kind}"
    return file


def _classes() -> dict[str, Any]:
    # A pool of our own: another package in the kernel may hold a tfaas.proto as well.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in SCHEMA
    }


_built = _classes()
Row, DataFrame, Class, Predictions = (
    _built[name] for name in ("Row", "DataFrame", "Class", "Predictions")
)
