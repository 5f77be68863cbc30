"""Media: the pictures of statuses.

Owns `media`, with the bytes of every picture, and `claims`; publishes nothing; calls status to know which pictures are shown. Files are
decoded in a process of their own that has given its rights up (converter.py); nothing of a file but its pixels is kept.
"""
