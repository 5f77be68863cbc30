"""Blogs: entries of any length, each with a visibility of its own.

Owns `blog_entries` and `claims`; publishes `blog.entry_published` and `blog.entry_deleted`; calls social_graph to
decide who may see what.
"""
