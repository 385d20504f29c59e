import subprocess
import sys


def test_a_slots_own_processes_do_without_torch():
    code = "import sys, segray.tuning.slot; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
