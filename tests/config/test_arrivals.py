"""A file of arrivals: what it says is what happens, and a wrong row is named by its line."""

import numpy as np
import pytest

import cl_engine
from cl_engine.config.arrivals import read_arrivals
from cl_engine.errors import InputError


def written(tmp_path, text, name="times.csv"):
    file = tmp_path / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_images_come_when_the_file_says_and_the_others_are_there(tmp_path):
    file = written(tmp_path, '\ufeffimage, seconds\r\n3,12.5\r\n\r\n"0",1e3\n 1 , 0 \n')
    assert read_arrivals(str(file), 5).tolist() == [1000.0, 0.0, 0.0, 12.5, 0.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "times.csv: is empty; allowed: image,seconds, and a row"),
        ("0,5\n", "times.csv, line 1: got '0,5'; allowed: image,seconds"),
        (
            "image,seconds\n1,5\n7,5\n",
            "times.csv, line 3: got '7,5'; allowed: an image from 0 to 3, and 0 seconds or more",
        ),
        ("image,seconds\n-1,5\n", "line 2: got '-1,5'; allowed"),
        ("image,seconds\n1,-5\n", "line 2: got '1,-5'; allowed"),
        ("image,seconds\n1,nan\n", "line 2: got '1,nan'; allowed"),
        ("image,seconds\n1,inf\n", "line 2: got '1,inf'; allowed"),
        ("image,seconds\n1,soon\n", "line 2: got '1,soon'; allowed"),
        ("image,seconds\n1.5,2\n", "line 2: got '1.5,2'; allowed"),
        ("image,seconds\n1\n", "line 2: got '1'; allowed"),
        ("image,seconds\n1,2,3\n", "line 2: got '1,2,3'; allowed"),
        ('image,seconds\n"1\n\n",5\n1,6\n', "line 5: image 1 for the second time; allowed: once"),
        ('image,seconds\n1,"5\n', "line 2: unexpected end of data; allowed: image,seconds in each row"),
        (
            "image,seconds\n" + "".join(f"{i},1\n" for i in range(4)),
            "every image comes after 0; allowed: one or more",
        ),
        (b"image,seconds\n\xff,1\n", "times.csv: byte 14 is not UTF-8; allowed: a text file"),
    ],
)
def test_a_wrong_file_gives_one_line_that_says_where_and_what_is_allowed(tmp_path, text, message):
    with pytest.raises(InputError) as error:
        read_arrivals(str(written(tmp_path, text)), 4)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


SCENARIO = {
    "data": "digits",
    "stream": {"kind": "class-incremental", "first": 2, "step": 3, "remainder": "drop"},
    "strategy": {"kind": "cl2r", "reserved": 16, "backbone": {"kind": "mlp", "width": 16}, "total": 20},
    "training": {"epochs": 1},
}


def scenario(**changes):
    return {**SCENARIO, "service": {"seconds": 100.0, "look": 50.0, "rate": 1.0, **changes}}


def test_a_run_takes_its_arrivals_from_the_file_and_is_known_by_what_is_in_it(tmp_path):
    file = written(tmp_path, "image,seconds\n" + "".join(f"{i},{10 * i + 10}\n" for i in range(29)))
    run = cl_engine.run(scenario(arrivals=str(file))).to_dict()
    service = run["service"]
    images = service["gallery_samples"]
    sizes = [15 * 4 * (images - 29 + int(np.floor(min(time, 290) / 10))) for time in service["times"]]
    assert service["vector_bytes"] == sizes
    assert (service["inserted"], service["times"]) == (29, [0.0, 50.0, 100.0, 150.0, 200.0, 250.0])
    assert cl_engine.Scenario.load(run["config"]).id == run["id"]
    file.write_text("image,seconds\n0,10\n")
    assert cl_engine.Scenario.load(scenario(arrivals=str(file))).id != run["id"]
    with pytest.raises(
        cl_engine.ConfigError, match=r"service\.arrivals_sha256: .*times.csv has [0-9a-f]{64}; allowed: "
    ):
        cl_engine.Scenario.load(run["config"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inserts": 2.0}, r"service\.arrivals: given with initial or inserts; allowed: the file, or these"),
        ({"arrivals": "nowhere.csv"}, r"service\.arrivals: there is no file "),
        ({}, r"service\.arrivals: times.csv, line 2: got '9999,1'; allowed: an image from 0 to \d+"),
    ],
)
def test_a_scenario_with_a_wrong_file_is_refused_before_anything_is_trained(tmp_path, changes, message):
    file = written(tmp_path, "image,seconds\n9999,1\n")
    with pytest.raises(cl_engine.ConfigError, match=message):
        cl_engine.Scenario.load(scenario(**{"arrivals": str(file), **changes}))
