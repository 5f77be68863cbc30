"""The `kodama` command: starts what there is to start, and is a gRPC client like the gateway for operators."""
