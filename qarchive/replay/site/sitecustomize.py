"""What Python runs before a script: with `qarchive replay` the script is replayed from its first line, or does not run at all."""

import os
import sys


def _start() -> None:
    try:
        from qarchive.replay import starting

        starting.start()
    except BaseException as error:  # Python would go on without us
        import json

        message = str(error)
        if isinstance(error, ImportError):
            message = f"{sys.executable} cannot import qarchive ({error}); install it there, too"
        print(f"qarchive: {message}; the replay does not start, and nothing is run", file=sys.stderr, flush=True)
        with open(json.loads(os.environ["QARCHIVE_REPLAY"])["journal"], "a") as journal:
            journal.write("failed\n")
        os._exit(1)


def _run_hidden() -> None:
    """Run the `sitecustomize` that Python would have found, were it not for this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.realpath(os.path.dirname(__file__))
    spec = PathFinder.find_spec(__name__, [path for path in sys.path if os.path.realpath(path) != here])
    if spec is not None and spec.loader is not None:
        sys.modules[__name__] = hidden = module_from_spec(spec)
        spec.loader.exec_module(hidden)


if __name__ == "sitecustomize":  # and not where somebody looks at this file
    if "QARCHIVE_REPLAY" in os.environ:
        _start()
    _run_hidden()
