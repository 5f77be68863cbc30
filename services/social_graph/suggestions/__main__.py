"""`python -m services.social_graph.suggestions`: compile the kernel for all processes of this machine, where that has not been done."""

import fcntl
import platform

from services.social_graph.suggestions import leave_out_blas


def main() -> None:
    """Compile, one process at a time: who comes second finds it done."""
    leave_out_blas()
    from services.social_graph.suggestions import warm_up
    from services.social_graph.suggestions.compiling import FOLDER

    if FOLDER is None:
        return  # nowhere to keep it: every process compiles for itself
    with (FOLDER / "compiling").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = FOLDER / f"compiled-{platform.node()}"
        if not done.exists():
            warm_up()
            done.touch()


if __name__ == "__main__":
    main()
