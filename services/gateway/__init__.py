"""The gateway: HTTP in, gRPC out; speaks the Mastodon client API and Kodama's own namespaces, and renders pages.

Owns no data and keeps no state but short caches, so that any number of it can run side by side. One route table
(`routes/__init__.py`) says for each route who may call it, what it takes and what it answers.
"""
