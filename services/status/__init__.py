"""Statuses: up to 150 characters, broadcast to friends.

Owns `statuses`, `attachments`, `favourites`, `revisions` and `claims`; publishes `status.published`, `status.deleted`, `status.mentioned`
and `status.favourited`; calls social_graph to decide who may see what, and account to find whom a text mentions.
"""
