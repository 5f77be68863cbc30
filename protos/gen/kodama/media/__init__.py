"""Generated contracts; see protos/generate.py."""
