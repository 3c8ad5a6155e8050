"""``python -m artune`` and the ``artune`` command."""

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line; Ctrl-C before there is anything to save, and a closed output, end without a traceback."""
    try:
        from artune.cli import app

        app()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            sys.stderr.write("artune: stopped at once; where there is a checkpoint, --resume goes on from it\n")
        sys.exit(130)
    except OSError as error:
        what = f"cannot use {error.filename}" if error.filename else "cannot write to the standard output"
        if sys.stderr is not None:
            sys.stderr.write(f"artune: {what}: {error.strerror or error}\n")
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that the interpreter's last flush cannot fail again
        sys.exit(2)
    finally:
        gc.freeze()  # the interpreter's last collection would only cost time
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: an impatient second Ctrl-C has nothing to stop


if __name__ == "__main__":
    main()
