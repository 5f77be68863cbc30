"""Statuses: up to 150 characters, broadcast to friends.

Owns `statuses` and `claims`; publishes `status.published` and `status.deleted`; calls social_graph to decide who may
see what.
"""
