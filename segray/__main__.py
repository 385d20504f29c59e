"""`segray` and `python -m segray`."""

from __future__ import annotations

import atexit

from segray.cli import main
from segray.process import end_process


def run() -> None:
    """Run the command line in a process of its own, and end the process without freeing its objects one by one."""
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    atexit._run_exitfuncs()
    end_process(code)


if __name__ == "__main__":
    run()
