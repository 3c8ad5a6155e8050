"""How threads wait is set before PyTorch is loaded, and only where nobody has set it."""

import os
import subprocess
import sys

import pytest

from artune.threads import SPIN_COUNT

TELL = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"


@pytest.mark.parametrize(
    ("first", "given", "told"),
    [
        ("import artune", {}, f"{SPIN_COUNT} None"),
        ("import artune", {"GOMP_SPINCOUNT": "7"}, "7 None"),
        ("import artune", {"OMP_WAIT_POLICY": "PASSIVE"}, "None PASSIVE"),
        ("import sys; sys.modules['torch'] = None; import artune", {}, "None None"),  # as if it were loaded
    ],
)
def test_threads_wait_briefly(first, given, told):
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    code = f"{first}; {TELL}"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == told
