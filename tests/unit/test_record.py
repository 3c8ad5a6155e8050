from artune.record import Record, run_key
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
