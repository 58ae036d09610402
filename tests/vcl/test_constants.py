"""The table of constants agrees with the pyopencl of the environment."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from vcl import constants

# In a process of its own, isolated from PYTHONPATH: here pyopencl may already stand on vcl.
# `_is_bitfield` is added by pyopencl's Python layer.
REAL_CONSTANTS = """
import enum, json
from pyopencl import _cl

classes, enums = {}, []
for class_name, cls in vars(_cl).items():
    if not isinstance(cls, type) or not class_name[0].islower():
        continue
    if issubclass(cls, enum.Enum):
        enums.append(class_name)
        classes[class_name] = {member.name: member.value for member in cls}
    else:
        classes[class_name] = {
            name: value for name, value in vars(cls).items() if type(value) is int
        }
version = _cl.get_cl_header_version()
print(json.dumps({"classes": classes, "enums": enums, "version": version}))
"""


@pytest.fixture(scope="module")
def real():
    answer = subprocess.run(
        [sys.executable, "-I", "-c", REAL_CONSTANTS],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(answer.stdout)


def test_every_constant_of_the_real_module_is_here_with_its_value(real):
    wrong = {
        f"{class_name}.{name}": (value, constants.CLASSES.get(class_name, {}).get(name))
        for class_name, members in real["classes"].items()
        for name, value in members.items()
        if constants.CLASSES.get(class_name, {}).get(name) != value
    }
    assert wrong == {}, "name: (real value, ours)"


def test_every_class_of_the_real_module_is_here(real):
    assert set(real["classes"]) <= set(constants.CLASSES)


def test_members_stand_in_the_order_of_the_real_module(real):
    for class_name, members in real["classes"].items():
        ours = constants.CLASSES[class_name]
        assert [name for name in ours if name in members] == list(members), class_name


def test_enum_classes_are_those_of_the_real_module(real):
    assert set(real["enums"]) == constants.ENUM_CLASSES


def test_header_version_is_that_of_the_real_module(real):
    assert tuple(real["version"]) == constants.CL_HEADER_VERSION


def test_values_are_plain_ints():
    values = [value for members in constants.CLASSES.values() for value in members.values()]
    assert {type(value) for value in values} == {int}


def test_module_imports_nothing():
    tree = ast.parse(Path(constants.__file__).read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
