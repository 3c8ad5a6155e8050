from artune.record import Record, run_key, versions
from artune.spec.style import StyleSpec


def test_the_key_is_of_spec_and_digests():
    digests = {"content": "a", "style 0": "b"}
    key = run_key(StyleSpec(), digests)
    assert key == run_key(StyleSpec(), dict(reversed(digests.items())))
    assert key != run_key(StyleSpec(seed=1), digests)
    assert key != run_key(StyleSpec(), {"content": "b", "style 0": "a"})
    assert len(key) == 64


def test_records_come_back_from_json():
    record = Record(key="k", spec=StyleSpec(), digests={}, losses={"total": [1.0]}, end="done", steps=1)
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_versions_name_what_computes_and_decodes():
    found = versions()
    assert {"artune", "algorithm", "python", "torch", "torchvision", "numpy", "scipy", "scikit-image"} <= found.keys()
    assert {"pillow", "imagecodecs", "tifffile"} <= found.keys()
    assert all(found.values())
