"""The shared ground every service stands on. Knows no service."""

import os

# Starting a process as another user forks, and gRPC's own fork handlers then run in a child that is about to exec:
# with calls in flight they can end it with a segmentation fault. Nothing here calls gRPC in a forked child (workers
# are spawned), so the handlers stay off. gRPC reads this when its first channel or server is made.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
