"""The gateway: HTTP in, gRPC out; speaks the Mastodon client API and Kodama's own namespaces, and renders pages.

Owns no data and keeps no state but short caches, so that any number of it can run side by side. Two tables say
for each address who may call it and what it takes: `routes/__init__.py` for apps, `browser/table.py` for people.
"""
