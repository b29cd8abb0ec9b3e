"""Ctrl-C, which an SDK's native library may have taken away."""

import signal
import threading


def listen() -> None:
    """Let the handler of interrupts that Python knows be called again, whichever it is.

    Perceval's native library puts one of its own in its place when it is loaded, and a run that waits would hear nothing.
    """
    if threading.current_thread() is threading.main_thread() and (handler := signal.getsignal(signal.SIGINT)) is not None:
        signal.signal(signal.SIGINT, handler)
