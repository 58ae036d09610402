"""The inventory of the host's devices: its encoding with a made-up driver, and PoCL for real."""

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from node_agent import inventory
from node_agent.driver import library
from vcl.constants import CLASSES

ROOT = Path(__file__).resolve().parents[2]
DEVICE_INFO_NAMES = [n for n in CLASSES["device_info"] if n not in ("PLATFORM", "PARENT_DEVICE")]
IMAGE_TYPES = [n for n in CLASSES["mem_object_type"] if n.startswith("IMAGE")]
MEM_FLAGS = ["READ_ONLY", "WRITE_ONLY", "READ_WRITE"]
INVALID_VALUE = CLASSES["status_code"]["INVALID_VALUE"]
OUT_OF_HOST_MEMORY = CLASSES["status_code"]["OUT_OF_HOST_MEMORY"]
NOT_FOUND = CLASSES["status_code"]["PLATFORM_NOT_FOUND_KHR"]


class FakeError(Exception):
    def __init__(self, code):
        super().__init__(f"failed: {code}")
        self.code = code


def give(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


class FakeHandle:
    """A platform or device that answers 0 where nothing else is said."""

    def __init__(self, class_name, answers, platform=None):
        self.class_name = class_name
        self.answers = answers
        self.platform = platform
        self.devices = []
        self.queried = []

    def get_info(self, constant):
        names = [name for name, value in CLASSES[self.class_name].items() if value == constant]
        self.queried += names
        return give(next((self.answers[name] for name in names if name in self.answers), 0))

    def get_devices(self):
        return give(self.devices)


class FakeCl:
    Error = FakeError

    def __init__(self, platforms, context=None, formats=()):
        self.platforms = platforms
        self.context = context
        self.formats = formats
        self.formats_asked = []

    def get_platforms(self):
        return give(self.platforms)

    def Context(self, devices):
        return give(self.context or tuple(devices))

    def get_supported_image_formats(self, context, flags, image_type):
        self.formats_asked.append((flags, image_type))
        return give(self.formats)


def make_platform(name, *devices):
    platform = FakeHandle("platform_info", {"NAME": name})
    platform.devices = [
        FakeHandle("device_info", {"NAME": f"device {n}", **answers}, platform)
        for n, answers in enumerate(devices)
    ]
    return platform


def describe(answers, **keywords):
    platform = make_platform("Fake", answers)
    cl = FakeCl([platform], **keywords)
    description = inventory.describe_device(cl, platform.devices[0])
    assert json.loads(json.dumps(description)) == description
    return description


@pytest.mark.parametrize(
    ("answer", "encoded"),
    [
        (7, 7),
        (2**64 - 1, 2**64 - 1),
        (True, True),
        ("text", "text"),
        ([4096, 1], [4096, 1]),
        ([], []),
        (b"\x00\xff", {"b64": base64.b64encode(b"\x00\xff").decode()}),
        ([SimpleNamespace(version=5, name="ext")], [[5, "ext"]]),
        (FakeError(OUT_OF_HOST_MEMORY), {"error": OUT_OF_HOST_MEMORY}),
        (ValueError("odd"), {"error": INVALID_VALUE, "reason": "ValueError: odd"}),
        (None, {"error": INVALID_VALUE, "reason": "TypeError: no encoding for NoneType"}),
        (["a"], {"error": INVALID_VALUE, "reason": "TypeError: no encoding for a list of str"}),
    ],
)
def test_answers_are_encoded(answer, encoded):
    info = describe({"DRIVER_VERSION": answer})["info"]
    assert info["DRIVER_VERSION"] == encoded
    assert type(info["DRIVER_VERSION"]) is type(encoded)
    assert info["VENDOR_ID"] == 0


def test_every_constant_is_asked_in_order_except_handles():
    description = describe({"TYPE": 4, "PLATFORM": object(), "PARENT_DEVICE": None})
    assert list(description["info"]) == DEVICE_INFO_NAMES
    assert list(description["platform"]) == list(CLASSES["platform_info"])
    assert description["type"] == 4


def test_platform_errors_are_recorded():
    platform = make_platform("Fake", {})
    platform.answers["NUMERIC_VERSION"] = FakeError(INVALID_VALUE)
    description = inventory.describe_device(FakeCl([platform]), platform.devices[0])
    assert description["platform"]["NUMERIC_VERSION"] == {"error": INVALID_VALUE}
    assert description["platform"]["NAME"] == "Fake"


def test_image_formats_are_asked_for_each_mem_flag_and_image_type():
    platform = make_platform("Fake", {})
    cl = FakeCl([platform], formats=[SimpleNamespace(channel_order=1, channel_data_type=2)])
    formats = inventory.describe_device(cl, platform.devices[0])["image_formats"]
    assert formats == {flag: {name: [[1, 2]] for name in IMAGE_TYPES} for flag in MEM_FLAGS}
    assert cl.formats_asked == [
        (CLASSES["mem_flags"][flag], CLASSES["mem_object_type"][image_type])
        for flag in MEM_FLAGS
        for image_type in IMAGE_TYPES
    ]


@pytest.mark.parametrize("where", ["context", "formats"])
def test_image_format_errors_are_recorded(where):
    formats = describe({}, **{where: FakeError(OUT_OF_HOST_MEMORY)})["image_formats"]
    failure = {"error": OUT_OF_HOST_MEMORY}
    assert formats == {flag: dict.fromkeys(IMAGE_TYPES, failure) for flag in MEM_FLAGS}


@pytest.mark.parametrize(
    ("substring", "places"),
    [
        (None, [(0, 0), (0, 1), (1, 0)]),
        ("", [(0, 0), (0, 1), (1, 0)]),
        ("ALPHA", [(0, 0), (0, 1)]),
        ("device 0", [(0, 0), (1, 0)]),
        ("alpha / device 1", [(0, 1)]),
        ("nothing", []),
    ],
)
def test_substring_chooses_devices_and_keeps_their_indices(substring, places):
    cl = FakeCl([make_platform("Alpha ", {}, {}), make_platform("Beta", {})])
    result = inventory.enumerate_devices(cl, substring)
    assert [(d["index"], d["device_index"]) for d in result["devices"]] == places
    assert result["errors"] == []


def test_a_device_that_is_not_wanted_is_asked_for_its_name_only():
    platform = make_platform("Fake", {})
    found = inventory.enumerate_devices(FakeCl([platform]), "other")
    assert set(platform.devices[0].queried) == {"NAME"}
    assert found["others"] == ["Fake / device 0"], "for who wonders"


def test_no_opencl_gives_no_devices_and_the_reason():
    assert inventory.enumerate_devices(FakeCl(FakeError(NOT_FOUND))) == {
        "devices": [],
        "errors": [
            {"where": "platforms", "error": NOT_FOUND, "message": f"failed: {NOT_FOUND}"}
        ],
        "others": [],
    }


def test_a_platform_or_device_that_fails_does_not_hide_the_others():
    broken = make_platform("Broken")
    broken.devices = FakeError(OUT_OF_HOST_MEMORY)
    good = make_platform("Good", {"NAME": FakeError(INVALID_VALUE)}, {})
    result = inventory.enumerate_devices(FakeCl([broken, good]))
    assert [(d["index"], d["device_index"]) for d in result["devices"]] == [(1, 1)]
    assert [(e["where"], e["error"]) for e in result["errors"]] == [
        ("platform 0", OUT_OF_HOST_MEMORY),
        ("platform 1 device 0", INVALID_VALUE),
    ]


def test_a_session_is_told_of_devices_by_their_places_in_the_inventory():
    """An executor looks for them itself: what has no name must not move the others there either."""
    platform = make_platform("Alpha ", {"NAME": FakeError(INVALID_VALUE)}, {"NAME": "  padded"}, {})
    cl = FakeCl([make_platform("Beta", {}), platform])
    listed = inventory.enumerate_devices(cl, "Alpha / ")["devices"]
    found, _ = library.matching_devices(cl, "Alpha / ")
    assert [one.device for one in found] == platform.devices[1:]
    assert [(d["index"], d["device_index"]) for d in listed] == [(1, 1), (1, 2)]
    assert [(one.platform_index, one.device_index) for one in found] == [(1, 1), (1, 2)]


def test_main_writes_one_line_of_json(monkeypatch):
    cl = FakeCl([make_platform("Fake", {}, {})])
    monkeypatch.setattr(library, "load_pyopencl", lambda: cl)
    out = io.StringIO()
    inventory.main(["--devices", "device 1"], out)
    assert out.getvalue().count("\n") == 1
    assert [d["device_index"] for d in json.loads(out.getvalue())["devices"]] == [1]


def run(*arguments, **environment):
    answer = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
        env=os.environ | environment,
    )
    return json.loads(answer.stdout)


@pytest.fixture(scope="module")
def pocl():
    result = run("-m", "node_agent.inventory", "--devices", "portable computing LANGUAGE")
    assert result["errors"] == []
    return result["devices"][0]


def test_pocl_answers_every_constant(pocl):
    info = pocl["info"]
    assert list(info) == DEVICE_INFO_NAMES
    assert pocl["platform"]["NAME"] == "Portable Computing Language"
    assert pocl["type"] == info["TYPE"] == CLASSES["device_type"]["CPU"]
    assert len(info["MAX_WORK_ITEM_SIZES"]) == info["MAX_WORK_ITEM_DIMENSIONS"]
    assert {tuple(map(type, pair)) for pair in info["EXTENSIONS_WITH_VERSION"]} == {(int, str)}
    assert info["WARP_SIZE_NV"] == {"error": INVALID_VALUE}
    failed = [answer for answer in info.values() if isinstance(answer, dict)]
    assert all(answer.keys() == {"error"} for answer in failed), "pyopencl converted every answer"


def test_pocl_lists_image_formats(pocl):
    formats = pocl["image_formats"]
    assert list(formats) == MEM_FLAGS
    assert all(list(by_type) == IMAGE_TYPES for by_type in formats.values())
    rgba_float = [CLASSES["channel_order"]["RGBA"], CLASSES["channel_type"]["FLOAT"]]
    assert rgba_float in formats["READ_ONLY"]["IMAGE2D"]


def test_a_host_without_opencl_says_so(tmp_path):
    result = run("-m", "node_agent.inventory", OCL_ICD_VENDORS=str(tmp_path / "missing"))
    assert result["devices"] == []
    assert [error["error"] for error in result["errors"]] == [NOT_FOUND]


def test_what_a_driver_prints_does_not_reach_stdout():
    noisy = """
import os, runpy, sys
from node_agent.driver import library
load = library.load_pyopencl
library.load_pyopencl = lambda: (os.write(1, b"noise"), load())[1]
sys.argv = ["inventory", "--devices", "no such device"]
runpy.run_module("node_agent.inventory", run_name="__main__")
"""
    found = run("-c", noisy)
    assert found["others"] and found == {"devices": [], "errors": [], "others": found["others"]}
